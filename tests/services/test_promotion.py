"""What has won a split becomes the release of the default branch, or people are told what to merge."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.app import ConfigKey
from balancer.domain.merge import Merge
from balancer.domain.release import Release, ReleaseState
from balancer.domain.split import SplitState
from balancer.errors import BranchInUse, BranchNotFound, NotHealthy, SplitNotFound
from platforms import InProcess, app_files, in_process
from running import Repository
from values import MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio
EVEN = {MASTER: 5000, TEST: 5000}


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path) as made, made.reconciling():
        yield made


async def split_shop(platform: InProcess, *, forward: bool = True) -> Repository:
    """Make a shop whose test has all that master has (if `forward`) and a commit more, in a split."""
    work = await platform.create()
    await platform.push(work, app_files("one"))
    if forward:
        work.git("branch", "test", "master")
    await platform.push(work, app_files("two"), "test")
    await platform.experiments.start(SHOP, EVEN, None)
    return work


async def test_the_winner_is_seen_at_once_and_its_release_becomes_the_default_branchs(platform: InProcess) -> None:
    work = await split_shop(platform)
    test = await platform.live(TEST)
    assert test is not None
    split = await platform.experiments.conclude(SHOP, TEST, platform.told.append)
    assert (split.state, split.winner) == (SplitState.CONCLUDED, TEST)
    master = await platform.live(MASTER)
    assert master is not None
    assert (master.commit, master.tree, master.subject) == (test.commit, test.tree, f"Promote test: {test.subject}")
    assert await platform.page(master) == "two"
    assert (await platform.registry.app(SHOP)).promoted is None
    assert platform.proxy.table.apps[0].default_backend == "master--shop"
    assert platform.proxy.table.apps[0].split is None
    assert (await platform.repositories.refs(SHOP))[MASTER] == test.commit
    assert await platform.live(TEST) == test, "its branch is as it was"
    # The tree is both branches': neither a later push nor the end of one takes it from the other.
    await platform.branches.remove(SHOP, TEST, platform.told.append)
    await platform.end_standby()
    await platform.rollbacks.rollback(SHOP, None, None, platform.told.append)
    await platform.end_standby()
    back = await platform.rollbacks.rollback(SHOP, None, master.number, platform.told.append)
    assert await platform.page(back) == "two"
    assert work.directory.exists()


async def test_a_control_that_wins_needs_no_release(platform: InProcess) -> None:
    await split_shop(platform)
    before = await platform.live(MASTER)
    await platform.experiments.conclude(SHOP, MASTER, platform.told.append)
    assert await platform.live(MASTER) == before
    assert (await platform.registry.app(SHOP)).promoted is None


async def test_where_the_default_branch_has_gone_on_people_are_told_what_to_merge(platform: InProcess) -> None:
    work = await split_shop(platform, forward=False)
    test, before = await platform.live(TEST), await platform.live(MASTER)
    assert test is not None
    await platform.experiments.conclude(SHOP, TEST, platform.told.append)
    assert any(f"git merge {test.commit.short}" in line for line in platform.told)
    merge = await platform.promotions.promote(SHOP, platform.told.append)
    assert merge == Merge(default=MASTER, winner=TEST, commit=test.commit)
    assert await platform.live(MASTER) == before
    assert platform.proxy.table.apps[0].default_backend == "test--shop", "visitors see the winner all the same"
    with pytest.raises(BranchInUse, match="has won a split"):
        await platform.branches.remove(SHOP, TEST, platform.told.append)
    await platform.push(work, app_files("merged"))
    assert platform.proxy.table.apps[0].default_backend == "master--shop"
    with pytest.raises(BranchNotFound, match="no winner of a split waits"):
        await platform.promotions.promote(SHOP, platform.told.append)


async def test_a_rollback_ends_what_was_promoted_and_waits_to_be_merged(platform: InProcess) -> None:
    await split_shop(platform, forward=False)
    before = await platform.live(MASTER)
    await platform.experiments.conclude(SHOP, TEST, platform.told.append)
    assert await platform.rollbacks.rollback(SHOP, None, None, platform.told.append) == before
    assert platform.proxy.table.apps[0].default_backend == "master--shop"


async def test_a_change_of_config_vars_does_not_end_it(platform: InProcess) -> None:
    await split_shop(platform, forward=False)
    await platform.experiments.conclude(SHOP, TEST, platform.told.append)
    await platform.config_vars.change(SHOP, {ConfigKey("A"): "1"}, platform.told.append, later=False)
    assert platform.proxy.table.apps[0].default_backend == "test--shop"


async def test_a_release_that_does_not_start_leaves_the_winner_in_the_default_branchs_place(
    platform: InProcess,
) -> None:
    await split_shop(platform)
    test = await platform.live(TEST)
    assert test is not None
    tree = platform.workspace.tree(test) / "app.py"
    text = tree.read_text()
    tree.write_text("raise SystemExit(3)")
    with pytest.raises(NotHealthy):
        await platform.experiments.conclude(SHOP, TEST, platform.told.append)
    assert platform.proxy.table.apps[0].default_backend == "test--shop"
    assert (await platform.registry.split(SHOP)).state is SplitState.CONCLUDED
    failed = (await platform.registry.releases(SHOP))[0]
    assert failed.state is ReleaseState.FAILED
    assert tree.exists(), "the tree is still the winner's"
    tree.write_text(text)
    promoted = await platform.promotions.promote(SHOP, platform.told.append)
    assert isinstance(promoted, Release)
    assert platform.proxy.table.apps[0].default_backend == "master--shop"


async def test_only_what_takes_part_and_is_live_can_win(platform: InProcess) -> None:
    work = await platform.create()
    await platform.push(work, app_files("one"))
    with pytest.raises(SplitNotFound):
        await platform.experiments.conclude(SHOP, MASTER, platform.told.append)
    await platform.push(work, app_files("two"), "test")
    await platform.push(work, app_files("three"), "third")
    await platform.experiments.start(SHOP, EVEN, None)
    with pytest.raises(BranchNotFound, match="third takes no part in the split s1 of shop"):
        await platform.experiments.conclude(SHOP, type(MASTER)("third"), platform.told.append)
    assert (await platform.registry.split(SHOP)).state is SplitState.RUNNING
