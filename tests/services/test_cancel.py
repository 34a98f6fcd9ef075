"""A deploy is cancelled by somebody else than who waits for it."""

import asyncio

import pytest

from balancer.domain.app import BranchName
from balancer.errors import Conflict, DeployCancelled, NotFound
from balancer.services.cancel import Cancellations
from values import BLOG, MASTER, SHOP, TEST
from waiting import eventually

pytestmark = pytest.mark.anyio


class Work:
    """Deploys that never end by themselves."""

    def __init__(self) -> None:
        self.cancellations = Cancellations()
        self.begun: list[str] = []
        self.ended: list[str] = []

    def begin(self, branch: BranchName) -> asyncio.Task[None]:
        return asyncio.ensure_future(self.cancellations.run(SHOP, branch, self._endless(branch)))

    async def _endless(self, branch: BranchName) -> None:
        self.begun.append(branch)
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.append(branch)


async def test_it_ends_and_who_waits_is_told_by_whom() -> None:
    work = Work()
    master, test = work.begin(MASTER), work.begin(TEST)
    await eventually(lambda: work.begun == [MASTER, TEST], 30)
    assert work.cancellations.cancel(SHOP, MASTER, "Ada") == MASTER
    with pytest.raises(DeployCancelled, match="the deploy of shop master was cancelled by Ada"):
        await master
    assert work.ended == [MASTER]
    assert work.cancellations.cancel(SHOP, None, "Ada") == TEST
    with pytest.raises(DeployCancelled):
        await test


async def test_what_is_not_under_way_or_not_the_only_one_is_refused() -> None:
    work = Work()
    with pytest.raises(NotFound, match="no deploy of shop is under way"):
        work.cancellations.cancel(SHOP, None, "Ada")
    tasks = [work.begin(MASTER), work.begin(TEST)]
    await eventually(lambda: work.begun == [MASTER, TEST], 30)
    with pytest.raises(Conflict, match="several deploys of shop are under way: name one of master, test"):
        work.cancellations.cancel(SHOP, None, "Ada")
    with pytest.raises(NotFound, match="no deploy of blog is under way"):
        work.cancellations.cancel(BLOG, None, "Ada")
    with pytest.raises(NotFound, match="no deploy of shop other is under way; under way: master, test"):
        work.cancellations.cancel(SHOP, BranchName("other"), "Ada")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_waits_and_goes_away_is_no_cancellation() -> None:
    work = Work()
    master = work.begin(MASTER)
    await eventually(lambda: work.begun == [MASTER], 30)
    master.cancel()
    with pytest.raises(asyncio.CancelledError):
        await master
    await eventually(lambda: work.ended == [MASTER], 30)
