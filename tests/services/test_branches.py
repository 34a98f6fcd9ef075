"""Branches that are taken down, and their refs, on a platform whose proxy and clock are fake."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.app import Commit
from balancer.errors import BranchInUse, RefMoved
from platforms import InProcess, app_files, in_process, probe_quickly
from running import Repository
from values import MASTER, SHOP, TEST
from waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcess]:
    """A platform with two branches of the shop, each live."""
    probe_quickly(monkeypatch)
    async with in_process(tmp_path) as made, made.reconciling():
        work = await made.create()
        for branch in ("master", "test"):
            await made.push(work, app_files(branch), branch)
        made.told.clear()
        yield made


async def test_a_branch_goes_with_its_ref_and_its_instances_stop(platform: InProcess) -> None:
    release = await platform.branches.remove_and_settle(SHOP, TEST, platform.told.append)
    assert platform.told == ["-----> Taken down: shop test; release 2 finishes its requests, then stops"]
    assert list(await platform.repositories.refs(SHOP)) == [MASTER]
    assert list(platform.routes()) == ["master--shop"]
    assert list(await platform.branches.live(SHOP)) == [MASTER]

    async def retired() -> bool:
        return (await platform.states())[release.number] == "retired" and not await platform.instances(release)

    await eventually(retired, 30)


async def test_requests_in_flight_keep_its_instance(platform: InProcess) -> None:
    release = await platform.live(TEST)
    assert release is not None
    (instance,) = await platform.instances(release)
    platform.proxy.in_flight.add(instance.server)
    await platform.branches.remove(SHOP, TEST, platform.told.append)
    assert await platform.page(release) == "test"
    platform.proxy.in_flight.clear()

    async def stopped() -> bool:
        return instance.id not in platform.supervisor.running()

    await eventually(stopped, 30)


async def test_who_took_another_commit_for_the_live_one_takes_nothing_down(platform: InProcess) -> None:
    with pytest.raises(RefMoved):
        await platform.branches.remove(SHOP, TEST, platform.told.append, before=Commit("0" * 39 + "1"))
    assert TEST in await platform.branches.live(SHOP)


async def test_another_branch_becomes_the_default_one_and_the_first_may_go(platform: InProcess) -> None:
    with pytest.raises(BranchInUse):
        await platform.branches.remove(SHOP, MASTER, platform.told.append)
    await platform.branches.set_default(SHOP, TEST)
    assert platform.proxy.table.apps[0].default_backend == "test--shop"
    head = (platform.repositories.path(SHOP) / "HEAD").read_text()
    assert head == "ref: refs/heads/test\n"
    await platform.branches.remove_and_settle(SHOP, MASTER, platform.told.append)
    assert list(await platform.branches.live(SHOP)) == [TEST]


async def test_what_a_daemon_left_half_way_is_settled_at_the_next_start(platform: InProcess) -> None:
    await platform.registry.remove_branch(SHOP, TEST)  # and no more: it died here
    assert TEST in await platform.repositories.refs(SHOP)
    await platform.refs.settle(SHOP)
    assert list(await platform.repositories.refs(SHOP)) == [MASTER]


async def test_of_a_branch_that_was_taken_down_one_tree_is_kept_to_go_back_to(platform: InProcess) -> None:
    work = Repository(platform.directory / "other", str(platform.repositories.path(SHOP)))
    for version in ("one", "two"):
        await platform.push(work, app_files(version), "test")
    releases = [each for each in await platform.registry.releases(SHOP) if each.branch == TEST]

    async def drained() -> bool:
        platform.clock.advance(60)
        return "draining" not in (await platform.states()).values()

    await eventually(drained, 30)
    await platform.branches.remove_and_settle(SHOP, TEST, platform.told.append)
    assert [platform.workspace.has_tree(release) for release in releases] == [True, False, False]
    await eventually(drained, 30)
    assert (await platform.rollbacks.rollback(SHOP, TEST, None, platform.told.append)).commit == releases[0].commit
    assert await platform.page(releases[0]) == "two"


async def test_others_are_told_of_a_split_that_went_with_a_branch(platform: InProcess) -> None:
    split = await platform.experiments.start(SHOP, {MASTER: 5000, TEST: 5000}, MASTER)
    await platform.branches.remove(SHOP, TEST, platform.told.append)
    assert platform.teller.told[-1].text.startswith(f"shop: the split {split.id} is over: ")
