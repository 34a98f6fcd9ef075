"""Config vars: each change is a release of the same tree on every live branch, or nothing has changed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.app import AppMode
from balancer.domain.release import Release
from balancer.errors import AppNotFound, NotHealthy
from platforms import KEEP_RELEASES, SERVE, InProcess, app_files, in_process, probe_quickly
from running import Repository
from values import BLOG, MASTER, SHOP, TEST
from waiting import eventually

pytestmark = pytest.mark.anyio
# It says what GREETING is, and does not start where that is `bad`.
GREETING = {"Procfile": f"web: [ x$GREETING != xbad ] || exit 5; {SERVE}\n"}


def greeting(version: str) -> dict[str, str]:
    """Return an app that answers with the config var GREETING."""
    files = app_files(version) | GREETING
    said = "import os; VERSION = os.environ.get('GREETING', 'none')"
    return files | {"app.py": files["app.py"].replace(f"VERSION = {version!r}", said)}


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


async def change(platform: InProcess, *, later: bool = False, **changes: str | None) -> dict[str, str]:
    """Change config vars of the shop, one second after what was done before."""
    platform.clock.advance(1)
    return await platform.config_vars.change(SHOP, changes, platform.told.append, later=later)


async def live(platform: InProcess) -> Release:
    """Return what is live on master."""
    found = await platform.live()
    assert found is not None
    return found


async def test_what_is_live_runs_with_them_from_the_same_tree(platform: InProcess, shop: Repository) -> None:
    first = await platform.push(shop, greeting("one"))
    assert await platform.page(first) == "none"
    assert await change(platform, GREETING="hello", OTHER="x") == {"GREETING": "hello", "OTHER": "x"}
    second = await live(platform)
    assert (second.number, second.commit, second.tree) == (2, first.commit, 1)
    assert (second.subject, second.author) == ("Config: set GREETING, OTHER", "operator")
    assert await platform.page(second) == "hello"
    assert not (platform.directory / "releases" / "shop" / "2" / "tree").exists()
    await change(platform, GREETING="hi", OTHER=None)
    third = await live(platform)
    assert (third.subject, third.tree) == ("Config: set GREETING, unset OTHER", 1)
    assert await platform.page(third) == "hi"
    assert await platform.states() == {1: "draining", 2: "draining", 3: "live"}


async def test_every_live_branch_has_a_release_of_its_own(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, greeting("one"))
    await platform.push(shop, greeting("two"), "test")
    await change(platform, GREETING="hello")
    found = (await platform.registry.snapshot()).live(SHOP)
    assert {branch: (release.number, release.tree) for branch, release in found.items()} == {
        MASTER: (3, 1),
        TEST: (4, 2),
    }


async def test_where_it_does_not_become_healthy_nothing_has_changed(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, greeting("one"))
    await platform.push(shop, app_files("two"), "test")
    with pytest.raises(NotHealthy, match="status 5"):
        await change(platform, GREETING="bad")
    assert await platform.registry.config(SHOP) == {}
    assert await platform.states() == {1: "live", 2: "live", 3: "failed", 4: "failed"}
    assert await platform.page(await live(platform)) == "none"
    await eventually(lambda: len(platform.supervisor.running()) == 2, 30)
    assert platform.workspace.has_tree(await live(platform))


async def test_a_change_that_is_given_up_changes_nothing(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, app_files("one", Procfile=f"web: [ x$A = x ] || sleep 5; {SERVE}\n"))
    changing = asyncio.ensure_future(change(platform, A="1"))
    await eventually(lambda: len(platform.supervisor.running()) == 2, 30)
    changing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await changing
    assert await platform.registry.config(SHOP) == {}
    assert await platform.states() == {1: "live", 2: "failed"}


async def test_later_is_the_next_push(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, greeting("one"))
    assert await change(platform, later=True, GREETING="hello") == {"GREETING": "hello"}
    assert await platform.page(await live(platform)) == "none"
    await platform.push(shop, greeting("two"))
    assert await platform.page(await live(platform)) == "hello"


async def test_what_was_set_for_later_comes_with_the_next_change(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, greeting("one"))
    await change(platform, later=True, GREETING="hello")
    await change(platform, GREETING="hello")
    release = await live(platform)
    assert release.subject == "Config: as it was set"
    assert await platform.page(release) == "hello"


async def test_what_changes_nothing_makes_no_release(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, greeting("one"))
    await change(platform, GREETING=None)
    assert platform.told[-1] == "-----> Nothing changes"
    assert await platform.states() == {1: "live"}


async def test_an_app_has_config_vars_before_its_first_push(platform: InProcess, shop: Repository) -> None:
    assert await change(platform, GREETING="hello") == {"GREETING": "hello"}
    assert await platform.states() == {}
    with pytest.raises(AppNotFound):
        await platform.config_vars.change(BLOG, {"A": "1"}, platform.told.append, later=False)


async def test_a_stopped_app_has_them_when_it_is_started(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, greeting("one"))
    await platform.formations.stop(SHOP, platform.told.append)
    await change(platform, GREETING="hello")
    assert platform.supervisor.running() == frozenset()
    assert (await platform.registry.app(SHOP)).mode is AppMode.STOPPED
    await platform.formations.start(SHOP, platform.told.append)
    assert await platform.page(await live(platform)) == "hello"


async def test_a_tree_is_kept_as_long_as_a_release_that_is_kept_runs_it(platform: InProcess, shop: Repository) -> None:
    await platform.push(shop, greeting("one"))
    for number in range(KEEP_RELEASES + 2):
        await change(platform, GREETING=str(number))
        await platform.end_standby()
        await eventually(lambda: len(platform.supervisor.running()) == 1, 30)
    assert platform.workspace.has_tree(await live(platform))
    for version in range(KEEP_RELEASES + 3):
        await platform.push(shop, greeting(str(version)))
        await platform.end_standby()
        await eventually(lambda: len(platform.supervisor.running()) == 1, 30)
    first = (await platform.registry.releases(SHOP))[-1]
    assert first.number == 1
    assert not platform.workspace.has_tree(first)
