"""Formations: how many instances run, changed while the app serves; all of it or nothing."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.app import AppMode
from balancer.domain.manifest import WEB, ProcessType
from balancer.domain.release import Instance, InstanceState
from balancer.domain.routing import Role
from balancer.errors import AppNotFound, BranchNotFound, Conflict, InvalidInput, NotHealthy
from platforms import SERVE, InProcess, app_files, in_process, probe_quickly
from running import Repository
from values import BLOG, MASTER, SHOP, TEST
from waiting import eventually

pytestmark = pytest.mark.anyio
WORKER = ProcessType("worker")
A, D = Role.ACTIVE, Role.DRAINING


def with_worker(version: str) -> dict[str, str]:
    """Return an app that serves and has a worker."""
    return app_files(version, Procfile=f"web: {SERVE}\nworker: exec sleep 600\n")


@pytest.fixture
async def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcess]:
    """A platform that asks its instances more often, so that these tests are quick."""
    probe_quickly(monkeypatch)
    async with in_process(tmp_path) as made, made.reconciling():
        yield made


@pytest.fixture
async def shop(platform: InProcess) -> Repository:
    """A developer's repository of the shop."""
    return await platform.create()


async def scale(platform: InProcess, **counts: int) -> dict[str, int]:
    """Scale the shop."""
    asked = {ProcessType(process): count for process, count in counts.items()}
    return {str(k): v for k, v in (await platform.formations.scale(SHOP, asked, platform.told.append)).items()}


async def found(platform: InProcess) -> dict[str, str]:
    """Return the state of each instance of what is live on master, by label."""
    live = await platform.live()
    assert live is not None
    return {i.label: i.state.value for i in await platform.instances(live)}


async def instances(platform: InProcess) -> list[Instance]:
    """Return the instances of what is live on master."""
    live = await platform.live()
    assert live is not None
    return list(await platform.instances(live))


async def test_more_instances_are_healthy_before_visitors_reach_them(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, with_worker("one"))
    assert await scale(platform, web=3, worker=2) == {"web": 3, "worker": 2}
    assert await found(platform) == dict.fromkeys(["web.1", "worker.1", "web.2", "web.3", "worker.2"], "healthy")
    servers = [role for _, role in platform.routes()["master--shop"]]
    assert servers == [A, A, A]
    assert len(platform.supervisor.running()) == 5


async def test_fewer_are_those_with_the_highest_numbers_and_they_drain(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, with_worker("one"))
    await scale(platform, web=3)
    busy = next(i for i in await instances(platform) if i.label == "web.3")
    platform.proxy.in_flight = {busy.server}
    assert await scale(platform, web=1, worker=0) == {"web": 1, "worker": 0}
    await eventually(lambda: _is(platform, {"web.1": "healthy", "web.3": "draining"}), 30)
    assert platform.routes()["master--shop"][1:] == [(busy.server, D)]
    platform.proxy.in_flight = set()
    await eventually(lambda: _is(platform, {"web.1": "healthy"}), 30)


async def _is(platform: InProcess, wanted: dict[str, str]) -> bool:
    return await found(platform) == wanted


async def test_what_was_asked_for_holds_for_the_next_release_and_for_every_branch(
    platform: InProcess, shop: Repository
) -> None:
    await platform.push(shop, with_worker("one"))
    await platform.push(shop, with_worker("one"), "test")
    await scale(platform, web=2)
    test = await platform.live(TEST)
    assert test is not None
    assert len(await platform.instances(test)) == 3
    release = await platform.push(shop, with_worker("two"))
    assert [i.label for i in await platform.instances(release)] == ["web.1", "web.2", "worker.1"]


async def test_where_one_new_instance_is_not_healthy_nothing_has_changed(platform: InProcess, shop: Repository) -> None:
    # The second one to be started finds the file of the first, and dies.
    once = f"web: {SERVE}\nworker: [ ! -e there ] && touch there && exec sleep 600\n"
    await platform.push(shop, app_files("one", Procfile=once))
    with pytest.raises(NotHealthy, match=r"worker\.2"):
        await scale(platform, web=2, worker=2)
    assert await platform.formations.of(SHOP) == {WEB: 1, WORKER: 1}
    await eventually(lambda: _is(platform, {"web.1": "healthy", "worker.1": "healthy"}), 30)
    await eventually(lambda: len(platform.routes()["master--shop"]) == 1, 30)


