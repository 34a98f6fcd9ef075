"""The report of a split cut by release: what the visitors of each release of a variant did.

Invariants:
    * Nothing is compared and nothing is read from it: who came under which release is a matter of time, not of chance.
    * The releases of a variant add up to its visitors in the report.

Everything in it is plain, so that JSON carries it there and back. Read by the admin API and the CLI.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from balancer.domain.app import BranchName
from balancer.domain.release import Release
from balancer.domain.split import Split, SplitState
from balancer.services.outcome import branches_of
from balancer.stats.moments import Moments
from balancer.stats.tally import Mark, ReleaseEvent, ReleaseExposed, ReleaseTally


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFigures:
    """What the visitors of one release did of one event."""

    event: str
    count: int
    """Events."""
    mean: float | None
    """Of the values that the events carried; None where they carried none."""
    sd: float | None
    """Of the same values; None below two of them."""
    converted: int
    """Visitors with at least one event."""
    rate: float | None
    """converted / visitors; None without visitors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOutcome:
    """The visitors of a variant who were exposed by one release. Times are ISO 8601 in UTC."""

    branch: str
    release: int | None
    """Its number; None where nothing tells which one it was."""
    commit: str | None
    live_at: str | None
    """When it went live, the last time; None where the registry does not know the release."""
    visitors: int
    events: tuple[ReleaseFigures, ...]
    """By name; every event of the split, zeros included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseReport:
    """One look at a split, by release."""

    app: str
    split: str
    state: SplitState
    control: str
    exploratory: bool
    """Always true: releases are not randomised, so a difference between two of them may be one of weekdays."""
    releases: tuple[ReleaseOutcome, ...]
    """The control's first, and of each branch the oldest first."""


def marks(split: Split, releases: Iterable[Release]) -> tuple[Mark, ...]:
    """Return which release each branch of a split had when, as far as `releases` tell."""
    branches = branches_of(split)
    return tuple(
        Mark(variant=release.branch.slug, release=release.id, since=int(release.activated_at.timestamp() * 1000))
        for release in releases
        if release.branch in branches and release.activated_at
    )


def release_report(split: Split, tally: ReleaseTally, releases: Iterable[Release]) -> ReleaseReport:
    """Return what `tally` says of `split`, whose releases are among `releases`."""
    known = {release.id: release for release in releases}
    names = sorted({cell.event for cell in tally.events})
    did = {(cell.event, cell.variant, cell.release): cell for cell in tally.events}

    def outcome(branch: BranchName, cell: ReleaseExposed) -> ReleaseOutcome:
        release = known.get(cell.release) if cell.release is not None else None
        return ReleaseOutcome(
            branch=str(branch),
            release=release.number if release else None,
            commit=str(release.commit) if release else None,
            live_at=release.activated_at.isoformat() if release and release.activated_at else None,
            visitors=cell.visitors,
            events=tuple(
                _figures(did.get((name, cell.variant, cell.release)) or _nothing(name, cell), cell.visitors)
                for name in names
            ),
        )

    return ReleaseReport(
        app=str(split.app),
        split=str(split.id),
        state=split.state,
        control=str(split.control),
        exploratory=True,
        releases=tuple(
            outcome(branch, cell)
            for branch in branches_of(split)
            for cell in sorted(tally.exposed, key=lambda cell: cell.release or 0)
            if cell.variant == branch.slug
        ),
    )


def _nothing(event: str, cell: ReleaseExposed) -> ReleaseEvent:
    return ReleaseEvent(
        event=event, variant=cell.variant, release=cell.release, count=0, converted=0, values=Moments.empty()
    )


def _figures(did: ReleaseEvent, visitors: int) -> ReleaseFigures:
    return ReleaseFigures(
        event=did.event,
        count=did.count,
        mean=did.values.mean if did.values.n else None,
        sd=did.values.sd,
        converted=did.converted,
        rate=did.converted / visitors if visitors else None,
    )
