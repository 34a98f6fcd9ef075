"""Cron: the jobs of each app's default branch, run when they are due. Real processes, a clock that the test moves."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.domain.app import AppMode
from balancer.domain.cron import minute_of
from balancer.services.cron import Cron, Entry
from platforms import InProcess, app_files, in_process, probe_quickly
from running import Repository
from values import SHOP
from waiting import eventually

pytestmark = pytest.mark.anyio


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


async def push(platform: InProcess, shop: Repository, *commands: str, branch: str = "master") -> None:
    """Push an app with jobs that are due in every minute."""
    jobs = "".join(f'[[cron]]\nschedule = "* * * * *"\ncommand = """{command}"""\n' for command in commands)
    await platform.push(shop, app_files("one", **{"balancer.toml": jobs}), branch)


async def look(platform: InProcess, cron: Cron | None = None, *, after_minutes: float = 1) -> None:
    """Let time pass, and look at what is due."""
    minute = minute_of(platform.clock.advance(after_minutes * 60))
    await (cron or platform.cron).look(minute)


def printed(platform: InProcess, release: int = 1, number: int = 1) -> list[str]:
    """Return what a job has printed."""
    path = platform.directory / "releases" / "shop" / str(release) / "log" / f"cron.{number}.log"
    return path.read_text().splitlines() if path.exists() else []


async def entry(platform: InProcess) -> Entry:
    """Return the only job."""
    (found,) = await platform.cron.entries(SHOP)
    return found


async def ended(platform: InProcess) -> bool:
    """Tell whether the end of the only job has been noted."""
    found = await entry(platform)
    return found.last is not None and found.last.ended_at is not None


async def test_what_is_due_runs_in_the_release_with_its_config_vars(platform: InProcess, shop: Repository) -> None:
    await platform.registry.set_config(SHOP, {"GREETING": "hello"})
    await push(platform, shop, "echo $GREETING $BALANCER_BRANCH; ls Procfile; exit 3")
    await look(platform)
    await eventually(lambda: ended(platform), 30)
    assert printed(platform) == ["hello master", "Procfile"]
    found = await entry(platform)
    assert found.last is not None
    assert (found.last.minute, found.last.status, found.last.release) == (minute_of(platform.clock()), 3, 1)
    assert found.next == minute_of(platform.clock()) + timedelta(minutes=1)


async def test_a_job_is_started_once_in_a_minute_whoever_looks(platform: InProcess, shop: Repository) -> None:
    await push(platform, shop, "echo once")
    await look(platform)
    await eventually(lambda: ended(platform), 30)
    await look(platform, after_minutes=0)
    other = Cron(platform.registry, platform.new_jobs(), platform.clock)
    await look(platform, other, after_minutes=0)
    await look(platform)
    await eventually(lambda: len(printed(platform)) == 2, 30)
    await eventually(lambda: ended(platform), 30)
    assert printed(platform) == ["once"] * 2


async def test_what_was_missed_is_not_made_up_for(platform: InProcess, shop: Repository) -> None:
    await push(platform, shop, "echo once")
    await look(platform)
    await eventually(lambda: ended(platform), 30)
    await look(platform, after_minutes=60)
    await eventually(lambda: len(printed(platform)) == 2, 30)


async def test_a_job_whose_last_run_goes_on_is_left_out(platform: InProcess, shop: Repository) -> None:
    await push(platform, shop, "echo begun; sleep 600")
    await look(platform)
    await eventually(lambda: printed(platform) == ["begun"], 30)
    await look(platform)
    found = await entry(platform)
    assert found.running
    assert found.last is not None
    assert found.last.minute == minute_of(platform.clock()) - timedelta(minutes=1)


async def test_a_daemon_that_comes_finds_the_jobs_of_the_one_before_it(platform: InProcess, shop: Repository) -> None:
    gate = platform.directory / "gate"
    await push(platform, shop, f"echo begun; while [ ! -e {gate} ]; do sleep 0.05; done; echo done")
    await look(platform)
    await eventually(lambda: printed(platform) == ["begun"], 30)
    jobs = platform.new_jobs()
    other = Cron(platform.registry, jobs, platform.clock)
    await other.take_over()
    await look(platform, other)
    assert printed(platform) == ["begun"]
    gate.touch()
    await eventually(lambda: printed(platform) == ["begun", "done"], 30)
    await eventually(lambda: ended(platform), 30)

    async def free_for_the_next() -> bool:
        (found,) = await other.entries(SHOP)
        return not found.running

    await eventually(free_for_the_next, 30)  # the end was noted by whoever saw it first
    gate.unlink()
    await look(platform, other)
    await eventually(lambda: printed(platform)[2:] == ["begun"], 30)
    await jobs.stop_all(0)


@pytest.mark.parametrize("mode", [AppMode.STOPPED, AppMode.MAINTENANCE])
async def test_an_app_that_does_not_serve_runs_no_jobs(platform: InProcess, shop: Repository, mode: AppMode) -> None:
    await push(platform, shop, "echo here")
    await platform.registry.set_mode(SHOP, mode)
    await look(platform)
    assert (await entry(platform)).next is None
    await platform.registry.set_mode(SHOP, AppMode.SERVING)
    await look(platform)
    await eventually(lambda: printed(platform) == ["here"], 30)


async def test_only_the_default_branch_has_jobs_and_each_of_them_once(platform: InProcess, shop: Repository) -> None:
    await push(platform, shop, "echo one", "echo two", "echo one")
    await push(platform, shop, "echo test", branch="test")
    await look(platform)
    await eventually(lambda: (printed(platform, number=1), printed(platform, number=2)) == (["one"], ["two"]), 30)
    assert [entry.job.command for entry in await platform.cron.entries(SHOP)] == ["echo one", "echo two"]
    assert printed(platform, number=3) == printed(platform, release=2) == []


async def test_what_cannot_be_started_is_said_and_holds_up_nothing(platform: InProcess, shop: Repository) -> None:
    await push(platform, shop, "echo one", "echo two")
    log = platform.directory / "releases" / "shop" / "1" / "log" / "cron.1.log"
    log.mkdir()
    await look(platform)
    await eventually(lambda: printed(platform, number=2) == ["two"], 30)


async def test_it_looks_at_the_beginning_of_each_minute(platform: InProcess, shop: Repository) -> None:
    await push(platform, shop, "echo here")
    began, shown = time.monotonic(), minute_of(platform.clock()) + timedelta(seconds=58)
    cron = Cron(platform.registry, platform.jobs, lambda: shown + timedelta(seconds=time.monotonic() - began))
    running = asyncio.ensure_future(cron.run())
    await eventually(lambda: printed(platform) == ["here"], 30)
    assert time.monotonic() - began > 2
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