async def test_a_scale_that_is_given_up_changes_nothing(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, app_files("one", Procfile=f"web: [ $PORT != x ] && sleep 1; {SERVE}\n"))
    scaling = asyncio.ensure_future(scale(platform, web=2))
    await eventually(lambda: _starts(platform), 30)
    scaling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await scaling
    await eventually(lambda: _is(platform, {"web.1": "healthy"}), 30)
    assert await platform.formations.of(SHOP) == {WEB: 1}


async def _starts(platform: InProcess) -> bool:
    return (await found(platform)).get("web.2") == "starting"


async def test_numbers_that_make_no_sense_are_refused(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, with_worker("one"))
    for counts, why in [
        ({"web": 0}, "balancer stop shop"),
        ({"web": 101}, "from 0 to 100"),
        ({"worker": -1}, "from 0 to 100"),
        ({"wroker": 1}, "there are web, worker"),
    ]:
        with pytest.raises(InvalidInput, match=why):
            await scale(platform, **counts)
    with pytest.raises(AppNotFound):
        await platform.formations.scale(BLOG, {WEB: 2}, platform.told.append)
    assert await found(platform) == {"web.1": "healthy", "worker.1": "healthy"}


async def test_an_app_can_be_scaled_before_its_first_push(platform: InProcess, shop: Repository) -> None:
    assert await scale(platform, web=2) == {"web": 2}
    release = await platform.push(shop, app_files("one"))
    assert len(await platform.instances(release)) == 2


async def test_an_instance_that_dies_while_others_are_added_is_started_again(
    platform: InProcess, shop: Repository
) -> None:
    await platform.push(shop, app_files("one"))
    await scale(platform, web=2)
    one, _ = await instances(platform)
    assert one.process is not None
    os.kill(one.process.pid, signal.SIGKILL)
    await eventually(lambda: one.id not in platform.supervisor.running(), 30)
    platform.clock.advance(2)
    platform.reconciler.wake()
    await eventually(lambda: len(platform.supervisor.running()) == 2, 30)


async def test_what_a_killed_daemon_was_adding_is_taken_away_at_the_next_start(
    platform: InProcess, shop: Repository
) -> None:
    live = await platform.push(shop, app_files("one"))
    (added,) = await platform.launcher.add(live, {WEB: 1})
    assert (await found(platform))[added.label] == "starting"
    await platform.reconciler.take_over()
    platform.reconciler.wake()
    await eventually(lambda: _is(platform, {"web.1": "healthy"}), 30)


class TestRestart:
    """Instances are replaced by new ones of the same release."""

    async def test_the_new_ones_serve_before_the_old_ones_drain(self, platform: InProcess, shop: Repository) -> None:
        await platform.push(shop, with_worker("one"))
        (web, _) = await instances(platform)
        platform.proxy.in_flight = {web.server}
        await platform.formations.restart(SHOP, None, None, platform.told.append)
        wanted = {"web.1": "draining", "web.2": "healthy", "worker.2": "healthy"}
        await eventually(lambda: _is(platform, wanted), 30)
        (new, old) = platform.routes()["master--shop"]
        assert (old, new[1]) == ((web.server, D), A)
        assert (await platform.states())[1] == "live"

    async def test_one_process_type_or_one_branch_alone(self, platform: InProcess, shop: Repository) -> None:
        await platform.push(shop, with_worker("one"))
        await platform.push(shop, with_worker("one"), "test")
        await platform.formations.restart(SHOP, TEST, WORKER, platform.told.append)
        assert await found(platform) == {"web.1": "healthy", "worker.1": "healthy"}
        test = await platform.live(TEST)
        assert test is not None
        healthy = {i.label for i in await platform.instances(test) if i.state is InstanceState.HEALTHY}
        assert healthy == {"web.1", "worker.2"}

    async def test_what_is_not_there_cannot_be_restarted(self, platform: InProcess, shop: Repository) -> None:
        with pytest.raises(BranchNotFound, match="nothing live"):
            await platform.formations.restart(SHOP, None, None, platform.told.append)
        await platform.push(shop, app_files("one"))
        with pytest.raises(BranchNotFound, match="nothing live on test"):
            await platform.formations.restart(SHOP, TEST, None, platform.told.append)
        with pytest.raises(InvalidInput, match="no process worker"):
            await platform.formations.restart(SHOP, MASTER, WORKER, platform.told.append)


