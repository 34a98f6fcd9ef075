"""Watching: what is asked for each second until it is over, and shown as it changes.

Invariant: a daemon that is away for a while (an upgrade, a crash) ends no watching that has begun; that is said.

Used by `rollout status --watch` and `bandit status --watch`.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import typer
from rich.console import Group, RenderableType
from rich.live import Live

from balancer.cli import output
from balancer.domain.rollout import RolloutState
from balancer.errors import DaemonUnreachable

T = TypeVar("T")
# A second: as often as the platform looks itself.
_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look(Generic[T]):
    """What was found."""

    found: T
    away: bool = False
    """Whether no daemon answers just now, so that it is what was found before."""


def looks(ask: Callable[[], T], over: Callable[[T], bool]) -> Iterator[Look[T]]:
    """Give what is asked for until it is over. Raises DaemonUnreachable where no daemon answers the first time."""
    look = Look(found=ask())
    while True:
        yield look
        if over(look.found):
            return
        time.sleep(_SECONDS)
        try:
            look = Look(found=ask())
        except DaemonUnreachable:
            look = Look(found=look.found, away=True)


def show(
    found: Iterator[Look[T]], shown: Callable[[T], RenderableType], news: Callable[[T], object] = lambda found: found
) -> T:
    """Show what is found: on a terminal each in the place of the one before, else whenever there are `news`.

    Return what was found last.
    """
    if not output.console.is_terminal:
        return _print(found, shown, news)
    with Live(console=output.console, auto_refresh=False) as screen:
        look = next(found)
        screen.update(_now(look, shown), refresh=True)
        for look in found:
            screen.update(_now(look, shown), refresh=True)
    return look.found


def _print(found: Iterator[Look[T]], shown: Callable[[T], RenderableType], news: Callable[[T], object]) -> T:
    look = next(found)
    output.console.print(_now(look, shown))
    before = (news(look.found), look.away)
    for look in found:
        now = (news(look.found), look.away)
        if now != before:
            output.console.print(_now(look, shown))
        before = now
    return look.found


def _now(look: Look[T], shown: Callable[[T], RenderableType]) -> RenderableType:
    now = shown(look.found)
    if not look.away:
        return now
    return Group(now, "[bold]No daemon answers[/] just now: so it stood. Asked each second, until Ctrl-C")


def print_changes(found: Iterator[Look[T]]) -> T:
    """Print what is found as JSON, a line whenever it has changed; return what was found last."""
    before = next(found).found
    output.print_json(before)
    for look in found:
        if look.found != before:
            output.print_json(look.found)
            before = look.found
    return before


def exit_as_it_ended(state: str) -> None:
    """Let the command fail where what was watched did not come to its end, so that a script can go by it."""
    if state != RolloutState.DONE.value:
        raise typer.Exit(1)
