"""Deliveries: notices are kept, and brought to those who want them.

Invariants:
    * What was kept is delivered at least once, also by a daemon after this one, or given up after a day; at once
      where the target says that it is gone.
    * A target gets its notices in their order; one that fails, or hangs, holds nobody else up for long.
    * Whoever tells is neither held up nor failed by it.
"""

import asyncio
import contextlib
from datetime import datetime
from typing import Protocol

from balancer import logs
from balancer.domain.notice import KeptNotice, Notice
from balancer.domain.target import Delivery, Target, TargetKind
from balancer.errors import BalancerError, NotDelivered, TargetGone

log = logs.named("notices")
# 10 s: who takes a notice only notes it, and does not make us wait for what it does with it.
_DEADLINE_SECONDS = 10.0
# 5 s: as long as the first pause after a failure. What is told through `tell` goes at once.
_LOOK_SECONDS = 5.0
# 8: so many may hang at the same time, each for 10 s, before the others wait.
_AT_ONCE = 8


class KeptNotices(Protocol):
    """What keeps the notices."""

    async def post(self, notice: Notice) -> None:
        """Keep a notice for the targets that want it."""

    async def due(self) -> tuple[Delivery, ...]:
        """Return what is to be delivered now: the oldest notice of each target."""

    async def settle(self, delivery: Delivery, failure: str | None, *, gone: bool = False) -> datetime | None:
        """Note how an attempt has ended; return when the next one is, None where there is none.

        `gone`: whether the target says that it takes nothing any more.
        """


class Courier(Protocol):
    """Who brings notices."""

    def check(self, kind: TargetKind) -> None:
        """Raise InvalidInput where targets of this kind cannot be told."""

    async def deliver(self, target: Target, kept: KeptNotice) -> None:
        """Bring a notice once. Raises NotDelivered, TargetGone."""


async def carry(courier: Courier, target: Target, kept: KeptNotice) -> None:
    """Let a courier bring a notice once, within the deadline. Raises NotDelivered."""
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            await courier.deliver(target, kept)
    except TimeoutError:
        raise NotDelivered(f"the target {target.id} did not answer within {_DEADLINE_SECONDS:g} s") from None


class Deliveries:
    """Keeps notices, and has them brought; the platform's Teller."""

    def __init__(self, kept: KeptNotices, courier: Courier) -> None:
        self._kept = kept
        self._courier = courier
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        """Where `run` is."""
        self._under_way: dict[int, asyncio.Task[None]] = {}
        """By target: at most one each."""

    async def tell(self, notice: Notice) -> None:
        """Keep a notice for those who want it."""
        try:
            await self._kept.post(notice)
        except Exception as reason:  # noqa: BLE001 - whatever fails here, whoever tells goes on
            log.error("notice.lost", kind=notice.kind.value, app=notice.app, text=notice.text, reason=str(reason))

    def kept(self, _notice: Notice, dropped: int) -> None:
        """Bring soon what the registry has kept with what it has done; may be called from any thread."""
        if dropped:
            log.warning("notice.dropped", notices=dropped)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the next daemon brings it
                self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self) -> None:
        """Bring what is due; until cancelled."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                self._woken.clear()
                try:
                    await self.begin()
                except BalancerError as reason:
                    log.warning("notices.waiting", reason=str(reason))
                except Exception as error:  # noqa: BLE001 - the next look is another chance, whatever failed
                    log.error("notices.broke", error=error)
                try:
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._woken.wait()
                except TimeoutError:
                    pass
        finally:
            for task in self._under_way.values():
                task.cancel()
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def begin(self) -> None:
        """Begin to bring what is due."""
        for delivery in await self._kept.due():
            target = delivery.target.id
            if len(self._under_way) < _AT_ONCE and target not in self._under_way:
                self._under_way[target] = asyncio.create_task(self._bring(delivery))

    async def quiet(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(list(self._under_way.values()))

    async def _bring(self, delivery: Delivery) -> None:
        try:
            failure = await self._attempt(delivery)
            try:
                gone = isinstance(failure, TargetGone)
                next_at = await self._kept.settle(delivery, None if failure is None else str(failure), gone=gone)
            except BalancerError as reason:  # it is brought again, but not at once
                log.warning("notices.waiting", reason=str(reason))
                await asyncio.sleep(_LOOK_SECONDS)
                return
            self._tell_of(delivery, failure, next_at)
        finally:
            del self._under_way[delivery.target.id]
            self._woken.set()

    async def _attempt(self, delivery: Delivery) -> NotDelivered | None:
        """Return why a notice was not taken, None where it was."""
        try:
            await carry(self._courier, delivery.target, delivery.kept)
        except NotDelivered as reason:
            return reason
        except Exception as error:  # noqa: BLE001 - one notice must not end them all
            log.error("notices.broke", error=error)
            return NotDelivered(f"a fault of ours ({type(error).__name__})")
        return None

    def _tell_of(self, delivery: Delivery, failure: NotDelivered | None, next_at: datetime | None) -> None:
        target, notice = delivery.target.id, delivery.kept.notice
        if failure is None:
            log.info("notice.delivered", target=target, kind=notice.kind.value, app=notice.app, id=delivery.kept.id)
        elif next_at is None:
            log.error(
                "notice.given.up",
                target=target,
                kind=notice.kind.value,
                app=notice.app,
                text=notice.text,
                reason=str(failure),
            )
        else:
            log.warning(
                "notice.not.delivered",
                target=target,
                attempts=delivery.attempts + 1,
                reason=str(failure),
                next_at=next_at,
            )
