"""Rollbacks: what was live before is live again, with its config vars."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.app import BranchName, Commit
from balancer.domain.release import InstanceState
from balancer.domain.routing import Role
from balancer.errors import (
    AppNotFound,
    BranchNotFound,
    NotHealthy,
    ReleaseNotFound,
)
from platforms import KEEP_RELEASES, SERVE, InProcess, app_files, in_process, probe_quickly
from running import Repository
from values import BLOG, MASTER, SHOP, TEST
from waiting import eventually

pytestmark = pytest.mark.anyio
NOWHERE = Commit("c0ffee" + "0" * 34)


@pytest.fixture
async def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcess]:
    """A platform that asks its instances more often, so that these tests are quick."""
    probe_quickly(monkeypatch)
    async with in_process(tmp_path) as made:
        yield made


@pytest.fixture
async def shop(platform: InProcess) -> Repository:
    """A developer's repository of the shop."""
    return await platform.create()


async def roll_back(platform: InProcess, branch: BranchName | None = None, number: int | None = None) -> int:
    """Roll the shop back, and return the number of the release that is live then."""
    platform.clock.advance(1)
    return (await platform.rollbacks.rollback(SHOP, branch, number, platform.told.append)).number


async def test_a_rollback_to_the_release_before(platform: InProcess, shop: Repository) -> None:
    one = await platform.push(shop, app_files("one"))
    await platform.push(shop, app_files("two"))
    async with platform.reconciling():
        assert await roll_back(platform) == 1
    assert await platform.page(one) == "one"
    assert (await platform.live_commit(), await platform.repositories.ref(SHOP, MASTER)) == (one.commit,) * 2
    assert "-----> Rolling shop master back to release 1 " in "\n".join(platform.told)


async def test_a_rollback_twice_is_forward_again(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, app_files("one"))
    await platform.push(shop, app_files("two"))
    async with platform.reconciling():
        assert await roll_back(platform) == 1
        assert await roll_back(platform) == 2


async def test_a_rollback_to_a_release_by_its_number_on_whatever_branch_it_is(
    platform: InProcess, shop: Repository
) -> None:
    await platform.push(shop, app_files("one"))
    for version in ("two", "three", "four"):
        await platform.push(shop, app_files(version), "test")
    async with platform.reconciling():
        assert await roll_back(platform, number=2) == 2
        live = await platform.live(TEST)
        assert live is not None
        assert live.number == 2
        assert await platform.page(live) == "two"
        assert await roll_back(platform, TEST) == 4


async def test_a_rollback_one_that_stands_by_goes_on_with_the_processes_that_it_has(
    platform: InProcess, shop: Repository
) -> None:
    one = await platform.push(shop, app_files("one"))
    (before,) = await platform.instances(one)
    await platform.push(shop, app_files("two"))
    assert await roll_back(platform) == 1
    (after,) = await platform.instances(one)
    assert after.process == before.process
    assert platform.routes()["master--shop"][0] == (before.server, Role.ACTIVE)


async def test_a_rollback_one_whose_instances_are_stopping_is_started_anew_beside_them(
    platform: InProcess, shop: Repository
) -> None:
    await platform.registry.set_config(SHOP, {"END_SECONDS": "5"})
    one = await platform.push(shop, app_files("one"))
    (before,) = await platform.instances(one)
    await platform.push(shop, app_files("two"))
    await platform.end_standby()
    async with platform.reconciling():
        assert await roll_back(platform) == 1
    assert "       its instances are stopping; it is started anew" in platform.told
    (still, after) = await platform.instances(one)
    assert (still.id, still.state) == (before.id, InstanceState.DRAINING)
    assert platform.routes()["master--shop"][0] == (after.server, Role.ACTIVE)


async def test_a_rollback_one_that_does_not_become_healthy_changes_nothing_and_may_be_tried_again(
    platform: InProcess, shop: Repository
) -> None:
    fussy = {"Procfile": f"web: [ ! -e {platform.directory}/down ] || exit 5; {SERVE}\n"}
    one = await platform.push(shop, app_files("one") | fussy)
    two = await platform.push(shop, app_files("two"))
    (platform.directory / "down").touch()
    await platform.end_standby()
    async with platform.reconciling():
        await eventually(lambda: len(platform.supervisor.running()) == 1, 30)
        with pytest.raises(NotHealthy, match="exited with status 5"):
            await roll_back(platform)
        assert await platform.states() == {1: "retired", 2: "live"}
        assert await platform.page(two) == "two"
        (platform.directory / "down").unlink()
        assert await roll_back(platform) == 1
        assert await platform.page(one) == "one"


async def test_a_rollback_of_an_app_that_was_never_live_is_refused(platform: InProcess, shop: Repository) -> None:
    with pytest.raises(BranchNotFound, match="nothing of shop was ever live; push a branch first"):
        await roll_back(platform)
    with pytest.raises(AppNotFound):
        await platform.rollbacks.rollback(BLOG, None, None, platform.told.append)


