"""Switches: what the registry decides of a release is noted, however often whoever waits for it is cancelled."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.app import Commit
from balancer.domain.notice import NoticeKind
from balancer.domain.release import Release
from balancer.services.switch import Switch
from platforms import InProcess, in_process
from values import LOCALHOST, MASTER, SHOP

pytestmark = pytest.mark.anyio


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path) as made:
        await made.registry.create_app(SHOP, MASTER)
        yield made


async def opened(platform: InProcess) -> Release:
    """Open a release, with its tree."""
    commit = Commit("c0ffee" + "0" * 34)
    release = await platform.registry.open_release(SHOP, MASTER, commit, subject="Sell", author="Ada")
    platform.workspace.create(release)
    return release


async def test_a_release_is_abandoned_to_the_end_though_who_does_it_is_cancelled_twice(
    platform: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = Switch(
        platform.registry, platform.workspace, platform.reconciler, domain=LOCALHOST, site="", keep_releases=2
    )
    release = await opened(platform)
    begun, may_end = asyncio.Event(), asyncio.Event()
    fail = platform.registry.fail_release

    async def slow(release_id: int, reason: str) -> Release:
        begun.set()
        await may_end.wait()
        return await fail(release_id, reason)

    monkeypatch.setattr(platform.registry, "fail_release", slow)

    async def deploy() -> None:
        try:
            await asyncio.Event().wait()
        except BaseException as reason:
            await switch.abandon(release, reason, keep_tree=False)
            raise

    deploying = asyncio.create_task(deploy())
    await asyncio.sleep(0)
    deploying.cancel()  # the push is over
    async with asyncio.timeout(10):
        await begun.wait()
        deploying.cancel()  # and so is the call of its hook
        await asyncio.sleep(0)
        deploying.cancel()
        await asyncio.sleep(0)
        may_end.set()
        await asyncio.wait({deploying})
    assert deploying.cancelled()
    assert (await platform.states())[1] == "failed"
    assert [notice.kind for notice in platform.teller.told] == [NoticeKind.DEPLOY_FAILED]
    assert not platform.workspace.has_tree(release)
