"""What a provider's call asks for, and what becomes of it where nobody waits for the answer."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.domain.app import Commit
from balancer.domain.remote import RemoteUrl
from balancer.domain.webhook import Pushed
from platforms import InProcess, in_process
from values import MASTER, SHOP, TEST
from waiting import eventually

pytestmark = pytest.mark.anyio
COMMIT = Commit("c0ffee" + "0" * 34)


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[InProcess]:
    """A shop that follows a repository that does not answer."""
    async with in_process(tmp_path) as running:
        await running.registry.create_app(SHOP, MASTER)
        await running.pulls.set(SHOP, RemoteUrl("https://127.0.0.1:1/shop.git"), ())
        yield running


async def follow(platform: InProcess, pushed: Pushed) -> None:
    """Follow a call, until nothing is under way."""
    assert platform.pulls.follow(await platform.registry.source(SHOP), pushed) is None

    async def is_over() -> bool:
        return not platform.pulls._under_way

    await eventually(is_over, 30)


async def test_a_call_that_a_freeze_refuses_is_told_since_nobody_waits_for_it(platform: InProcess) -> None:
    now = platform.clock.now
    await platform.registry.add_freeze(SHOP, now, now + timedelta(days=1), "Fair")
    await follow(platform, Pushed(MASTER, COMMIT))
    (told,) = platform.teller.told
    assert (told.kind, told.app) == ("deploy.refused", SHOP)
    assert told.text.startswith(
        "shop master: c0ffee0 was refused, and comes by `balancer source pull shop` alone: there is"
    )
    assert (told.facts["branch"], told.facts["commit"]) == ("master", COMMIT)
    assert "(Fair)" in str(told.facts["reason"])


async def test_a_call_for_another_branch_is_followed_in_a_freeze_and_nothing_is_refused(platform: InProcess) -> None:
    now = platform.clock.now
    await platform.registry.add_freeze(SHOP, now, now + timedelta(days=1), "Fair")
    await follow(platform, Pushed(TEST, COMMIT))
    assert [notice.kind for notice in platform.teller.told] == ["source.failed"]  # it does not answer


async def told_and_noted(platform: InProcess) -> tuple[list[str], list[str]]:
    """Return the kinds of notices about what is followed, and what the audit log has of it, the oldest first."""
    noted = await platform.registry.audit(SHOP, None, 100)
    told = [notice.kind.value for notice in platform.teller.told if "source" in notice.kind]
    return told, [entry.what for entry in reversed(noted)]


async def test_that_nothing_can_be_fetched_is_told_once_until_it_can(
    platform: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    await follow(platform, Pushed(MASTER, COMMIT))
    await follow(platform, Pushed(TEST, COMMIT))
    assert await told_and_noted(platform) == (["source.failed"], ["source failed"])
    (notice,) = platform.teller.told
    assert notice.text.startswith(
        "shop: what is pushed there is not deployed: master cannot be fetched from https://127.0.0.1:1/shop.git: "
    )
    assert (notice.facts["branch"], notice.facts["url"]) == ("master", "https://127.0.0.1:1/shop.git")

    async def fetch(*_: object) -> Commit:
        return COMMIT

    with monkeypatch.context() as answering:
        answering.setattr(platform.repositories, "fetch", fetch)
        await follow(platform, Pushed(MASTER, COMMIT))
        await follow(platform, Pushed(MASTER, COMMIT))
    assert await told_and_noted(platform) == (
        ["source.failed", "source.works"],
        ["source failed", "source works again"],
    )
    await follow(platform, Pushed(MASTER, COMMIT))
    assert (await told_and_noted(platform))[0] == ["source.failed", "source.works", "source.failed"]


async def test_a_first_fetch_that_works_is_no_news_and_an_app_made_again_has_no_streak(
    platform: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fetch(*_: object) -> Commit:
        return COMMIT

    await follow(platform, Pushed(MASTER, COMMIT))
    await platform.registry.remove_source(SHOP)
    await platform.registry.remove_app(SHOP)
    platform.clock.advance(1)
    await platform.registry.create_app(SHOP, MASTER)
    await platform.pulls.set(SHOP, RemoteUrl("https://127.0.0.1:1/shop.git"), ())
    with monkeypatch.context() as answering:
        answering.setattr(platform.repositories, "fetch", fetch)
        await follow(platform, Pushed(MASTER, COMMIT))
    assert (await told_and_noted(platform))[0] == ["source.failed"]
