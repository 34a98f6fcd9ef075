"""Releases in the registry."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.manifest import WEB, ProcessType
from balancer.domain.release import InstanceState, Release, ReleaseState
from balancer.errors import AppNotFound, IllegalTransition, NotFound, ReleaseNotFound
from registries import BLOG, COMMIT, MASTER, SHOP, TEST, World, manifest, open_world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def test_a_new_release_is_building(world: World) -> None:
    assert await world.build("master") == Release(
        id=1,
        app=SHOP,
        branch=MASTER,
        number=1,
        commit=COMMIT,
        tree=1,
        state=ReleaseState.BUILDING,
        manifest=None,
        subject="Sell",
        author="Ada",
        created_at=world.clock.now,
        activated_at=None,
        reason=None,
    )


async def test_releases_are_numbered_within_their_app(world: World) -> None:
    await world.registry.create_app(BLOG, None)
    opened = [await world.build(branch, app=app) for branch, app in (("a", SHOP), ("b", SHOP), ("a", BLOG))]
    assert [(release.id, release.number) for release in opened] == [(1, 1), (2, 2), (3, 1)]


async def test_releases_come_newest_first_and_no_more_than_asked_for(world: World) -> None:
    for _ in range(3):
        await world.build()
    assert [release.number for release in await world.registry.releases(SHOP)] == [3, 2, 1]
    assert [release.number for release in await world.registry.releases(SHOP, limit=2)] == [3, 2]


async def test_releases_of_no_app_are_refused(world: World) -> None:
    with pytest.raises(AppNotFound):
        await world.registry.releases(BLOG)
    with pytest.raises(AppNotFound):
        await world.build(app=BLOG)


async def test_a_started_release_has_its_manifest(world: World) -> None:
    release = await world.build()
    started = await world.registry.start_release(release.id, manifest("shop.example"))
    assert (started.state, started.manifest) == (ReleaseState.STARTING, manifest("shop.example"))


async def test_what_goes_live_says_when_and_what_served_before_stands_by(world: World) -> None:
    first = await world.push()
    assert (first.state, first.activated_at) == (ReleaseState.LIVE, world.clock.now)
    (old,) = await world.instances_of(first)
    second = await world.push()
    assert (second.state, second.activated_at) == (ReleaseState.LIVE, world.clock.now)
    assert await world.state_of(first) == "draining"
    (warm,) = await world.instances_of(first)
    assert (warm.id, warm.state, warm.standby_since) == (old.id, InstanceState.STANDBY, world.clock.now)
    (fresh,) = await world.instances_of(second)
    assert (fresh.state, fresh.draining_since) == (InstanceState.HEALTHY, None)


async def test_other_branches_and_apps_stay_live(world: World) -> None:
    await world.registry.create_app(BLOG, None)
    others = [await world.push("test"), await world.push("master", app=BLOG)]
    await world.push("master")
    await world.push("master")
    assert [await world.state_of(release) for release in others] == ["live", "live"]


async def test_at_most_one_release_of_a_branch_stands_by(world: World) -> None:
    first, second = await world.push(), await world.push()
    other = await world.push("test")
    await world.push("test")
    world.clock.advance(1)
    await world.push()
    states = {release.id: (await world.instances_of(release))[0].state for release in (first, second, other)}
    assert states == {
        first.id: InstanceState.DRAINING,
        second.id: InstanceState.STANDBY,
        other.id: InstanceState.STANDBY,
    }
    (drained,) = await world.instances_of(first)
    assert (drained.draining_since, drained.standby_since) == (world.clock.now, None)


async def test_a_worker_does_not_stand_by(world: World) -> None:
    release = await world.push()
    worker = await world.registry.open_instance(release.id, ProcessType("worker"), 1, 29_000)
    await world.registry.move_instance(worker.id, InstanceState.HEALTHY)
    await world.push()
    assert {i.type: i.state.value for i in await world.instances_of(release)} == {
        "web": "standby",
        "worker": "draining",
    }
    await world.registry.activate(release.id)
    assert {i.type: i.state.value for i in await world.instances_of(release)} == {
        "web": "healthy",
        "worker": "draining",
    }


async def test_every_instance_that_is_not_healthy_drains_with_its_release(world: World) -> None:
    release = await world.push()
    states = (InstanceState.UNHEALTHY, InstanceState.DRAINING, InstanceState.STOPPED)
    for index, state in enumerate(states, start=2):
        instance = await world.healthy_instance(release, index)
        await world.registry.move_instance(instance.id, state)
    began = world.clock.now
    await world.push()
    found = {instance.index: instance.draining_since for instance in await world.instances_of(release)}
    assert found == {1: None, 2: world.clock.now, 3: began}


async def test_back_to_a_release_that_still_drains_its_instances_are_healthy_again(world: World) -> None:
    first, second = await world.push(), await world.push()
    world.clock.advance(1)
    back = await world.registry.activate(first.id)
    assert (back.state, back.activated_at) == (ReleaseState.LIVE, world.clock.now)
    (instance,) = await world.instances_of(first)
    assert (instance.state, instance.standby_since) == (InstanceState.HEALTHY, None)
    assert await world.state_of(second) == "draining"
    (warm,) = await world.instances_of(second)
    assert (warm.state, warm.standby_since) == (InstanceState.STANDBY, world.clock.now)


async def test_a_draining_release_that_is_started_anew_takes_nothing_back(world: World) -> None:
    first = await world.push()
    await world.push()
    (warm,) = await world.instances_of(first)
    await world.registry.start_release(first.id, manifest())
    fresh = await world.healthy_instance(first, 2)
    await world.registry.activate(first.id)
    states = {instance.id: instance.state.value for instance in await world.instances_of(first)}
    assert states == {warm.id: "draining", fresh.id: "healthy"}


@pytest.mark.parametrize("state", ["building", "live", "retired", "failed"])
async def test_what_was_not_started_does_not_go_live_and_nothing_changes(world: World, state: str) -> None:
    release = await in_state(world, state)
    before = await world.registry.snapshot(), await world.registry.releases(SHOP)
    with pytest.raises(IllegalTransition, match=f"a {state} release cannot become live"):
        await world.registry.activate(release.id)
    assert (await world.registry.snapshot(), await world.registry.releases(SHOP)) == before


@pytest.mark.parametrize("state", ["starting", "live", "failed"])
async def test_only_what_was_built_or_was_live_can_start(world: World, state: str) -> None:
    release = await in_state(world, state)
    with pytest.raises(IllegalTransition, match=f"a {state} release cannot become starting"):
        await world.registry.start_release(release.id, manifest("other.example"))
    assert (await world.registry.app(SHOP)).domains == ()
    assert await world.state_of(release) == state


@pytest.mark.parametrize("state", ["building", "starting", "live", "retired", "failed"])
async def test_only_what_drains_can_be_retired(world: World, state: str) -> None:
    release = await in_state(world, state)
    with pytest.raises(IllegalTransition, match=f"a {state} release cannot be retired"):
        await world.registry.retire_release(release.id)
    assert await world.state_of(release) == state


@pytest.mark.parametrize("state", ["building", "starting"])
async def test_a_release_that_never_was_live_fails_with_a_reason(world: World, state: str) -> None:
    release = await in_state(world, state)
    failed = await world.registry.fail_release(release.id, "npm exited with 1")
    assert (failed.state, failed.reason) == (ReleaseState.FAILED, "npm exited with 1")


async def test_a_rollback_that_did_not_succeed_leaves_the_release_retired(world: World) -> None:
    release = await in_state(world, "retired")
    await world.registry.start_release(release.id, manifest())
    back = await world.registry.fail_release(release.id, "it died")
    assert (back.state, back.reason) == (ReleaseState.RETIRED, None)


@pytest.mark.parametrize("state", ["live", "retired", "failed"])
async def test_what_is_live_or_over_does_not_fail(world: World, state: str) -> None:
    release = await in_state(world, state)
    with pytest.raises(IllegalTransition):
        await world.registry.fail_release(release.id, "too late")
    assert await world.state_of(release) == state


async def test_the_release_before_is_the_one_that_was_live_last(world: World) -> None:
    first, second, third = await world.push(), await world.push(), await world.push()
    await world.push("test")
    await world.registry.fail_release((await world.start()).id, "it died")
    assert (await world.registry.release_before(SHOP, MASTER)).id == second.id
    await world.registry.retire_release(second.id)
    assert (await world.registry.release_before(SHOP, MASTER)).id == second.id
    world.clock.advance(1)
    await world.registry.activate(first.id)
    assert (await world.registry.release_before(SHOP, MASTER)).id == third.id


async def test_the_release_before_does_not_depend_on_a_clock_that_goes_forward(world: World) -> None:
    await world.push()
    second = await world.push()
    world.clock.advance(-3600)
    third = await world.push()
    assert third.activated_at > second.activated_at  # type: ignore[operator]
    world.clock.advance(-3600)
    await world.push()
    assert (await world.registry.release_before(SHOP, MASTER)).id == third.id


async def test_there_may_be_no_release_before(world: World) -> None:
    await world.push()
    await world.registry.fail_release((await world.start()).id, "it died")
    await world.push("test")
    await world.push("test")
    with pytest.raises(ReleaseNotFound, match="no release of master of shop was live before"):
        await world.registry.release_before(SHOP, MASTER)
    assert await world.registry.release_before(SHOP, TEST)


async def test_a_release_that_is_not_there_is_said_to_be_missing(world: World) -> None:
    registry = world.registry
    for call in (
        registry.activate(99),
        registry.start_release(99, manifest()),
        registry.fail_release(99, "it died"),
        registry.retire_release(99),
        registry.open_instance(99, WEB, 1, 20000),
    ):
        with pytest.raises(NotFound, match="no release with the id 99"):
            await call


async def in_state(world: World, state: str) -> Release:
    """Bring a release into a state by the moves that lead there."""
    match state:
        case "building":
            return await world.build()
        case "starting":
            return await world.start()
        case "live":
            return await world.push()
        case "failed":
            return await world.registry.fail_release((await world.build()).id, "it did not build")
        case _:
            release = await world.push()
            await world.push()
            return await world.registry.retire_release(release.id) if state == "retired" else release


async def test_a_deploy_that_failed_is_known_until_its_branch_is_pushed_again(world: World) -> None:
    since = world.clock.now
    await world.push("master")
    for branch in ("master", "test"):
        await world.registry.fail_release((await world.build(branch)).id, "no Procfile")
    await world.registry.create_app(BLOG, None)
    await world.registry.fail_release((await world.build("test", app=BLOG)).id, "no Procfile")
    found = await world.registry.failed_deploys(since)
    assert [(each.app, each.branch, each.number) for each in found] == [
        (BLOG, TEST, 1),
        (SHOP, TEST, 3),
        (SHOP, MASTER, 2),
    ]
    await world.build("test")
    assert [(each.app, each.branch) for each in await world.registry.failed_deploys(since)] == [
        (BLOG, TEST),
        (SHOP, MASTER),
    ]
    assert await world.registry.failed_deploys(world.clock.advance(1)) == ()