class TestStop:
    """A stopped app runs nothing, until it is started or pushed."""

    async def test_nothing_runs_and_what_is_live_stays_known(self, platform: InProcess, shop: Repository) -> None:
        await platform.push(shop, with_worker("one"))
        await platform.formations.stop(SHOP, platform.told.append)
        assert platform.told[-1] == "-----> Stopped"
        assert platform.supervisor.running() == frozenset()
        assert await found(platform) == {}
        assert (await platform.registry.app(SHOP)).mode is AppMode.STOPPED
        await platform.formations.stop(SHOP, platform.told.append)

    async def test_start_brings_back_the_formation(self, platform: InProcess, shop: Repository) -> None:
        await platform.push(shop, with_worker("one"))
        await platform.formations.stop(SHOP, platform.told.append)
        assert await scale(platform, web=2) == {"web": 2, "worker": 1}
        assert platform.supervisor.running() == frozenset()
        await platform.formations.start(SHOP, platform.told.append)
        assert await found(platform) == dict.fromkeys(["web.1", "web.2", "worker.1"], "healthy")
        assert (await platform.registry.app(SHOP)).mode is AppMode.SERVING

    async def test_where_it_does_not_start_it_stays_stopped(self, platform: InProcess, shop: Repository) -> None:
        once = "web: [ ! -e there ] && touch there && " + SERVE + "\n"
        await platform.push(shop, app_files("one", Procfile=once))
        await platform.formations.stop(SHOP, platform.told.append)
        with pytest.raises(NotHealthy):
            await platform.formations.start(SHOP, platform.told.append)
        assert (await platform.registry.app(SHOP)).mode is AppMode.STOPPED
        await eventually(lambda: _is(platform, {}), 30)

    async def test_a_push_starts_it_with_all_its_branches(self, platform: InProcess, shop: Repository) -> None:
        await platform.push(shop, app_files("one"))
        await platform.push(shop, app_files("one"), "test")
        await platform.formations.stop(SHOP, platform.told.append)
        await platform.push(shop, app_files("two"), "test")
        assert "-----> shop was stopped: starting its other branches too" in platform.told
        assert (await platform.registry.app(SHOP)).mode is AppMode.SERVING
        assert await found(platform) == {"web.1": "healthy"}

    async def test_a_push_that_fails_leaves_it_stopped(self, platform: InProcess, shop: Repository) -> None:
        await platform.push(shop, app_files("one"))
        await platform.formations.stop(SHOP, platform.told.append)
        with pytest.raises(NotHealthy):
            await platform.push(shop, app_files("two", Procfile="web: exit 3\n"))
        assert (await platform.registry.app(SHOP)).mode is AppMode.STOPPED

    async def test_what_is_stopped_is_neither_restarted_nor_paused(self, platform: InProcess, shop: Repository) -> None:
        await platform.push(shop, app_files("one"))
        await platform.formations.stop(SHOP, platform.told.append)
        with pytest.raises(Conflict, match="balancer start shop"):
            await platform.formations.restart(SHOP, None, None, platform.told.append)
        with pytest.raises(Conflict, match="balancer start shop"):
            await platform.formations.set_mode(SHOP, AppMode.PAUSED)


async def test_a_mode_is_remembered_and_stays_over_a_push(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, app_files("one"))
    await platform.formations.set_mode(SHOP, AppMode.MAINTENANCE)
    await platform.push(shop, app_files("two"))
    assert (await platform.registry.app(SHOP)).mode is AppMode.MAINTENANCE
    await platform.formations.set_mode(SHOP, AppMode.SERVING)
    assert (await platform.registry.app(SHOP)).mode is AppMode.SERVING


async def test_what_was_being_added_drains_though_who_adds_it_is_cancelled_twice(
    platform: InProcess, shop: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    await platform.push(shop, app_files("one"))
    begun, replace = asyncio.Event(), platform.registry.replace_instances

    async def never(*_: object) -> str:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(platform.supervisor, "wait_until_healthy", never)
    cleaning, may_go_on = asyncio.Event(), asyncio.Event()

    async def slow(*arguments: object, **named: object) -> None:
        cleaning.set()
        await may_go_on.wait()
        await replace(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(platform.registry, "replace_instances", slow)
    scaling = asyncio.create_task(scale(platform, web=2))
    async with asyncio.timeout(10):
        await begun.wait()
        scaling.cancel()
        await cleaning.wait()
        scaling.cancel()
        await asyncio.sleep(0)
        may_go_on.set()
        await asyncio.wait({scaling})
    assert scaling.cancelled()
    await eventually(lambda: _is(platform, {"web.1": "healthy"}), 30)
