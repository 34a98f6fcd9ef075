"""Splits: which branch a visitor sees.

Invariants:
    * One split and one visitor always give one branch, on every machine.
    * Two splits assign independently of each other.
    * A branch of weight 0 receives nobody.
    * A split that is over never runs again; one that was concluded has a winner.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Self

import xxhash

from balancer.domain.allocation import BUCKETS, Range, reallocate, room_beside
from balancer.domain.app import AppName, BranchName
from balancer.domain.audience import EVERYONE, Audience
from balancer.domain.declaration import check_metrics
from balancer.domain.event import EventName, VisitorId
from balancer.domain.metric import Metric, MetricName, implied
from balancer.domain.weights import check_weights
from balancer.errors import InvalidName, InvalidSplit, InvalidWeights

# 65,535, because HAProxy looks a bucket up as the IPv4 address `split number × 65,536 + bucket`.
LAST_SPLIT_NUMBER = 65_535
# What the branch is called that is made for an A/A split.
TWIN = BranchName("aa")
# What the branch is called that is made for a push to the default branch, while a part of the visitors gets it.
CANARY = BranchName("canary")
_SPLIT_ID = re.compile(r"s[1-9][0-9]{0,4}")
# 80 and 500: a name fits a line of a table, a hypothesis is a sentence or two.
_NAME_LIMIT, _HYPOTHESIS_LIMIT = 80, 500
# 90 %: with less than a tenth of the visitors there is nothing to compare.
_HELD_OUT_LIMIT = 9_000


class SplitId(str):
    """The id of a split, such as `s17`; it salts the assignment."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName."""
        if not _SPLIT_ID.fullmatch(text) or int(text[1:]) > LAST_SPLIT_NUMBER:
            raise InvalidName(f"{text!r} is no id of a split: they are s1 to s{LAST_SPLIT_NUMBER}")
        return super().__new__(cls, text)

    @property
    def number(self) -> int:
        """The 17 of `s17`."""
        return int(self[1:])


class SplitState(Enum):
    """Where a split is in its life."""

    RUNNING = "running"
    PAUSED = "paused"
    """Who has a variant keeps it, and nobody new is assigned."""
    CONCLUDED = "concluded"
    """It has a winner, which is what everyone sees."""
    CANCELLED = "cancelled"


