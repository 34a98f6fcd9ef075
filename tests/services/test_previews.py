"""A branch is shown to those who have the app's key, until there is another key."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.errors import AppNotFound, BranchNotFound
from platforms import InProcess, in_process
from services.test_experiment import make_live
from values import BLOG, MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path) as made:
        await made.registry.create_app(SHOP, MASTER)
        yield made


def shown(platform: InProcess) -> dict[str, str]:
    """Return what the proxy shows to those who have a key."""
    return dict(platform.proxy.table.apps[0].previews)


async def test_an_app_has_a_key_once_somebody_asks_and_the_proxy_knows_it_then(platform: InProcess) -> None:
    for branch in (MASTER, TEST):
        await make_live(platform, branch)
    await platform.reconciler.converge()
    assert shown(platform) == {}
    app, live = await platform.previews.of(SHOP)
    assert live == (MASTER, TEST)
    assert shown(platform) == {f"{app.preview_key}.{branch}": f"{branch}--shop" for branch in live}
    assert (await platform.previews.of(SHOP))[0].preview_key == app.preview_key


async def test_a_fresh_key_ends_the_one_before(platform: InProcess) -> None:
    await make_live(platform, MASTER)
    before = (await platform.previews.of(SHOP))[0].preview_key
    after = (await platform.previews.of(SHOP, fresh=True))[0].preview_key
    assert before != after
    assert shown(platform) == {f"{after}.master": "master--shop"}


async def test_where_nothing_is_live_there_is_nothing_to_show(platform: InProcess) -> None:
    with pytest.raises(BranchNotFound, match="nothing of shop is live"):
        await platform.previews.of(SHOP)
    with pytest.raises(AppNotFound):
        await platform.previews.of(BLOG)
