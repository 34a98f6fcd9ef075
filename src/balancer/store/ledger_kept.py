"""Figures of finished days, kept from one look at a split to the next: most of a report was there yesterday.

Invariants:
    * A look says the same with what is kept as without.
    * A day is kept once every window of its visitors is over. It is counted anew where its visitors are not the same
      ones any more, or where an event of its time has arrived since, however late.
    * Nothing is kept over a moment at which rows were taken out of the ledger: the others are counted.

In memory only, of the process that has the engine; used by `ledger_cells`.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from balancer.stats.cells import SplitQuestion
from balancer.store.cell_sums import Figures
from balancer.store.ledger_people import HOUR_MILLISECONDS, Day

# 32 questions: the reports of a dozen splits, each with a dimension or two; of 90 days each is about a megabyte.
QUESTIONS_LIMIT = 32
# 400 days: longer than any split. Days beyond are of clocks that were set wrong, or of made-up cookies.
DAYS_LIMIT = 400
Found = Sequence[tuple[int, Sequence[Figures]]]
"""Cells, and the figures of each measure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at a split found."""

    as_of: int
    seen: int
    """The last arrival of which it knew, in milliseconds since 1970."""
    rows: int
    """How many rows the ledger had up to then, of all apps."""
    days: Mapping[int, tuple[Day, Found]]
    """Those that were finished."""

    def holds(self, question: SplitQuestion, days: Mapping[int, Day], hours: Sequence[int]) -> dict[int, Found]:
        """Return what still holds of finished days; `hours` are those of which events arrived since."""
        since = min(min(each.since, -each.covariate) for each in question.measures)
        until = max(each.until for each in question.measures)
        return {
            number: found
            for number, (day, found) in self.days.items()
            if days.get(number) == day
            and not any(
                hour * HOUR_MILLISECONDS < day.last + until and (hour + 1) * HOUR_MILLISECONDS > day.first + since
                for hour in hours
            )
        }


@dataclass(slots=True)
class Kept:
    """The looks of this process, at most QUESTIONS_LIMIT; safe in any thread."""

    _looks: OrderedDict[SplitQuestion, Look] = field(default_factory=OrderedDict)
    _turn: threading.Lock = field(default_factory=threading.Lock)
    """Guards `_looks`."""

    def find(self, question: SplitQuestion) -> Look | None:
        """Return the last look of the same question, if it was of the same time or before."""
        with self._turn:
            look = self._looks.get(_key(question))
            return look if look and look.as_of <= question.as_of else None

    def keep(self, question: SplitQuestion, look: Look) -> None:
        """Keep a look, unless one of later is there."""
        with self._turn:
            other = self._looks.get(_key(question))
            if (other and other.as_of > look.as_of) or len(look.days) > DAYS_LIMIT:
                return
            self._looks[_key(question)] = look
            self._looks.move_to_end(_key(question))
            if len(self._looks) > QUESTIONS_LIMIT:
                self._looks.popitem(last=False)


def _key(question: SplitQuestion) -> SplitQuestion:
    return replace(question, as_of=0)
