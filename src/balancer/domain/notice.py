"""Notices: what the platform tells people and programs elsewhere of what has happened.

Invariants:
    * A notice is plain: its facts are JSON, its text one printable line.
    * Two notices with the same key are one: the second is not told.
    * No visitor stands in one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from balancer.domain.app import AppName, BranchName, Commit
from balancer.domain.release import Release
from balancer.domain.split import Split
from balancer.domain.weights import shares

# 300 characters of a reason fit a line; the facts have more of it.
_TEXT_LIMIT, _REASON_LIMIT = 300, 4000


class NoticeKind(StrEnum):
    """What has happened."""

    DEPLOY_LIVE = "deploy.live"
    DEPLOY_FAILED = "deploy.failed"
    DEPLOY_REFUSED = "deploy.refused"
    ROLLED_BACK = "release.rolled_back"
    SPLIT_STARTED = "split.started"
    SPLIT_ENDED = "split.ended"
    SPLIT_VERDICT = "split.verdict"
    SAMPLE_RATIO_ALARM = "sample_ratio.alarm"
    ROLLOUT_STARTED = "rollout.started"
    ROLLOUT_MOVED = "rollout.moved"
    ROLLOUT_READY = "rollout.ready"
    ROLLOUT_ROLLED_BACK = "rollout.rolled_back"
    ROLLOUT_ENDED = "rollout.ended"
    BANDIT_STARTED = "bandit.started"
    BANDIT_TOOK_OUT = "bandit.took_out"
    BANDIT_ENDED = "bandit.ended"
    SOURCE_FAILED = "source.failed"
    SOURCE_WORKS = "source.works"
    CRASH_LOOP = "crash_loop"
    DISK_LOW = "disk.low"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that has happened."""

    kind: NoticeKind
    app: AppName | None
    """None: it concerns the platform."""
    text: str
    """For people, one line."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """For programs: JSON."""
    key: str | None = None
    """What has this key is told once; None: always."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _line(self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptNotice:
    """A notice as it is kept until it is delivered."""

    id: str
    """The same at every attempt, and of no other notice."""
    at: datetime
    notice: Notice


def went_live(release: Release) -> Notice:
    """Say that a release is what visitors of its branch get."""
    return Notice(
        kind=NoticeKind.DEPLOY_LIVE,
        app=release.app,
        text=f"{release.app} {release.branch}: release {release.number} is live ({release.commit.short}: "
        f"{release.subject})",
        facts=facts_of(release),
    )


def did_not_go_live(release: Release, reason: str) -> Notice:
    """Say that a deploy has failed."""
    return Notice(
        kind=NoticeKind.DEPLOY_FAILED,
        app=release.app,
        text=f"{release.app} {release.branch}: release {release.number} did not go live: {reason}",
        facts={**facts_of(release), "reason": reason[:_REASON_LIMIT]},
    )


def was_refused(app: AppName, branch: BranchName, commit: Commit, reason: str) -> Notice:
    """Say that what a provider has told of is not deployed, since a freeze holds."""
    return Notice(
        kind=NoticeKind.DEPLOY_REFUSED,
        app=app,
        text=f"{app} {branch}: {commit.short} was refused, and comes by `balancer source pull {app}` alone: {reason}",
        facts={"branch": str(branch), "commit": str(commit), "reason": reason[:_REASON_LIMIT]},
    )


def was_rolled_back(bad: Release, good: Release, reason: str) -> Notice:
    """Say that the platform has gone back from a release that failed."""
    return Notice(
        kind=NoticeKind.ROLLED_BACK,
        app=bad.app,
        text=f"{bad.app} {bad.branch}: release {bad.number} was rolled back to release {good.number}: {reason}",
        facts={**facts_of(bad), "to": good.number, "reason": reason[:_REASON_LIMIT]},
    )


def split_began(split: Split) -> Notice:
    """Say that a split has begun."""
    return Notice(
        kind=NoticeKind.SPLIT_STARTED,
        app=split.app,
        text=f"{split.app}: the split {split.id} began: {shares(split.phase.weights)}",
        facts=_facts_of_split(split),
    )


def split_ended(split: Split) -> Notice:
    """Say that a split is over."""
    cancelled = "it was cancelled, and everyone sees the default branch"
    how = f"everyone sees {split.winner}" if split.winner else cancelled
    return Notice(
        kind=NoticeKind.SPLIT_ENDED,
        app=split.app,
        text=f"{split.app}: the split {split.id} is over: {how}",
        facts={**_facts_of_split(split), "winner": split.winner},
    )


def crash_loops(release: Release, instance: str, ends: int, ending: str) -> Notice:
    """Say that an instance ends again and again."""
    return Notice(
        kind=NoticeKind.CRASH_LOOP,
        app=release.app,
        text=f"{release.app} {release.branch}: the instance {instance} of release {release.number} has ended {ends} "
        f"times in a row, the last time {ending}",
        facts={**facts_of(release), "instance": instance, "ends": ends, "ending": ending},
    )


def disk_is_low(directory: str, free_bytes: int) -> Notice:
    """Say that the disk of the data directory has little room left."""
    return Notice(
        kind=NoticeKind.DISK_LOW,
        app=None,
        text=f"the disk of the data directory has {free_bytes >> 20} MB left",
        facts={"directory": directory, "free_bytes": free_bytes},
    )


def trial() -> Notice:
    """Say that notices arrive here."""
    return Notice(kind=NoticeKind.TEST, app=None, text="this is a test of Balancer: notices arrive here")


def facts_of(release: Release) -> dict[str, object]:
    """Return what programs are told of a release, with who pushed it."""
    return {
        "branch": str(release.branch),
        "release": release.number,
        "commit": str(release.commit),
        "subject": release.subject,
        "author": release.author,
    }


def named(release: Release) -> str:
    """Return a release for people, with its commit and whose that is."""
    return f"release {release.number}, {release.commit.short}" + (f" by {release.author}" if release.author else "")


def _facts_of_split(split: Split) -> dict[str, object]:
    return {
        "split": str(split.id),
        "name": split.brief.name,
        "control": str(split.control),
        "weights": {str(branch): weight / 100 for branch, weight in split.phase.weights.items()},
    }


def _line(text: str) -> str:
    """Return the first line of a text, as far as it can be printed."""
    first = next(iter(text.strip().splitlines()), "")
    shown = "".join(letter if letter.isprintable() else "?" for letter in first)
    return shown if len(shown) <= _TEXT_LIMIT else shown[: _TEXT_LIMIT - 1] + "…"
