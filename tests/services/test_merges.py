"""Winners that wait to be merged: said for as long as they do, and git is asked once."""

from pathlib import Path

import pytest

from balancer.domain.app import AppName, Commit
from balancer.domain.merge import Merge
from balancer.services.merges import Merges
from platforms import InProcess, app_files, in_process
from services.test_promotion import split_shop
from values import MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio


class Counting:
    """The repositories of a platform, and how often they were asked what a commit has in its history."""

    def __init__(self, platform: InProcess) -> None:
        self._repositories = platform.repositories
        self.asked = 0

    async def contains(self, app: AppName, commit: Commit, ancestor: Commit) -> bool:
        self.asked += 1
        return await self._repositories.contains(app, commit, ancestor)


async def test_a_winner_that_lacks_commits_waits_until_a_push_has_merged_it(tmp_path: Path) -> None:
    async with in_process(tmp_path) as platform, platform.reconciling():
        work = await split_shop(platform, forward=False)
        git = Counting(platform)
        merges = Merges(platform.registry, git)  # type: ignore[arg-type]
        assert await merges.waiting(SHOP) is None
        await platform.experiments.conclude(SHOP, TEST, platform.told.append)
        test = await platform.live(TEST)
        assert test is not None
        for _ in range(3):
            assert await merges.waiting(SHOP) == Merge(default=MASTER, winner=TEST, commit=test.commit)
        assert git.asked == 1
        await platform.push(work, app_files("merged"))
        assert await merges.waiting(SHOP) is None


async def test_a_winner_that_has_all_that_is_live_waits_for_nobody(tmp_path: Path) -> None:
    async with in_process(tmp_path) as platform, platform.reconciling():
        await split_shop(platform)
        await platform.registry.conclude_split(SHOP, TEST)  # the daemon dies before it promotes
        assert (await platform.registry.app(SHOP)).promoted == TEST
        assert await Merges(platform.registry, platform.repositories).waiting(SHOP) is None
