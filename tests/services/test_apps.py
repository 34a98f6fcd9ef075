"""Apps: made, with their repository and their host, and deleted with all that is theirs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.app import AppName
from balancer.domain.manifest import WEB
from balancer.errors import AppNotFound
from balancer.services.apps import Apps
from platforms import InProcess, app_files, in_process, probe_quickly
from values import BLOG, MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio


@pytest.fixture
async def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcess]:
    """A platform that asks its instances more often, so that these tests are quick."""
    probe_quickly(monkeypatch)
    async with in_process(tmp_path) as made, made.reconciling():
        yield made


@pytest.fixture
def apps(platform: InProcess) -> Apps:
    """Its apps."""
    return Apps(
        platform.registry,
        platform.repositories,
        platform.workspace,
        platform.reconciler,
        platform.formations,
        platform.turns,
    )


async def test_an_app_that_is_deleted_leaves_nothing_and_its_name_is_free(platform: InProcess, apps: Apps) -> None:
    work = await platform.create()
    await platform.create("shop-2")
    for branch in (MASTER, TEST):
        await platform.push(work, app_files("one"), branch)
    await platform.registry.set_config(SHOP, {"A": "1"})
    await platform.formations.scale(SHOP, {WEB: 2}, platform.told.append)
    await platform.experiments.start(SHOP, {MASTER: 5000, TEST: 5000}, MASTER)
    await apps.delete(SHOP, platform.told.append)
    assert platform.told[-1] == "-----> Deleted shop"
    assert platform.supervisor.running() == frozenset()
    assert [app.name for app in await platform.registry.apps()] == ["shop-2"]
    assert not (platform.directory / "repositories" / "shop.git").exists()
    assert not (platform.directory / "releases" / "shop").exists()
    assert [app.name for app in platform.proxy.table.apps] == ["shop-2"]

    await apps.create(SHOP, None)
    assert await platform.registry.config(SHOP) == {}
    assert await platform.registry.releases(SHOP) == ()
    assert await platform.repositories.ref(SHOP, MASTER) is None


async def test_an_app_that_never_was_pushed_can_be_deleted(platform: InProcess, apps: Apps) -> None:
    await apps.create(AppName("new"), None)
    await apps.delete(AppName("new"), platform.told.append)
    assert await platform.registry.apps() == ()


async def test_what_is_not_there_cannot_be_deleted(platform: InProcess, apps: Apps) -> None:
    with pytest.raises(AppNotFound):
        await apps.delete(BLOG, platform.told.append)
