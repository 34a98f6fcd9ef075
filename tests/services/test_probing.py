"""Live instances are asked whether they live; real ones, of which some have stopped to answer."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from balancer.domain.release import Instance, InstanceState
from balancer.runner import health
from balancer.services import probing as probing_module
from balancer.services.probing import Prober
from platforms import InProcess, app_files, in_process, probe_quickly
from waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcess]:
    """A platform whose instances are asked often, and have half a second to answer."""
    probe_quickly(monkeypatch)
    monkeypatch.setattr(health, "_PROBE_TIMEOUT_SECONDS", 0.5)
    async with in_process(tmp_path) as made:
        yield made


@asynccontextmanager
async def probing(platform: InProcess) -> AsyncIterator[Prober]:
    """Ask the instances in the background."""
    prober = Prober(platform.registry, platform.supervisor, platform.reconciler, every_seconds=0.05)
    running = asyncio.ensure_future(prober.run())
    try:
        async with platform.reconciling():
            yield prober
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def the_only(platform: InProcess) -> Instance:
    """Return the one instance of the live release."""
    live = await platform.live()
    assert live
    (found,) = await platform.instances(live)
    return found


async def is_(platform: InProcess, state: InstanceState) -> bool:
    return (await the_only(platform)).state is state


async def test_one_that_hangs_is_unhealthy_and_stopped_and_started_again_as_itself(platform: InProcess) -> None:
    await platform.push(await platform.create(), app_files("one"))
    before = await the_only(platform)
    async with probing(platform):
        with socket.create_connection(("127.0.0.1", before.port)):  # the app reads from one visitor at a time
            await eventually(lambda: is_(platform, InstanceState.UNHEALTHY), 30)
            await eventually(lambda: before.id not in platform.supervisor.running(), 30)
        platform.clock.advance(2)  # the back-off
        await eventually(lambda: is_(platform, InstanceState.HEALTHY), 30)
    after = await the_only(platform)
    assert (after.id, after.port) == (before.id, before.port)
    assert after.process != before.process


async def test_one_that_answers_is_left_alone(platform: InProcess) -> None:
    await platform.push(await platform.create(), app_files("one"))
    before = await the_only(platform)
    asked = []
    probe = platform.supervisor.probe

    async def probe_and_count(*of: object) -> tuple[str | None, str]:
        asked.append(await probe(*of))  # type: ignore[arg-type]
        return asked[-1]

    platform.supervisor.probe = probe_and_count  # type: ignore[method-assign, assignment]
    async with probing(platform):
        await eventually(lambda: len(asked) >= 5, 30)
    assert {address for address, _ in asked} == {"127.0.0.1"}
    assert await the_only(platform) == before


async def test_one_that_crashed_is_not_judged_before_it_has_answered(
    platform: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_PROBE_TIMEOUT_SECONDS", 30)  # one that answers late is another matter
    files = app_files("one")
    await platform.push(await platform.create(), {**files, "app.py": f"import time; time.sleep(1)\n{files['app.py']}"})
    before = await the_only(platform)
    assert before.process
    # Before anybody asks: one that is asked in the middle of its end is silent.
    os.kill(before.process.pid, signal.SIGKILL)
    await eventually(lambda: before.id not in platform.supervisor.running(), 30)
    async with probing(platform) as prober:
        await eventually(lambda: before.id in prober._lives, 30)
        platform.clock.advance(2)
        await eventually(lambda: before.id in platform.supervisor.running(), 30)
        started = (await the_only(platform)).process
        await eventually(lambda: _answers(before.port), 30)
        assert await is_(platform, InstanceState.HEALTHY)
        assert (await the_only(platform)).process == started


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def times_asked(platform: InProcess, monkeypatch: pytest.MonkeyPatch, per_second: int) -> list[float]:
    """Return when three instances were asked within a second and a half, with room for so many a second."""
    monkeypatch.setattr(probing_module, "_PER_SECOND", per_second)
    await platform.push(await platform.create(), {**app_files("one"), "balancer.toml": "instances = 3\n"})
    asked: list[float] = []
    probe = platform.supervisor.probe

    async def probe_and_note(*of: object) -> tuple[str | None, str]:
        asked.append(time.monotonic())
        return await probe(*of)  # type: ignore[arg-type]

    platform.supervisor.probe = probe_and_note  # type: ignore[method-assign, assignment]
    began = time.monotonic()
    async with probing(platform):
        await eventually(lambda: time.monotonic() - began > 1.5, 30)
    return [at - began for at in asked if at - began <= 1.5]


async def test_many_are_asked_less_often_so_that_all_of_them_take_no_more_than_a_few(
    platform: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(await times_asked(platform, monkeypatch, per_second=2)) <= 3 + 3  # one each, and 2 a second


async def test_few_are_asked_as_often_as_the_setting_says(platform: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(await times_asked(platform, monkeypatch, per_second=1000)) > 12


async def test_one_of_many_that_is_silent_is_asked_again_as_soon_as_one_of_few(
    platform: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing_module, "_PER_SECOND", 1)  # each second, at first
    await platform.push(await platform.create(), app_files("one"))
    monkeypatch.setattr(probing_module, "_PER_SECOND", 0.2)  # with one each 5 s three silences would take 10
    before = await the_only(platform)
    async with probing(platform):
        with socket.create_connection(("127.0.0.1", before.port)):
            asked_first = time.monotonic()
            await eventually(lambda: is_(platform, InstanceState.UNHEALTHY), 30)
    assert time.monotonic() - asked_first < 5 + 3 * (0.5 + 1) + 3