OVER = frozenset({SplitState.CONCLUDED, SplitState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A time span of a split with constant weights."""

    number: int
    weights: Mapping[BranchName, int]
    """Units of 0.01 %, in the order in which the variants were named."""
    started_at: datetime

    def __post_init__(self) -> None:
        check_weights(self.weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What a split was begun with; it stays for as long as the split does."""

    name: str | None = None
    """For people."""
    hypothesis: str | None = None
    """What is believed, and will be shown or not."""
    metrics: tuple[Metric, ...] = ()
    """Those that were declared when it started; what is declared later counts from the next split on."""
    metric: MetricName | None = None
    """What decides: the name of one of these, or else of an event, which visitors do or do not."""
    aa: bool = False
    """Whether nothing is to differ between its variants: it tries the measuring out."""
    twin: BranchName | None = None
    """The branch that was made for an A/A split, and goes with it."""
    canary: BranchName | None = None
    """The branch that was made of a push to the control, and goes with the split unless visitors see it then."""
    decide_at: datetime | None = None
    """When it is decided, on a date declared before, with nothing read until then; None: whenever it is clear."""
    audience: Audience = EVERYONE
    """Who can be assigned."""
    bandit: bool = False
    """Whether its weights follow what visitors do: it is there to earn, not to know."""
    rollout: bool = False
    """Whether it was begun by a rollout, which gives it its weights: without a metric that goes by its guardrails."""
    held_out: int = 0
    """The part of all visitors that is never assigned, in units of 0.01 %."""

    def __post_init__(self) -> None:
        for what, text, limit in (("name", self.name, _NAME_LIMIT), ("hypothesis", self.hypothesis, _HYPOTHESIS_LIMIT)):
            if text is not None and not (0 < len(text) <= limit and text.isprintable()):
                raise InvalidSplit(f"the {what} of a split must be one line of at most {limit} characters")
        if not 0 <= self.held_out <= _HELD_OUT_LIMIT:
            raise InvalidSplit("from 0 to 90 % of the visitors can be held out")
        check_metrics(self.metrics)
        if self.twin is not None and not self.aa:
            raise InvalidSplit(f"{self.twin} can only be made for an A/A split")
        if self.canary is not None and self.aa:
            raise InvalidSplit("a canary differs from its control: it can have no A/A split")
        if self.decide_at is not None and self.decide_at.tzinfo is None:
            raise InvalidSplit("the date of a decision must say in which time zone it is")
        if self.primary is not None and not self.primary.decides:
            raise InvalidSplit(f"the metric {self.metric} is a quantile, which is for display: name another to decide")

    @property
    def made(self) -> BranchName | None:
        """The branch that was made for the split, and goes with it."""
        return self.twin or self.canary

    @property
    def primary(self) -> Metric | None:
        """The metric that decides; where only an event of that name is known, who did it.

        Raises InvalidName where the name is neither.
        """
        if self.metric is None:
            return None
        of_name = (metric for metric in self.metrics if metric.name == self.metric)
        return next(of_name, None) or implied(EventName(self.metric), valued=False)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A share-out of an app's visitors among branches."""

    id: SplitId
    app: AppName
    control: BranchName
    phases: tuple[Phase, ...]
    state: SplitState
    ended_at: datetime | None
    expected_visitors: int
    """N* of the statistics: visitors expected in 14 days, at least 5,000; frozen when the split starts."""
    brief: Brief = Brief()
    winner: BranchName | None = None
    """What a concluded split has shown to be best, or its operator believed to be."""

    def __post_init__(self) -> None:
        if not self.phases or [phase.number for phase in self.phases] != list(range(1, len(self.phases) + 1)):
            raise InvalidWeights(f"the phases of {self.id} must count 1, 2, 3 …")
        if self.control not in self.variants:
            raise InvalidWeights(f"the control {self.control} must be one of the branches of the split")
        if (self.state in OVER) != (self.ended_at is not None):
            raise InvalidSplit(f"{self.id} is {self.state.value}, and its end does not fit that")
        if (self.state is SplitState.CONCLUDED) != (self.winner is not None):
            raise InvalidSplit(f"{self.id} is {self.state.value}, and its winner does not fit that")

    @property
    def phase(self) -> Phase:
        """The phase that new visitors are assigned in."""
        return self.phases[-1]

    @property
    def variants(self) -> tuple[BranchName, ...]:
        """The branches of the present phase, in the order in which they were named."""
        return tuple(self.phase.weights)

    @property
    def started_at(self) -> datetime:
        """When the first phase began."""
        return self.phases[0].started_at

    @property
    def allocation(self) -> tuple[Range, ...]:
        """The buckets of each variant in the present phase."""
        ranges: tuple[Range, ...] = ()
        for phase in self.phases:
            ranges = reallocate(ranges, phase.weights, self.room)
        return ranges

    @property
    def room(self) -> int:
        """How many buckets the variants share; those from here on are held out."""
        return room_beside(self.brief.held_out)


def control_of(weights: Mapping[BranchName, int], asked: BranchName | None, served: BranchName | None) -> BranchName:
    """Return the control of a new split: what was asked for, else what visitors see, else the first that is named.

    Raises InvalidWeights where what was asked for takes no part.
    """
    chosen = asked or (served if served is not None and served in weights else next(iter(weights)))
    if chosen not in weights:
        raise InvalidWeights(f"the control {chosen} must be one of the branches of the split: {', '.join(weights)}")
    return chosen


def bucket(split: SplitId, visitor: VisitorId) -> int:
    """Return the bucket of a visitor in a split, 0 to 65,535; HAProxy computes the same."""
    return bucket_of(split, visitor)


def bucket_of(salt: str, text: str) -> int:
    """Return the bucket of any text under a salt, 0 to 65,535."""
    return xxhash.xxh32_intdigest(f"{salt}:{text}".encode()) & (BUCKETS - 1)


def assign(split: Split, visitor: VisitorId) -> BranchName | None:
    """Return the variant that a new visitor is to see; None where they are held out."""
    place = bucket(split.id, visitor)
    return next((piece.variant for piece in split.allocation if piece.start <= place < piece.stop), None)
