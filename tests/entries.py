"""Entries of the ledger, made for tests, and a ledger asked about them."""

from balancer.domain.entry import EXPOSURE, Batch, Entry
from balancer.domain.event import EventSource
from balancer.domain.split import SplitId
from balancer.stats.tally import SplitTally
from balancer.store.ledger import DuckLedger
from edge_lines import ASSIGNED_AT, visitor


class Clock:
    """The time of arrivals, as the test sets it, in milliseconds since 1970."""

    def __init__(self) -> None:
        self.now = ASSIGNED_AT

    def __call__(self) -> int:
        return self.now


def entry(
    number: int,
    name: str,
    value: float | None = None,
    *,
    app: str = "shop",
    split: str = "s1",
    variant: str = "test",
    phase: int = 1,
    assigned_at: int = ASSIGNED_AT,
    ts: int = ASSIGNED_AT + 1000,
    event_id: str | None = None,
    source: EventSource = EventSource.HEADER,
) -> Entry:
    if name.startswith("$"):
        source = EventSource.EDGE
    return Entry(
        app=app,
        split=SplitId(split),
        variant=variant,
        phase=phase,
        visitor=visitor(number),
        assigned_at=assigned_at,
        ts=ts,
        name=name,
        value=value,
        id=event_id,
        source=source,
        release=3,
        stood_in=False,
    )


def exposure(number: int, variant: str = "test", phase: int = 1, assigned_at: int = ASSIGNED_AT) -> Entry:
    return entry(number, EXPOSURE, variant=variant, phase=phase, assigned_at=assigned_at)


def load(ledger: DuckLedger, *entries: Entry) -> None:
    ledger.load(Batch(list(entries)), "000001.log", 1)


def tally(ledger: DuckLedger) -> SplitTally:
    return ledger.tally("shop", "s1", [1, 2], ["master", "test"])
