"""Which logs are kept: those of what runs, and of what is built."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.errors import BalancerError
from balancer.services import kept_logs
from balancer.services.kept_logs import KeptLogs
from platforms import InProcess, app_files, in_process, probe_quickly

pytestmark = pytest.mark.anyio


@pytest.fixture
async def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcess]:
    probe_quickly(monkeypatch)
    async with in_process(tmp_path) as made:
        yield made


def kept(platform: InProcess) -> KeptLogs:
    return KeptLogs(platform.registry, platform.workspace, platform.supervisor, [platform.directory / "other.log"])


async def names(logs: KeptLogs) -> set[str]:
    return {path.name for path in await logs.files()}


async def test_those_of_live_releases_and_the_others(platform: InProcess) -> None:
    await platform.push(await platform.create(), app_files("one"))
    assert await names(kept(platform)) == {"build.log", "web.1.log", "other.log"}


async def test_the_log_of_an_instance_from_the_moment_it_is_started(
    platform: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_logs, "_SEARCH_SECONDS", 1000.0)
    logs = kept(platform)
    assert await names(logs) == {"other.log"}
    await platform.push(await platform.create(), app_files("one"))
    assert await names(logs) == {"other.log", "web.1.log"}


async def test_a_registry_that_does_not_answer_is_no_reason_to_forget(
    platform: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_logs, "_SEARCH_SECONDS", 0.0)
    await platform.push(await platform.create(), app_files("one"))
    logs = kept(platform)
    before = await logs.files()

    async def unavailable() -> None:
        raise BalancerError("the registry does not answer")

    monkeypatch.setattr(platform.registry, "snapshot", unavailable)
    assert await logs.files() == before


async def test_of_many_releases_the_directories_are_looked_into_in_turns_and_new_ones_at_once(
    platform: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_logs, "_SEARCH_SECONDS", 0.0)
    monkeypatch.setattr(kept_logs, "_SEARCHED_AT_ONCE", 1)
    shop = await platform.create()
    releases = [await platform.push(shop, app_files(branch), branch) for branch in ("master", "test")]
    logs = kept(platform)
    assert await names(logs) == {"build.log", "web.1.log", "other.log"}
    assert len(await logs.files()) == 5, "two of each release, and another"
    for number, release in enumerate(releases):
        platform.workspace.build_log(release).with_name(f"cron.{number + 1}.log").touch()
    seen = [await names(logs) for _ in range(4)]
    assert {"cron.1.log", "cron.2.log"} <= seen[-1]
    assert not {"cron.1.log", "cron.2.log"} <= seen[0]
