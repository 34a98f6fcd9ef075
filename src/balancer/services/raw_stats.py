"""The raw statistics: for each event of each branch how many, of what value, of how many visitors, and when.

Invariants:
    * The app's time zone decides which hour, day, week and month an event belongs to.
    * Nothing is compared, and nothing is left out: neither who was not exposed nor who was seen in two variants.
    * Visitors do not add up over buckets: each figure is counted by itself, that of the whole range too.

Everything in an answer is plain, so that JSON carries it there and back. Read by the admin API and the CLI.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from balancer.domain.app import AppName
from balancer.domain.calendar import (
    DAY_MILLISECONDS,
    HOUR_MILLISECONDS,
    Bucket,
    TimeZone,
    Unit,
    buckets,
    moment,
    offsets,
)
from balancer.domain.split import SplitId
from balancer.errors import InvalidInput
from balancer.services.registry import Registry
from balancer.services.time_zone import zone_of
from balancer.stats.raw import RawCell, RawCells, RawQuestion

# 20,000: two years of hours.
_BUCKETS_LIMIT = 20_000
# The last of a month begins up to 31 days after its first moment, and a day is up to 14 h away from UTC's.
_AROUND_MILLISECONDS = 33 * DAY_MILLISECONDS


class Ledger(Protocol):
    """What has the events."""

    async def raw(self, question: RawQuestion) -> RawCells:
        """Return how many events there are, and of how many visitors. Raises InvalidInput, LedgerUnavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawBucket:
    """An hour, day, week or month."""

    label: str
    """`2026-10-25T02:00+01:00`, `2026-10-25`, of a week its Monday, of a month `2026-10`."""
    start: str
    end: str
    """ISO 8601, with the app's distance from UTC."""
    hours: float
    """How long it is: a day has 23 or 25 where the clock is changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRow:
    """What there is of an event of a branch."""

    event: str
    branch: str | None
    """The one that the visitors were assigned to; None where what was recorded tells of none."""
    bucket: str | None
    """Its label; None: the whole range."""
    count: int
    valued: int
    """How many of them carried a value; mean and SD are over these."""
    mean: float | None
    sd: float | None
    """The square root of the sample variance (n − 1)."""
    visitors: int
    """Different ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawStatistics:
    """The rows that have events; `totals` are over the whole range."""

    app: str
    timezone: str
    by: Unit | None
    split: str | None
    """None: of all splits, and of none."""
    buckets: tuple[RawBucket, ...]
    """All of the range, also those without events; from the first with an event on where no range was given."""
    rows: tuple[RawRow, ...]
    totals: tuple[RawRow, ...]


class RawStats:
    """Answers how many events there are."""

    def __init__(self, registry: Registry, ledger: Ledger, clock: Callable[[], datetime], zone: TimeZone) -> None:
        """Count in `zone` where an app does not name one."""
        self._registry = registry
        self._ledger = ledger
        self._clock = clock
        self._zone = zone

    async def of(
        self,
        app: AppName,
        by: Unit | None,
        *,
        event: str | None = None,
        split: SplitId | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> RawStatistics:
        """Return the statistics of an app; `since` and `until` are dates, or times, on the wall of its zone.

        Raises AppNotFound, SplitNotFound, InvalidInput, LedgerUnavailable.
        """
        zone = await zone_of(self._registry, app, self._zone)
        if split is not None:
            await self._registry.split(app, split)
        first = None if since is None else moment(zone, since)
        last = None if until is None else moment(zone, until, end=True)
        if first is not None and last is not None and first >= last:
            raise InvalidInput(f"from {since} to {until} there is no time; give the earlier one first")
        now = round(self._clock().timestamp() * 1000)
        # A week ahead, because what was recorded may be of a clock that is fast.
        walls = offsets(zone, first or 0, last or now + 7 * DAY_MILLISECONDS)
        found = await self._ledger.raw(
            RawQuestion(
                app=str(app),
                unit=None if by is None else by.value,
                offsets=walls,
                event=event,
                split=None if split is None else str(split),
                since=first,
                until=last,
            )
        )
        shown = _buckets(zone, by, found.cells, first, last)
        branches = {
            branch.slug: str(branch)
            for each in await self._registry.splits(app)
            for phase in each.phases
            for branch in phase.weights
        }
        labels = {bucket.number: bucket.label for bucket in shown}
        rows = tuple(_row(cell, branches, labels) for cell in found.cells)
        return RawStatistics(
            app=str(app),
            timezone=str(zone),
            by=by,
            split=None if split is None else str(split),
            buckets=tuple(_shown(zone, bucket) for bucket in shown),
            rows=tuple(row for row in rows if row.bucket is not None),
            totals=tuple(row for row in rows if row.bucket is None),
        )


def _buckets(
    zone: TimeZone, by: Unit | None, cells: tuple[RawCell, ...], since: int | None, until: int | None
) -> tuple[Bucket, ...]:
    """Return the buckets of the range; where it has no end, to the last one with an event."""
    numbers = [cell.bucket for cell in cells if cell.bucket is not None]
    if by is None or not numbers:
        return ()
    # Each hour costs its label; an hour is known by its first moment, so one on either side is enough.
    scale, around = (1, HOUR_MILLISECONDS) if by is Unit.HOUR else (DAY_MILLISECONDS, _AROUND_MILLISECONDS)
    first = min(numbers) * scale - around if since is None else since
    last = max(numbers) * scale + around if until is None else until
    shortest = {Unit.HOUR: 1, Unit.DAY: 23, Unit.WEEK: 167, Unit.MONTH: 671}[by] * 3_600_000
    if (last - first) / shortest > _BUCKETS_LIMIT:
        raise InvalidInput(f"these are more than {_BUCKETS_LIMIT} {by.value}s; name a shorter range")
    return tuple(
        bucket
        for bucket in buckets(zone, by, first, last)
        if (since is not None or bucket.number >= min(numbers)) and (until is not None or bucket.number <= max(numbers))
    )


def _shown(zone: TimeZone, bucket: Bucket) -> RawBucket:
    start, end = (
        datetime.fromtimestamp(at / 1000, zone.rules).isoformat(timespec="minutes") for at in (bucket.start, bucket.end)
    )
    return RawBucket(label=bucket.label, start=start, end=end, hours=bucket.hours)


def _row(cell: RawCell, branches: dict[str, str], labels: dict[int, str]) -> RawRow:
    return RawRow(
        event=cell.event,
        branch=branches.get(cell.variant, cell.variant) or None,
        bucket=None if cell.bucket is None else labels[cell.bucket],
        count=cell.count,
        valued=cell.values.n,
        mean=cell.values.mean if cell.values.n else None,
        sd=cell.values.sd,
        visitors=cell.visitors,
    )
