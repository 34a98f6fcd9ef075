"""What a manifest wants before and after the switch, by the platform in one process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.release import ReleaseState
from balancer.errors import BuildFailed, ConfigVarMissing
from platforms import InProcess, app_files, in_process, probe_quickly
from running import Repository
from values import SHOP

pytestmark = pytest.mark.anyio


@pytest.fixture
async def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcess]:
    probe_quickly(monkeypatch)
    async with in_process(tmp_path / "platform") as made:
        yield made


@pytest.fixture
async def shop(platform: InProcess) -> Repository:
    return await platform.create()


def with_toml(version: str, text: str) -> dict[str, str]:
    return app_files(version, **{"balancer.toml": text})


async def test_its_commands_run_in_order_each_with_config_vars_and_defaults(
    platform: InProcess, shop: Repository
) -> None:
    await platform.registry.set_config(SHOP, {"B": "config"})
    text = """
        build = "echo build $A $B"
        predeploy = "echo predeploy $A $B"
        release = "echo release $A $B"
        postdeploy = "echo postdeploy $A $B $BALANCER_RELEASE"
        [env]
        A = "default"
        B = "default"
    """
    release = await platform.push(shop, with_toml("one", text))
    told = [line.strip() for line in platform.told]
    said = [line for line in told if line.endswith(("default config", "default config 1"))]
    assert said == [
        *(f"{what} default config" for what in ("build", "predeploy", "release")),
        "postdeploy default config 1",
    ]
    assert told.index("-----> Live") < told.index("postdeploy default config 1")
    assert platform.workspace.build_log(release).read_text().splitlines() == platform.told


@pytest.mark.parametrize("command", ["build", "predeploy", "release"])
async def test_one_that_fails_before_the_switch_stops_the_deploy_and_its_log_is_kept(
    command: str, platform: InProcess, shop: Repository
) -> None:
    await platform.push(shop, app_files("one"))
    with pytest.raises(BuildFailed, match="with status 3"):
        await platform.push(shop, with_toml("two", f'{command} = "echo because; exit 3"'))
    assert await platform.states() == {1: "live", 2: "failed"}
    failed, _ = await platform.registry.releases(SHOP)
    kept = platform.workspace.build_log(failed).read_text()
    assert "       because\n" in kept
    assert kept.splitlines()[-1].startswith("-----> Not live: ")
    assert kept.splitlines()[-1].endswith("failed with status 3; the lines above say why")


async def test_one_that_fails_after_the_switch_is_told_and_changes_nothing(
    platform: InProcess, shop: Repository
) -> None:
    release = await platform.push(shop, with_toml("one", 'postdeploy = "exit 3"'))
    assert release.state is ReleaseState.LIVE
    assert platform.told[-1].endswith(
        "the postdeploy command failed with status 3; the lines above say why; the release is live all the same"
    )


async def test_a_command_of_the_first_deploy_runs_once_in_the_life_of_the_app(
    platform: InProcess, shop: Repository
) -> None:
    app_json = {"app.json": '{"scripts": {"postdeploy": "echo set up"}}'}
    for version in ("one", "two"):
        await platform.push(shop, {**app_files(version), **app_json})
    assert platform.told.count("       set up") == 1


async def test_a_config_var_that_is_required_has_to_be_set(platform: InProcess, shop: Repository) -> None:
    text = "[env]\nDATABASE_URL = {required = true}\n"
    with pytest.raises(ConfigVarMissing, match="balancer config set shop DATABASE_URL=…"):
        await platform.push(shop, with_toml("one", text))
    await platform.registry.set_config(SHOP, {"DATABASE_URL": "postgres://db"})
    assert (await platform.push(shop, with_toml("one", text))).state is ReleaseState.LIVE


async def test_a_secret_is_made_up_once_and_kept(platform: InProcess, shop: Repository) -> None:
    text = '[env]\nSECRET_KEY = {generator = "secret"}\n'
    first = await platform.push(shop, with_toml("one", text))
    second = await platform.push(shop, with_toml("two", text))
    made = (await platform.registry.config(SHOP))["SECRET_KEY"]
    assert len(made) >= 40
    for release in (first, second):
        assert await platform.registry.release_config(release.id) == {"SECRET_KEY": made}
    assert not any(made in line for line in platform.told)
