"""Undertakings: changes that somebody asked for on a page, and that may go on after the page was answered.

Invariants:
    * What was begun goes on to its end, whoever looks away.
    * What it told and how it ended can be seen for a while after, and no longer; what is kept is bounded.

They are in memory alone: a daemon that dies breaks them off, and what each of them had changed is put right by the
next one, as that of a command is.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from balancer import logs
from balancer.clock import Clock
from balancer.domain.app import AppName
from balancer.errors import BalancerError, Conflict, deliberate
from balancer.services.interfaces import Tell

log = logs.named("undertaking")
# 500 lines: more than any change tells; what a release command prints beyond it is in the log of its release.
_LINES_LIMIT = 500
KEPT_FOR = timedelta(minutes=15)
"""Long enough that who comes back from a coffee sees how it ended."""
# 20 of an app at once: they wait for each other's turn, so more of them is a finger that stays on a button.
_AT_ONCE = 20


class Undertaking:
    """One change that was begun."""

    def __init__(self, number: int, app: AppName, title: str, began_at: datetime) -> None:
        self.number = number
        self.app = app
        self.title = title
        self.began_at = began_at
        self.ended_at: datetime | None = None
        self.failure: str | None = None
        """Why it failed; None unless it did."""
        self.error: BalancerError | None = None
        """The same, where it is an error of ours."""
        self.told = 0
        """How many lines it has told."""
        self.lines: deque[str] = deque(maxlen=_LINES_LIMIT)
        """The latest of them."""

    def tell(self, line: str) -> None:
        """Add what it tells."""
        for each in line.splitlines() or [""]:
            self.told += 1
            self.lines.append(each)

    def lines_from(self, position: int) -> list[str]:
        """Return the lines that it told after the first `position` ones, as far as they are kept."""
        new = min(self.told - position, len(self.lines))
        return list(self.lines)[len(self.lines) - new :] if new > 0 else []


class Undertakings:
    """All of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._kept: list[Undertaking] = []
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def of(self, app: AppName) -> list[Undertaking]:
        """Return those of an app that go on or ended lately, the oldest first."""
        self._forget()
        return [each for each in self._kept if each.app == app]

    def begin(self, app: AppName, title: str, work: Callable[[Tell], Awaitable[object]]) -> Undertaking:
        """Begin what `work` does. Raises Conflict where too much of the app is under way."""
        self._forget()
        if sum(each.ended_at is None for each in self.of(app)) >= _AT_ONCE:
            raise Conflict(f"{_AT_ONCE} changes of {app} are under way already; wait until one of them has ended")
        begun = Undertaking(next(self._numbers), app, title, self._clock())
        self._kept.append(begun)
        task = asyncio.ensure_future(self._carry_out(begun, work))
        self._tasks[begun.number] = task
        task.add_done_callback(lambda _: self._tasks.pop(begun.number, None))
        return begun

    async def wait(self, begun: Undertaking, seconds: float) -> bool:
        """Wait until it has ended, for so long at most, and tell whether it has."""
        if task := self._tasks.get(begun.number):
            await asyncio.wait({task}, timeout=seconds)
        return begun.ended_at is not None

    def dismiss(self, ended: Undertaking) -> None:
        """Forget one that has ended, since whoever asked for it was told."""
        self._kept.remove(ended)

    async def _carry_out(self, begun: Undertaking, work: Callable[[Tell], Awaitable[object]]) -> None:
        try:
            await work(begun.tell)
        except (BalancerError, OSError) as reason:
            error = deliberate(reason)
            begun.error = error if isinstance(error, BalancerError) else None
            begun.failure = str(error)
        except asyncio.CancelledError:
            begun.failure = "it was broken off: the daemon stopped"
            raise
        except Exception as reason:  # noqa: BLE001 - whoever looks at the page is told, and the log has the rest
            begun.failure = "something failed that should not; the log of the platform says what"
            log.error("undertaking.failed", app=begun.app, title=begun.title, error=reason)
        finally:
            begun.ended_at = self._clock()

    def _forget(self) -> None:
        before = self._clock() - KEPT_FOR
        self._kept = [each for each in self._kept if each.ended_at is None or each.ended_at >= before]
