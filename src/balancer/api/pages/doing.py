"""What goes on with an app: deploys and other changes, each a card with its steps and its log.

Invariants:
    * What has ended stays for a while, with its log.
    * A line of a log is shown once, whether it was there when the card came or was written later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from balancer.api.pages.acting import Viewer
from balancer.api.pages.legible import legible
from balancer.api.pages.live import Parts
from balancer.api.pages.rendering import KINDS, fragment
from balancer.api.platform import Platform
from balancer.domain.app import BranchName
from balancer.domain.release import Release, ReleaseState
from balancer.runner.instance_logs import NamedLine, Reader
from balancer.services.app_detail import AppDetail
from balancer.services.deploy_standing import is_under_way
from balancer.services.undertakings import Undertaking

_KEPT_FOR = timedelta(minutes=15)
# 300: what a build prints fits; all of it is on the page of its release.
_LINES_SHOWN = 300
# 400 a look: more nobody reads, and the browser would do nothing else.
NEWS_LIMIT = 400
_STEPS = (ReleaseState.BUILDING, ReleaseState.STARTING, ReleaseState.LIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Something that goes on, or has just ended."""

    key: str
    """Id of its element."""
    title: str
    by: str
    since: datetime
    kind: str
    """Of its light."""
    word: str
    steps: tuple[str, ...] = ()
    at: int = 0
    """How many of the steps are reached."""
    failure: str | None = None
    link: str | None = None
    cancels: BranchName | None = None
    """The branch whose deploy can be cancelled."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.kind != "busy"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log, as the browser gets it."""

    text: str
    at: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", legible(self.text))


def plain(line: NamedLine) -> Line:
    """Return a line with its time and its instance."""
    return Line(text=line.text, at=line.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), name=line.name)


def lines_event(element: str, lines: Sequence[Line]) -> tuple[str, object]:
    """Return the event that adds lines to an element; of very many the last ones."""
    shown = lines[-NEWS_LIMIT:]
    made = [
        {
            name: value
            for name, value in (("at", each.at), ("name", each.name), ("text", each.text))
            if value is not None
        }
        for each in shown
    ]
    return "lines", {"id": element, "lines": made, "skipped": len(lines) - len(shown)}


def cards_of(detail: AppDetail, undertakings: Sequence[Undertaking]) -> dict[Card, Release | Undertaking]:
    """Return a card for each thing that goes on or has just ended, the newest first, and what it is of."""
    after = detail.made_at - _KEPT_FOR
    shown = [
        each.release
        for place, each in enumerate(detail.releases)
        if is_under_way(each.release) or (place == 0 and each.release.created_at >= after)
    ]
    deploys: dict[Card, Release | Undertaking] = {_of_release(release): release for release in shown}
    return {_of_undertaking(each): each for each in reversed(undertakings)} | deploys


def _of_release(release: Release) -> Card:
    state = release.state
    has_ended = not is_under_way(release)
    failed = state is ReleaseState.FAILED
    return Card(
        key=f"deploy-{release.number}",
        title=f"{release.branch} release {release.number}: {release.subject}",
        by=release.author,
        since=release.created_at,
        kind=KINDS[state],
        word=state.value,
        steps=tuple(each.value for each in _STEPS),
        at=len(_STEPS) if has_ended and not failed else (_STEPS.index(state) if state in _STEPS else 0),
        failure=release.reason if failed else None,
        link=f"/apps/{release.app}/releases/{release.number}",
        cancels=None if has_ended else release.branch,
    )


def _of_undertaking(each: Undertaking) -> Card:
    kind = "busy" if each.ended_at is None else ("bad" if each.failure else "good")
    return Card(
        key=f"change-{each.number}",
        title=each.title,
        by="",
        since=each.began_at,
        kind=kind,
        word={"busy": "under way", "bad": "failed", "good": "done"}[kind],
        failure=each.failure,
    )


class Doing:
    """The cards of one page, and what was shown of their logs."""

    def __init__(self, on: Platform, viewer: Viewer) -> None:
        self._on = on
        self._viewer = viewer
        self._shown: tuple[str, ...] | None = None
        self._readers: dict[str, Reader] = {}
        self._told: dict[str, tuple[Undertaking, int]] = {}
        """Each change, and how many of its lines were shown."""
        self._words: dict[str, tuple[str, str]] = {}
        """Title and state of each card, to say when it is another one."""
        self._to_say: list[str] = []

    async def whole(self, detail: AppDetail) -> str:
        """Return all cards with their logs, and begin to follow these."""
        cards = cards_of(detail, self._on.undertakings.of(detail.app.name))
        self._shown = tuple(card.key for card in cards)
        self._readers, self._told = {}, {}
        logs: dict[str, list[Line]] = {}
        for card, of in cards.items():
            if isinstance(of, Undertaking):
                self._told[card.key] = (of, of.told)
                logs[card.key] = [Line(text) for text in of.lines]
            else:
                reader = self._readers[card.key] = Reader(partial(_files, self._on.workspace.build_log(of)))
                logs[card.key] = [Line(line.text) for line in await reader.begin(_LINES_SHOWN)]
        self._note(list(cards))
        return fragment("doing.html", "doing", detail.app.name, list(cards), logs, self._viewer)

    async def parts(self, detail: AppDetail) -> Parts:
        """Return what has changed of them: all, where one came or went, else their heads."""
        cards = list(cards_of(detail, self._on.undertakings.of(detail.app.name)))
        if self._shown != tuple(card.key for card in cards):
            return {"doing": await self.whole(detail)}
        self._note(cards)
        name = detail.app.name
        return {f"{card.key}-head": fragment("doing.html", "head", name, card, self._viewer) for card in cards}

    async def news(self) -> list[tuple[str, object]]:
        """Return the lines that were written since, and what is to be said of what has changed."""
        found: list[tuple[str, object]] = [("say", text) for text in self._to_say]
        self._to_say.clear()
        for key, reader in self._readers.items():
            if lines := [Line(line.text) for line in await reader.news()]:
                found.append(lines_event(f"log-{key}", lines))
        for key, (change, told) in self._told.items():
            if lines := [Line(text) for text in change.lines_from(told)]:
                self._told[key] = (change, change.told)
                found.append(lines_event(f"log-{key}", lines))
        return found

    def _note(self, cards: Sequence[Card]) -> None:
        for card in cards:
            if self._words and self._words.get(card.key, (card.title, ""))[1] != card.word:
                self._to_say.append(f"{card.title}: {card.word}")
        self._words = {"": ("", ""), **{card.key: (card.title, card.word) for card in cards}}


async def _files(log: Path) -> Mapping[str, Path]:
    return {"build": log}
