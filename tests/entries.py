"""Entries of the ledger, made for tests, and a ledger asked about them."""

from collections import Counter
from collections.abc import Sequence

from balancer.domain.entry import EXPOSURE, Batch, Entry
from balancer.domain.event import EventSource
from balancer.domain.split import SplitId
from balancer.stats.cells import Measure, Part, SplitCells, SplitQuestion, What
from balancer.store.ledger import DuckLedger
from edge_lines import ASSIGNED_AT, visitor

# The end of the year 9999, in milliseconds: nothing arrives later.
ALWAYS = 253_402_300_799_999
# 1,000 years, in milliseconds: no window ends before.
FOREVER = 1_000 * 365 * 86_400_000


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


def asked(*events: str, of: Sequence[What] = (What.EVENTS,)) -> SplitQuestion:
    """Ask for all that exposed visitors ever did of these events; a measure has its event's name."""
    return SplitQuestion(
        app="shop",
        split="s1",
        phases=(1, 2),
        variants=("master", "test"),
        measures=tuple(
            Measure(name=event, y=Part(event=event, what=what), until=FOREVER) for event in events for what in of
        ),
        as_of=ALWAYS,
    )


def names(ledger: DuckLedger) -> list[str]:
    """Return what the app calls its events."""
    return [each.event for each in ledger.names("shop").names]


def everything(ledger: DuckLedger) -> SplitCells:
    """Return all that exposed visitors did, in every way it can be asked for."""
    return ledger.cells(asked(*names(ledger), of=tuple(What)))


def counted(ledger: DuckLedger, *events: str) -> dict[str, int]:
    """Return how often exposed visitors did each event, of `events` or else of all, that they did at all."""
    found = ledger.cells(asked(*(events or names(ledger)))).measures
    counts = {each.name: sum(cell.events for cell in each.cells) for each in found}
    return {event: count for event, count in counts.items() if count}


def exposed(ledger: DuckLedger) -> dict[tuple[int, str], int]:
    """Return how many exposed visitors each phase and variant has, of those that have any."""
    visitors: Counter[tuple[int, str]] = Counter()
    for cell in ledger.cells(asked()).exposed:
        visitors[cell.phase, cell.variant] += cell.visitors
    return dict(visitors)
