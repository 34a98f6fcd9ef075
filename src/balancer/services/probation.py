"""Probation: a release that dies soon after it went live gives way to the one before.

Invariants:
    * A release is rolled back once; what it gives way to is older, so two bad releases never take turns.
    * What cannot be rolled back is left to the reconciler, which starts it again with back-off.
"""

import asyncio
from collections.abc import Mapping

from balancer import logs
from balancer.clock import Clock
from balancer.domain.plan import Exit
from balancer.domain.probation import Failure, failures
from balancer.errors import BalancerError, ReleaseNotFound
from balancer.services.interfaces import Supervisor
from balancer.services.registry import Registry
from balancer.services.rollback import Rollbacks
from balancer.services.stamps import Stamps

log = logs.named("probation")


class Probation:
    """Watches over releases that have just gone live."""

    def __init__(
        self,
        registry: Registry,
        supervisor: Supervisor,
        rollbacks: Rollbacks,
        stamps: Stamps,
        *,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._supervisor = supervisor
        self._rollbacks = rollbacks
        self._stamps = stamps
        self._clock = clock
        self._woken = asyncio.Event()
        self._seen: set[int] = set()
        """Releases that failed, each to be rolled back once."""
        self._retreats: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Have a look soon: an instance has ended."""
        self._woken.set()

    async def run(self) -> None:
        """Roll back what fails; until cancelled."""
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                await self._look()
        finally:
            for task in self._retreats:
                task.cancel()
            await asyncio.gather(*self._retreats, return_exceptions=True)

    async def _look(self) -> None:
        exits: Mapping[int, Exit] = dict(self._supervisor.exits)
        try:
            snapshot = self._stamps.mended(await self._registry.snapshot())
        except BalancerError as reason:
            log.warning("probation.blind", reason=str(reason))
            return
        for failure in failures(snapshot, exits, self._clock()):
            if failure.release.id not in self._seen:
                self._seen.add(failure.release.id)
                task = asyncio.create_task(self._retreat(failure))  # each of its own: it may wait for its turn
                self._retreats.add(task)
                task.add_done_callback(self._retreats.discard)

    async def _retreat(self, failure: Failure) -> None:
        bad, why = failure.release, str(failure)
        try:
            good = await self._rollbacks.retreat(bad, why)
        except ReleaseNotFound as reason:
            log.error(
                "release.failing",
                app=bad.app,
                branch=bad.branch,
                release=bad.number,
                reason=why,
                consequence=str(reason),
            )
        except BalancerError as reason:
            log.error(
                "release.not.rolled.back",
                app=bad.app,
                branch=bad.branch,
                release=bad.number,
                reason=why,
                consequence=str(reason),
            )
        else:
            if good:
                log.error(
                    "release.rolled.back",
                    app=bad.app,
                    branch=bad.branch,
                    release=bad.number,
                    reason=why,
                    to=good.number,
                )