async def test_a_rollback_with_nothing_before_is_refused(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, app_files("one"))
    with pytest.raises(ReleaseNotFound, match="no release of master of shop was live before"):
        await roll_back(platform)


async def test_a_rollback_to_what_cannot_be_gone_back_to_is_refused(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, app_files("one"))
    with pytest.raises(NotHealthy):
        await platform.push(shop, {"Procfile": "web: exit 1\n"})
    for number, why in ((1, "is live already"), (2, "never was live"), (99, "shop has no release 99")):
        with pytest.raises(ReleaseNotFound, match=why):
            await roll_back(platform, number=number)
    assert await platform.states() == {1: "live", 2: "failed"}


async def test_a_rollback_to_one_whose_tree_was_cleared_away_says_which_commit_to_push(
    platform: InProcess, shop: Repository
) -> None:
    versions = [str(number) for number in range(KEEP_RELEASES + 3)]
    async with platform.reconciling():
        for version in versions:
            await platform.push(shop, app_files(version))
            await platform.end_standby()
            await eventually(lambda: len(platform.supervisor.running()) == 1, 30)
        releases = await platform.registry.releases(SHOP)
        kept = [each.number for each in releases if platform.workspace.has_tree(each)]
        assert 1 not in kept
        assert len(kept) in (KEEP_RELEASES + 1, KEEP_RELEASES + 2)  # and what is live or still drains
        with pytest.raises(ReleaseNotFound, match=f"was cleared away; push {releases[-1].commit[:7]} again"):
            await roll_back(platform, number=1)


class TestConfig:
    """A release comes back with the config vars that it had."""

    async def test_those_of_the_app_become_those_of_the_release_and_whoever_asked_is_told(
        self, platform: InProcess, shop: Repository
    ) -> None:
        await platform.registry.set_config(SHOP, {"A": "1", "B": "1"})
        await platform.push(shop, app_files("one"))
        platform.clock.advance(1)
        await change(platform, {"A": "2", "B": None, "C": "1"})
        async with platform.reconciling():
            assert await roll_back(platform) == 1
            assert "       config vars as they were then: set A, B, unset C" in platform.told
            assert await platform.registry.config(SHOP) == {"A": "1", "B": "1"}
            assert await roll_back(platform) == 2
            assert await platform.registry.config(SHOP) == {"A": "2", "C": "1"}

    async def test_another_branch_goes_back_with_its_own_and_leaves_those_of_the_app(
        self, platform: InProcess, shop: Repository
    ) -> None:
        await platform.push(shop, app_files("one"))
        await platform.push(shop, app_files("one"), "test")
        platform.clock.advance(1)
        await change(platform, {"A": "2"})
        async with platform.reconciling():
            assert await roll_back(platform, TEST) == 2
        assert await platform.registry.config(SHOP) == {"A": "2"}
        assert await platform.registry.release_config((await platform.registry.releases(SHOP))[2].id) == {}

    async def test_where_it_fails_they_stay(self, platform: InProcess, shop: Repository) -> None:
        fussy = {"Procfile": f"web: [ ! -e {platform.directory}/down ] || exit 5; {SERVE}\n"}
        await platform.push(shop, app_files("one") | fussy)
        platform.clock.advance(1)
        await change(platform, {"A": "2"})
        (platform.directory / "down").touch()
        await platform.end_standby()
        async with platform.reconciling():
            with pytest.raises(NotHealthy):
                await roll_back(platform)
        assert await platform.registry.config(SHOP) == {"A": "2"}

    async def test_config_vars_that_a_release_dies_of_are_gone_when_it_is_retreated_from(
        self, platform: InProcess, shop: Repository
    ) -> None:
        await platform.push(shop, app_files("one"))
        platform.clock.advance(1)
        await change(platform, {"A": "2"})
        bad = await platform.live()
        assert bad is not None
        async with platform.reconciling():
            await platform.rollbacks.retreat(bad, "it died")
        assert await platform.registry.config(SHOP) == {}


async def change(platform: InProcess, changes: dict[str, str | None]) -> None:
    """Change config vars of the shop."""
    await platform.config_vars.change(SHOP, changes, platform.told.append, later=False)


async def test_what_a_rollback_would_go_back_to_is_told_and_nothing_changes(
    platform: InProcess, shop: Repository
) -> None:
    one = await platform.push(shop, app_files("one"))
    two = await platform.push(shop, app_files("two"))
    assert (await platform.rollbacks.target(SHOP, None, None)).id == one.id
    assert (await platform.rollbacks.target(SHOP, None, 1)).id == one.id
    assert await platform.live_commit() == two.commit
    with pytest.raises(ReleaseNotFound, match="is live already"):
        await platform.rollbacks.target(SHOP, None, 2)
    with pytest.raises(ReleaseNotFound, match="has no release 9"):
        await platform.rollbacks.target(SHOP, None, 9)
