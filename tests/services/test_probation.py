"""Probation: a release that dies soon after it went live gives way to the one before."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.notice import Notice, NoticeKind
from balancer.domain.release import Release
from balancer.services.probation import Probation
from platforms import InProcess, app_files, in_process, probe_quickly
from running import Repository
from values import SHOP
from waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcess]:
    """A platform that watches over what goes live."""
    probe_quickly(monkeypatch)
    async with in_process(tmp_path) as made:
        watch = Probation(made.registry, made.supervisor, made.rollbacks, made.stamps, clock=made.clock)
        running = asyncio.ensure_future(watch.run())
        async with made.reconciling():

            def on_exit() -> None:
                made.reconciler.wake()
                watch.wake()

            made.supervisor.on_exit = on_exit
            yield made
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


@pytest.fixture
async def shop(platform: InProcess) -> Repository:
    """A developer's repository of the shop."""
    return await platform.create()


async def kill(platform: InProcess, release: Release) -> None:
    """kill -9 the instance of a release, as if it had died by itself."""
    (instance,) = await platform.instances(release)
    assert instance.process is not None
    os.kill(instance.process.pid, signal.SIGKILL)


async def live_number(platform: InProcess) -> int:
    """Return the number of the live release."""
    live = await platform.live()
    assert live is not None
    return live.number


async def test_the_release_before_is_live_again(platform: InProcess, shop: Repository) -> None:
    good = await platform.push(shop, app_files("good"))
    bad = await platform.push(shop, app_files("bad"))
    await kill(platform, bad)

    async def is_back() -> bool:
        return await live_number(platform) == good.number

    await eventually(is_back, 30)

    async def is_told() -> bool:
        return (await platform.registry.releases(SHOP))[0].reason is not None

    await eventually(is_told, 30)
    reason = (await platform.registry.releases(SHOP))[0].reason or ""
    assert reason.startswith("rolled back to release 1: web.1 ended by itself ")

    def told() -> list[Notice]:
        return [each for each in platform.teller.told if each.kind is NoticeKind.ROLLED_BACK]

    await eventually(told, 30)
    (notice,) = told()
    assert notice.text.startswith("shop master: release 2 was rolled back to release 1: web.1 ended by itself ")
    assert (notice.facts["release"], notice.facts["to"]) == (2, 1)

    async def ref_is_back() -> bool:
        return await platform.repositories.ref(SHOP, good.branch) == good.commit

    await eventually(ref_is_back, 30)


async def test_one_that_is_gone_back_to_does_not_bring_the_bad_one_back(platform: InProcess, shop: Repository) -> None:
    """Two releases that both die do not take turns."""
    good = await platform.push(shop, app_files("good"))
    bad = await platform.push(shop, app_files("bad"))
    await kill(platform, bad)

    async def is_back() -> bool:
        return await live_number(platform) == good.number and bool(await platform.instances(good))

    await eventually(is_back, 30)
    await kill(platform, good)

    async def is_noticed() -> bool:
        (instance,) = await platform.instances(good)
        return instance.id in platform.supervisor.exits

    await eventually(is_noticed, 30)
    assert await live_number(platform) == good.number


async def test_the_first_release_stays_however_it_dies(
    platform: InProcess, shop: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    only = await platform.push(shop, app_files("only"))
    await kill(platform, only)

    def consequences() -> list[object]:
        said = [record for record in caplog.records if record.getMessage() == "release.failing"]
        return [vars(record)["facts"]["consequence"] for record in said]

    await eventually(consequences, 30)
    assert consequences() == ["no release of master of shop was live before; push the commit you want instead"]
    assert await platform.states() == {1: "live"}


async def test_a_rollback_by_hand_does_not_lead_to_a_release_that_failed(platform: InProcess, shop: Repository) -> None:
    first = await platform.push(shop, app_files("first"))
    await platform.push(shop, app_files("second"))
    bad = await platform.push(shop, app_files("bad"))
    await kill(platform, bad)

    async def is_back() -> bool:
        return (await platform.registry.releases(SHOP))[0].reason is not None

    await eventually(is_back, 30)
    platform.clock.advance(1)
    assert (await platform.rollbacks.rollback(SHOP, None, None, platform.told.append)).number == first.number


@pytest.mark.parametrize("seconds", [-3600, 3600])
async def test_a_clock_that_is_set_hides_no_death(platform: InProcess, shop: Repository, seconds: float) -> None:
    good = await platform.push(shop, app_files("good"))
    bad = await platform.push(shop, app_files("bad"))
    platform.clock.advance(5)
    platform.clock.set(seconds)
    await kill(platform, bad)

    async def is_back() -> bool:
        return await live_number(platform) == good.number

    await eventually(is_back, 30)


async def test_a_clock_that_is_set_makes_no_old_release_a_new_one(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, app_files("first"))
    old = await platform.push(shop, app_files("old"))
    platform.clock.advance(3600)
    platform.clock.set(-3595)
    await kill(platform, old)

    async def is_noticed() -> bool:
        (instance,) = await platform.instances(old)
        return instance.id in platform.supervisor.exits

    await eventually(is_noticed, 30)
    platform.clock.advance(2)  # the back-off

    async def is_started_again() -> bool:
        (instance,) = await platform.instances(old)
        return instance.id in platform.supervisor.running()

    await eventually(is_started_again, 30)
    assert await live_number(platform) == old.number
