"""A/A splits: a twin comes with its split, and goes with it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from balancer.domain.app import AppMode, BranchName
from balancer.domain.metric import MetricName
from balancer.domain.release import ReleaseState
from balancer.domain.split import TWIN, Brief, SplitState
from balancer.errors import BranchNotFound, Conflict, InvalidSplit, NotHealthy, SplitRunning
from platforms import InProcess, app_files, in_process
from running import Repository
from values import MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio
PURCHASE = Brief(metric=MetricName("purchase"))


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path) as made, made.reconciling():
        yield made


@pytest.fixture(autouse=True)
async def work(platform: InProcess) -> Repository:
    """A shop whose default branch is live."""
    made = await platform.create()
    await platform.push(made, app_files("one"))
    return made


async def start(platform: InProcess, control: BranchName | None = None, brief: Brief = PURCHASE) -> str:
    return (await platform.twins.start(SHOP, control, brief, platform.told.append)).id


async def test_what_visitors_see_is_split_from_a_twin_of_it_that_is_not_built(platform: InProcess) -> None:
    await start(platform)
    split = await platform.registry.split(SHOP)
    assert (dict(split.phase.weights), split.control) == ({MASTER: 5000, TWIN: 5000}, MASTER)
    assert split.brief == replace(PURCHASE, aa=True, twin=TWIN)
    master, twin = await platform.live(MASTER), await platform.live(TWIN)
    assert master is not None
    assert twin is not None
    assert (twin.commit, twin.tree) == (master.commit, master.tree)
    assert await platform.page(twin) == "one"
    assert (await platform.repositories.refs(SHOP))[TWIN] == master.commit
    assert {piece.variant for piece in platform.proxy.table.apps[0].split.allocation} == {MASTER, TWIN}  # type: ignore[union-attr]
    assert (await platform.registry.app(SHOP)).default_branch == MASTER


async def test_when_the_split_ends_the_twin_is_taken_down_with_it(platform: InProcess) -> None:
    for end in (
        lambda: platform.experiments.cancel(SHOP),
        lambda: platform.experiments.conclude(SHOP, MASTER, platform.told.append),
        lambda: platform.branches.remove_and_settle(SHOP, TWIN, platform.told.append),
    ):
        await start(platform)
        assert await platform.live(TWIN) is not None
        await end()
        assert await platform.live(TWIN) is None
        assert (await platform.registry.snapshot()).splits == ()
        assert TWIN not in await platform.repositories.refs(SHOP)
    master = await platform.live(MASTER)
    assert master is not None
    assert await platform.page(master) == "one", "its tree is there"


async def test_a_reshuffle_keeps_the_twin(platform: InProcess) -> None:
    await start(platform)
    assert (await platform.experiments.reshuffle(SHOP)).id == "s2"
    assert await platform.live(TWIN) is not None
    await platform.experiments.cancel(SHOP)
    assert await platform.live(TWIN) is None


async def test_a_twin_has_nothing_to_win(platform: InProcess) -> None:
    await start(platform)
    with pytest.raises(InvalidSplit, match="aa is what master is, and goes with the A/A split s1"):
        await platform.experiments.conclude(SHOP, TWIN, platform.told.append)
    assert (await platform.registry.split(SHOP)).state is SplitState.RUNNING


async def test_a_branch_of_that_name_is_made_what_the_control_is(platform: InProcess, work: Repository) -> None:
    await platform.push(work, app_files("of its own"), TWIN)
    await start(platform)
    twin, master = await platform.live(TWIN), await platform.live(MASTER)
    assert twin is not None
    assert master is not None
    assert (await platform.page(twin), twin.commit) == ("one", master.commit)


async def test_a_branch_of_that_name_that_is_the_same_already_stays_as_it_is(platform: InProcess) -> None:
    master = await platform.live(MASTER)
    assert master is not None
    release = await platform.registry.open_twin(master, TWIN, subject="By hand", author="Ada")
    await platform.launcher.launch(release, platform.told.append)
    there = await platform.registry.activate(release.id)
    await start(platform)
    assert await platform.live(TWIN) == there
    await platform.experiments.cancel(SHOP)
    assert await platform.live(TWIN) is None


async def test_what_cannot_be_split_starts_nothing(platform: InProcess) -> None:
    with pytest.raises(BranchNotFound, match="shop has no live branch test"):
        await start(platform, TEST)
    with pytest.raises(InvalidSplit, match="is what the twin of an A/A split is called"):
        await start(platform, TWIN)
    await start(platform)
    with pytest.raises(SplitRunning):
        await start(platform)
    await platform.experiments.cancel(SHOP)
    await platform.formations.stop(SHOP, platform.told.append)
    assert (await platform.registry.app(SHOP)).mode is AppMode.STOPPED
    with pytest.raises(Conflict, match="shop is stopped"):
        await start(platform)
    states = [release.state for release in await platform.registry.releases(SHOP)]
    assert states.count(ReleaseState.FAILED) == 0, "nothing was begun"


async def test_a_twin_that_is_not_healthy_begins_no_split(platform: InProcess) -> None:
    release = await platform.live(MASTER)
    assert release is not None
    (platform.workspace.tree(release) / "app.py").write_text("raise SystemExit('broken')\n")
    with pytest.raises(NotHealthy):
        await start(platform)
    assert await platform.live(TWIN) is None
    assert (await platform.registry.snapshot()).splits == ()
    newest, *_ = await platform.registry.releases(SHOP)
    assert (newest.branch, newest.state) == (TWIN, ReleaseState.FAILED)


async def test_a_split_and_its_twin_begin_together_or_not_at_all(platform: InProcess) -> None:
    master = await platform.live(MASTER)
    assert master is not None
    release = await platform.registry.open_twin(master, TWIN, subject="x", author="Ada")
    with pytest.raises(BranchNotFound):
        await platform.registry.start_split(SHOP, {MASTER: 5000, TEST: 5000}, MASTER, 5000, activating=release.id)
    assert await platform.live(TWIN) is None
