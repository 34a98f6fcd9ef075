"""Entries: what one line of the edge log, or one event sent to us, puts into the ledger.

Invariants:
    * Every event ends in one place: an entry, or a refusal with a reason.
    * The names of the platform's own entries begin with `$`, which no event of an app may.
    * A line that is missing is counted as lost once, when the next one of its worker has come.

Made by `proxy/accesslog.py` and `store/spool_lines.py`, handed on by `services/collect.py`, stored by an engine in
`store`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from balancer.domain.event import EventSource
from balancer.domain.split import SplitId

if TYPE_CHECKING:  # which imports the reasons from here
    from balancer.domain.sent import SentEvent

EXPOSURE = "$exposure"
"""A visitor was first served their variant; its value is how long the answer took, in milliseconds."""
ERROR = "$error"
"""An assigned visitor was answered with a status of 500 or more; its value as that of an exposure."""
SLOW = "$slow"
"""An assigned visitor's answer began later than the app's latency objective; its value is when, in milliseconds."""
NO_APP = "-"
"""Stands for the app where a line does not tell one."""


_API = EventSource.API


class Reason(StrEnum):
    """Why something is no entry; the texts are stable, people and reports read them."""

    NOT_A_LINE = "not a line"
    """A notice of the proxy, or a line that is torn."""
    NO_APP = "no app"
    NO_VISITOR = "no visitor"
    """Nobody to count it for: no cookie, or one that does not parse."""
    NOT_JSON = "not JSON"
    NAME = "name"
    VALUE = "value"
    ID = "id"
    VISITOR = "visitor"
    """No visitor's id. One that nobody was seen with yet is none of these: it may be seen later."""
    TIME = "time"
    """No time that can be read."""
    PAST = "past"
    FUTURE = "future"
    DIMS = "dims"
    FIELD = "field"
    """A field that no event has."""
    ERASED = "erased"
    """Of a visitor who was erased since."""
    TOO_MANY = "too many"
    """Beyond what one request may send."""
    TOO_MANY_NAMES = "too many names"
    """Beyond the different names that the beacons of one app may bring."""
    SET_ASIDE = "set aside"
    """The engine refused the batch; its lines are kept in `refused/`."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One row of the ledger. Times are milliseconds since 1970, UTC.

    A Struct, because tens of thousands are made each second, and these the garbage collector need not visit.
    """

    app: str
    split: SplitId | None
    """None, with variant "", phase 0 and assigned_at 0, where a server says it of a visitor, in no split's name."""
    variant: str
    """Slug of the assigned branch."""
    phase: int
    """The one of the assignment, as is `assigned_at`."""
    visitor: str
    assigned_at: int
    ts: int
    name: str
    value: float | None
    id: str | None
    """The sender's, so that a repetition counts once."""
    source: EventSource
    release: int | None
    """Id of the release that answered; None where no instance did."""
    stood_in: bool
    """Answered by another branch's instance."""
    dims: str | None = None
    """What else the sender says of it: a JSON object of texts, its keys sorted."""


@dataclass(slots=True)
class Batch:
    """What some lines gave, in their order."""

    entries: list[Entry] = field(default_factory=list)
    refused: Counter[tuple[str, Reason]] = field(default_factory=Counter)
    """By app and reason."""
    expected_before: Mapping[int, int] = field(default_factory=dict)
    """By worker of the proxy, the number that its next line had when these lines began."""
    expected: dict[int, int] = field(default_factory=dict)
    """The same after them, of the workers whose lines were among them."""
    lost: int = 0
    """Lines that the proxy had for us, as the numbers tell, and that never came."""
    sent: "list[tuple[str, list[SentEvent]]]" = field(default_factory=list)
    """What servers sent, by app; not as entries, because of these there are most."""

    def count(self) -> int:
        """Return how many events there are."""
        return len(self.entries) + sum(len(events) for _, events in self.sent)

    def all_entries(self) -> list[Entry]:
        """Return all of them as entries."""
        return self.entries + [
            Entry(
                app, None, "", 0, said.visitor, 0, said.ts, said.name, said.value, said.id, _API, None, False, said.dims
            )
            for app, events in self.sent
            for said in events
        ]

    def refuse(self, app: str, reason: Reason, count: int = 1) -> None:
        """Count something that is no entry."""
        self.refused[app, reason] += count

    def came(self, worker: int, number: int) -> None:
        """Note that a worker's line has come; a worker numbers its lines from 0 on."""
        expected = self.expected.get(worker)
        if expected is None:
            expected = self.expected_before.get(worker, 0)
        if number != expected:
            # A smaller one is of a new worker, which the system gave the pid of one that has ended.
            self.lost += number - expected if number > expected else number
        self.expected[worker] = number + 1


class BatchRefused(Exception):
    """The engine cannot take in what a batch holds and never will; nothing of it was stored."""
