"""The lookout: whatever goes on by itself (a rollout, a bandit) is looked after each second.

Invariants:
    * One of them that waits for anything holds up no other one, and is looked at once at a time.
    * A look that fails, however, is followed by another one.

Used by `rollouts` and `bandits`, which say what a look does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Generic, Protocol, TypeVar

from balancer import logs
from balancer.domain.app import AppName
from balancer.domain.split import SplitId
from balancer.errors import BalancerError, IllegalTransition

log = logs.named("lookout")
# 1 s: five requests in a row have failed within it at 5 a second, and to look costs HAProxy a millisecond.
_EVERY_SECONDS = 1.0


class _Steered(Protocol):
    """What is looked after."""

    @property
    def number(self) -> int:
        """What tells it from others of its kind."""

    @property
    def app(self) -> AppName:
        """Whose it is."""

    @property
    def split(self) -> SplitId:
        """The split that it steers."""


Each = TypeVar("Each", bound=_Steered)


class Lookout(Generic[Each]):
    """Looks after what goes on, of one kind."""

    def __init__(
        self, of: str, those_open: Callable[[], Awaitable[Iterable[Each]]], look: Callable[[Each], Awaitable[None]]
    ) -> None:
        """`of` is the kind, for the log; `look` raises IllegalTransition where somebody was quicker."""
        self._of = of
        self._those_open = those_open
        self._look = look
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Look each second; until cancelled."""
        try:
            while True:
                await asyncio.sleep(_EVERY_SECONDS)
                try:
                    self._begin(await self._those_open())
                except BalancerError as reason:
                    log.warning("look.blind", of=self._of, reason=str(reason))
        finally:
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, those_open: Iterable[Each]) -> None:
        for each in those_open:
            if each.number not in self._tasks:
                task = asyncio.create_task(self._guarded(each))
                self._tasks[each.number] = task
                task.add_done_callback(partial(self._over, each.number))

    def _over(self, number: int, task: asyncio.Task[None]) -> None:
        self._tasks.pop(number, None)

    async def _guarded(self, each: Each) -> None:
        try:
            await self._look(each)
        except IllegalTransition:
            pass  # somebody was quicker: the next second sees what it is now
        except BalancerError as reason:
            log.warning("look.late", of=self._of, app=each.app, split=each.split, reason=str(reason))
        except Exception as error:  # noqa: BLE001 - the next second is another chance, whatever failed
            log.error("look.broke", of=self._of, error=error, app=each.app, split=each.split)
