"""What is follows what should be: real processes and a real registry, a fake proxy and a fake clock."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from balancer import processes
from balancer.domain.manifest import DRAIN_TIMEOUT_SECONDS, WEB
from balancer.domain.notice import NoticeKind
from balancer.domain.plan import CRASH_LOOP_ENDS, STANDBY, Exit
from balancer.domain.release import InstanceState, Release
from balancer.domain.routing import Role, RouteTable
from balancer.domain.traffic import Traffic
from balancer.errors import ProxyFailed
from balancer.process_table import is_zombie
from platforms import SERVE, InProcess, app_files, in_process, probe_quickly
from running import Repository
from values import MASTER, SHOP
from waiting import eventually

pytestmark = pytest.mark.anyio
A, D, S = Role.ACTIVE, Role.DRAINING, Role.STANDBY
TWO = {"balancer.toml": "instances = 2\n"}


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


async def kill_instances(platform: InProcess, release: Release) -> None:
    """kill -9 every instance of a release, and wait until that was seen."""
    instances = await platform.instances(release)
    for each in instances:
        assert each.process is not None
        os.kill(each.process.pid, signal.SIGKILL)
    await eventually(lambda: not platform.supervisor.running() & {each.id for each in instances}, 30)


async def test_a_new_platform_has_nothing_to_do(platform: InProcess) -> None:
    await platform.reconciler.converge()
    assert platform.proxy.table == RouteTable()


async def test_others_are_told_once_of_an_instance_that_ends_again_and_again(
    platform: InProcess, shop: Repository
) -> None:
    release = await platform.push(shop, app_files("one"))
    (instance,) = await platform.instances(release)
    ended = Exit(at=platform.clock(), restarts=CRASH_LOOP_ENDS - 1, ending="by signal 9")
    platform.supervisor.exits[instance.id] = ended
    for _ in range(3):
        await platform.reconciler.converge()
    told = [each for each in platform.teller.told if each.kind is NoticeKind.CRASH_LOOP]
    assert [(each.facts["instance"], each.facts["ends"], each.facts["ending"]) for each in told] == [
        (instance.server, CRASH_LOOP_ENDS, "by signal 9")
    ]


async def test_a_draining_instance_is_stopped_when_it_is_idle_and_not_before(
    platform: InProcess, shop: Repository
) -> None:
    old = await platform.push(shop, app_files("one"))
    (one,) = await platform.instances(old)
    platform.proxy.in_flight = {one.server}
    new = await platform.push(shop, app_files("two"))
    (two,) = await platform.instances(new)
    warm = [(two.server, A), (one.server, D), (f"standby.{one.server}", S)]
    assert platform.routes() == {"master--shop": warm}
    await platform.end_standby()
    for _ in range(3):
        platform.clock.advance(9)
        await platform.reconciler.converge()
        assert platform.routes() == {"master--shop": [(two.server, A), (one.server, D)]}
        assert one.id in platform.supervisor.running()

    platform.proxy.in_flight.clear()
    await platform.reconciler.converge()
    await eventually(lambda: platform.supervisor.running() == {two.id}, 30)
    await platform.reconciler.converge()
    assert await platform.states() == {1: "retired", 2: "live"}
    assert platform.routes() == {"master--shop": [(two.server, A)]}
    assert await platform.registry.leased_ports() == {two.port}


async def test_a_draining_instance_that_never_gets_idle_is_stopped_after_its_deadline(
    platform: InProcess, shop: Repository
) -> None:
    old = await platform.push(shop, app_files("one"))
    (one,) = await platform.instances(old)
    platform.proxy.in_flight = {one.server}
    await platform.push(shop, app_files("two"))
    await platform.end_standby()
    platform.clock.advance(DRAIN_TIMEOUT_SECONDS - 1)
    await platform.reconciler.converge()
    assert not platform.supervisor.ending()
    platform.clock.advance(1)
    await platform.reconciler.converge()
    await eventually(lambda: one.id not in platform.supervisor.running(), 30)


@pytest.mark.parametrize("seconds", [-3600, 3600])
async def test_a_clock_that_is_set_shortens_no_drain_and_draws_none_out(
    platform: InProcess, shop: Repository, seconds: float
) -> None:
    old = await platform.push(shop, app_files("one"))
    (one,) = await platform.instances(old)
    platform.proxy.in_flight = {one.server}
    await platform.push(shop, app_files("two"))
    platform.clock.advance(1)
    platform.clock.set(seconds)
    platform.clock.advance(STANDBY.total_seconds() - 1.1)
    await platform.reconciler.converge()
    assert f"standby.{one.server}" in {name for name, _ in platform.routes()["master--shop"]}
    platform.clock.advance(0.1)
    await platform.reconciler.converge()
    assert f"standby.{one.server}" not in {name for name, _ in platform.routes()["master--shop"]}
    platform.clock.set(seconds)
    platform.clock.advance(DRAIN_TIMEOUT_SECONDS - 1)
    await platform.reconciler.converge()
    assert not platform.supervisor.ending()
    platform.clock.advance(1.1)
    await platform.reconciler.converge()
    await eventually(lambda: one.id not in platform.supervisor.running(), 30)


async def test_a_clock_that_is_set_in_the_middle_of_a_pass_ends_no_drain(
    platform: InProcess, shop: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await platform.push(shop, app_files("one"))
    (one,) = await platform.instances(old)
    platform.proxy.in_flight = {one.server}
    await platform.push(shop, app_files("two"))
    await platform.end_standby()
    ask = platform.proxy.traffic

    async def set_meanwhile() -> Traffic:
        platform.clock.set(3600)
        return await ask()

    monkeypatch.setattr(platform.proxy, "traffic", set_meanwhile)
    for _ in range(3):
        await platform.reconciler.converge()
        assert not platform.supervisor.ending()


async def test_a_draining_instance_that_an_old_connection_leads_to_is_not_stopped(
    platform: InProcess, shop: Repository
) -> None:
    old = await platform.push(shop, app_files("one"))
    (one,) = await platform.instances(old)
    platform.proxy.reachable = {one.server}
    await platform.push(shop, app_files("two"))
    await platform.end_standby()
    assert not platform.supervisor.ending()
    platform.proxy.reachable.clear()
    await platform.reconciler.converge()
    await eventually(lambda: one.id not in platform.supervisor.running(), 30)


async def test_the_proxy_follows_before_any_process_is_stopped(platform: InProcess, shop: Repository) -> None:
    old = await platform.push(shop, app_files("one"))
    platform.proxy.refuses = True
    await platform.push(shop, app_files("two"))
    platform.clock.advance(STANDBY.total_seconds())
    with pytest.raises(ProxyFailed):
        await platform.reconciler.converge()
    assert await platform.page(old) == "one"
    assert not platform.supervisor.ending()

    platform.proxy.refuses = False
    await platform.reconciler.converge()
    assert platform.supervisor.ending() == {each.id for each in await platform.instances(old)}


async def test_an_instance_that_died_is_started_again_after_its_back_off(platform: InProcess, shop: Repository) -> None:
    live = await platform.push(shop, app_files("one"))
    for seconds in (1, 2, 4):
        await kill_instances(platform, live)
        platform.clock.advance(seconds - 0.001)
        await platform.reconciler.converge()
        assert not platform.supervisor.running()
        platform.clock.advance(0.001)
        await platform.reconciler.converge()
        assert len(platform.supervisor.running()) == 1


async def test_an_instance_that_cannot_be_started_is_not_tried_without_pause(
    platform: InProcess, shop: Repository
) -> None:
    live = await platform.push(shop, app_files("one"))
    await kill_instances(platform, live)
    tree = platform.workspace.tree(live)
    tree.rename(tree.with_name("elsewhere"))
    platform.clock.advance(1)
    await platform.reconciler.converge()
    tree.with_name("elsewhere").rename(tree)
    await platform.reconciler.converge()
    assert not platform.supervisor.running()
    platform.clock.advance(2)
    await platform.reconciler.converge()
    assert len(platform.supervisor.running()) == 1


def has_ended(pid: int) -> bool:
    """Tell whether a process is gone, or nothing of it is left but how it ended."""
    try:
        return is_zombie(pid)
    except ProcessLookupError:
        return True


async def test_a_daemon_that_starts_finds_what_runs_and_starts_what_does_not(
    platform: InProcess, shop: Repository
) -> None:
    live = await platform.push(shop, app_files("one", **TWO))
    (one, two) = await platform.instances(live)
    assert one.process is not None
    assert two.process is not None
    platform.supervisor.abandon()
    killed = two.process.pid
    os.kill(killed, signal.SIGKILL)
    await eventually(lambda: has_ended(killed), 30)

    platform.supervisor = platform.new_supervisor()
    platform.reconciler = platform.new_reconciler()
    await platform.supervisor.adopt((await platform.reconciler.take_over()).instances)
    await platform.reconciler.converge()

    (one_again, two_again) = await platform.instances(live)
    assert one_again.process == one.process
    assert two_again.process not in (None, two.process)
    assert platform.supervisor.running() == {one.id, two.id}


async def test_what_a_killed_daemon_was_deploying_is_abandoned_by_the_next_one(
    platform: InProcess, shop: Repository
) -> None:
    live = await platform.push(shop, app_files("one"))
    commit = platform.commit(shop, app_files("two"))
    manifest = live.manifest
    assert manifest is not None
    building = await platform.registry.open_release(SHOP, MASTER, commit, subject="x", author="Ada")
    starting = await platform.registry.open_release(SHOP, MASTER, commit, subject="x", author="Ada")
    starting = await platform.registry.start_release(starting.id, manifest)
    await platform.repositories.export(SHOP, commit, platform.workspace.create(starting))
    instance = await platform.registry.open_instance(starting.id, WEB, 1, 9999)
    await platform.supervisor.start(instance, starting)
    platform.supervisor.abandon()

    platform.supervisor = platform.new_supervisor()
    platform.reconciler = platform.new_reconciler()
    await platform.supervisor.adopt((await platform.reconciler.take_over()).instances)
    await platform.reconciler.converge()
    await eventually(lambda: instance.id not in platform.supervisor.running(), 30)
    await platform.reconciler.converge()

    assert await platform.states() == {1: "live", building.number: "failed", starting.number: "failed"}
    (failed, *_) = await platform.registry.releases(SHOP)
    assert failed.reason == "the platform was stopped while it deployed this release"
    assert await platform.page(live) == "one"
    assert 9999 not in await platform.registry.leased_ports()


async def test_what_this_daemon_is_deploying_is_left_alone(platform: InProcess, shop: Repository) -> None:
    await platform.reconciler.take_over()
    commit = platform.commit(shop, app_files("one"))
    await platform.registry.open_release(SHOP, MASTER, commit, subject="x", author="Ada")
    await platform.reconciler.converge()
    assert await platform.states() == {1: "building"}


async def test_in_the_background_a_killed_instance_is_started_again_by_itself(
    platform: InProcess, shop: Repository
) -> None:
    live = await platform.push(shop, app_files("one"))
    async with platform.reconciling():
        (before,) = await platform.instances(live)
        assert before.process is not None
        platform.clock.advance(3600)
        os.kill(before.process.pid, signal.SIGKILL)
        await eventually(lambda: before.id in platform.supervisor.exits, 30)
        platform.clock.advance(1)
        await eventually(platform.supervisor.running, 30)
        (after,) = await platform.instances(live)
        assert after.process != before.process


async def test_in_the_background_a_proxy_that_refused_is_asked_until_it_follows(
    platform: InProcess, shop: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    async with platform.reconciling():
        platform.proxy.refuses = True
        await platform.push(shop, app_files("one"))
        assert platform.routes() == {}
        assert "       the proxy has not followed yet and is asked again:" in "\n".join(platform.told)
        await eventually(lambda: "reconcile.failed" in caplog.text, 30)
        platform.proxy.refuses = False
        await eventually(lambda: "master--shop" in platform.routes(), 30)


async def test_two_passes_at_once_are_two_passes(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, app_files("one"))
    await platform.push(shop, app_files("two"))
    platform.clock.advance(STANDBY.total_seconds())
    await asyncio.gather(*(platform.reconciler.converge() for _ in range(5)))
    await eventually(lambda: len(platform.supervisor.running()) == 1, 30)
    await asyncio.gather(*(platform.reconciler.converge() for _ in range(5)))
    assert await platform.states() == {1: "retired", 2: "live"}


class TestReclaim:
    """A release that stands by or drains is made live again as it is, if all that serves is there."""

    @pytest.mark.parametrize("drains", [False, True])
    async def test_one_that_is_whole_goes_on_with_its_processes(
        self, platform: InProcess, shop: Repository, drains: bool
    ) -> None:
        old = await platform.push(shop, app_files("one"))
        (one,) = await platform.instances(old)
        await platform.push(shop, app_files("two"))
        if drains:
            platform.proxy.in_flight = {one.server}
            await platform.end_standby()
        reclaimed = await platform.reconciler.reclaim(old, platform.launcher)
        assert reclaimed is not None
        assert reclaimed[0].state.value == "live"
        assert reclaimed[1] == ()
        (again,) = await platform.instances(old)
        assert (again.process, again.state) == (one.process, InstanceState.HEALTHY)

    async def test_its_workers_are_started_again(self, platform: InProcess, shop: Repository) -> None:
        files = app_files("one", Procfile=f"web: {SERVE}\nworker: exec sleep 1000\n")
        old = await platform.push(shop, files)
        await platform.push(shop, files | app_files("two", Procfile=files["Procfile"]))
        await eventually(lambda: len(platform.supervisor.running()) == 3, 30)
        reclaimed = await platform.reconciler.reclaim(old, platform.launcher)
        assert reclaimed is not None
        (worker,) = reclaimed[1]
        assert worker.type == "worker"
        await platform.reconciler.converge()
        assert worker.id in platform.supervisor.running() - platform.supervisor.ending()
        serving = platform.supervisor.running() - platform.supervisor.ending()
        assert {each.type for each in await platform.instances(old) if each.id in serving} == {WEB, "worker"}

    async def test_one_whose_instance_was_asked_to_end_is_not(self, platform: InProcess, shop: Repository) -> None:
        await platform.registry.set_config(SHOP, {"END_SECONDS": "5"})
        old = await platform.push(shop, app_files("one"))
        await platform.push(shop, app_files("two"))
        await platform.end_standby()
        assert platform.supervisor.ending()
        assert await platform.reconciler.reclaim(old, platform.launcher) is None

    async def test_one_that_has_lost_an_instance_is_not(self, platform: InProcess, shop: Repository) -> None:
        old = await platform.push(shop, app_files("one", **TWO))
        one, two = await platform.instances(old)
        await platform.push(shop, app_files("two"))
        assert two.process is not None
        os.kill(two.process.pid, signal.SIGKILL)
        await eventually(lambda: two.id not in platform.supervisor.running(), 30)
        assert await platform.reconciler.reclaim(old, platform.launcher) is None
        await platform.reconciler.converge()
        assert [each.id for each in await platform.instances(old)] == [one.id]
        assert await platform.reconciler.reclaim(old, platform.launcher) is None


async def test_a_start_from_nothing_warms_the_instances_up(platform: InProcess, shop: Repository) -> None:
    live = await platform.push(shop, app_files("one", **TWO))
    await kill_instances(platform, live)
    platform.supervisor = platform.new_supervisor()
    platform.reconciler = platform.new_reconciler()
    await platform.reconciler.warm_up(10)
    assert len(platform.supervisor.running()) == 2
    assert await platform.page(live) == "one"


async def test_one_that_does_not_get_warm_does_not_hold_the_start_up(platform: InProcess, shop: Repository) -> None:
    live = await platform.push(shop, app_files("one"))
    await kill_instances(platform, live)
    (platform.workspace.tree(live) / "app.py").write_text("import time; time.sleep(100)")
    platform.supervisor = platform.new_supervisor()
    platform.reconciler = platform.new_reconciler()
    await asyncio.wait_for(platform.reconciler.warm_up(0.2), 30)


async def test_a_reused_pid_is_not_taken_for_an_instance(platform: InProcess, shop: Repository) -> None:
    live = await platform.push(shop, app_files("one"))
    await kill_instances(platform, live)
    (one,) = await platform.instances(live)
    stranger = replace(processes.identify(os.getpid()), start_ticks=1)
    await platform.registry.record_process(one.id, stranger)
    platform.supervisor = platform.new_supervisor()
    platform.reconciler = platform.new_reconciler()
    await platform.supervisor.adopt((await platform.reconciler.take_over()).instances)
    assert platform.supervisor.running() == set()
    await platform.reconciler.converge()
    assert platform.supervisor.running() == {one.id}


async def test_after_converging_there_is_no_second_pass_but_the_next_one_is_timed_anew(
    platform: InProcess, shop: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await platform.push(shop, app_files("one"))
    (one,) = await platform.instances(old)
    passes: list[int] = []
    make = platform.reconciler._pass

    async def count_and_make() -> None:
        passes.append(1)
        await make()

    monkeypatch.setattr(platform.reconciler, "_pass", count_and_make)
    async with platform.reconciling():
        platform.reconciler.wake()
        await eventually(lambda: passes and not platform.reconciler._woken.is_set(), 30)
        passes.clear()
        await platform.reconciler.converge()
        await eventually(lambda: not platform.reconciler._woken.is_set(), 30)  # noticed
        await platform.registry.snapshot()  # time enough to begin another
        assert len(passes) == 1
        platform.reconciler.wake()
        await eventually(lambda: len(passes) == 2, 30)
        # Something leaves now: it is looked at soon, though half a minute was to be waited.
        await platform.registry.move_instance(one.id, InstanceState.DRAINING)
        await platform.reconciler.converge()
        await eventually(lambda: len(passes) >= 4, 30)
