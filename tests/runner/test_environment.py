"""What an app's own commands see: its config and what we tell it, and nothing of the platform."""

import os
import sys
from pathlib import Path

import pytest

from balancer.domain.app import ConfigKey, ConfigValue
from balancer.domain.manifest import WEB, Manifest, Source
from balancer.runner.environment import app_environment
from values import release

TREE = Path("/srv/tree")
RELEASE = release(7)


@pytest.mark.parametrize(
    "name", ["BALANCER_TOKEN", "BALANCER_URL", "VIRTUAL_ENV", "PYTHONPATH", "GIT_DIR", "AWS_SECRET_ACCESS_KEY", "HOME"]
)
def test_nothing_of_the_platform_reaches_an_app(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "ours")
    assert "ours" not in app_environment(TREE, RELEASE, {}, {}).values()


@pytest.mark.parametrize(
    "name",
    ["LANG", "TZ", "SSL_CERT_FILE", "PIP_INDEX_URL", "UV_INDEX_URL", "NPM_CONFIG_X", "npm_config_x"],
)
def test_what_says_where_packages_come_from_is_handed_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "theirs")
    assert app_environment(TREE, RELEASE, {}, {})[name] == "theirs"


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"])
def test_a_proxy_of_the_company_is_handed_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://proxy.example:3128")
    assert app_environment(TREE, RELEASE, {}, {})[name] == "http://proxy.example:3128"


def test_config_vars_win_over_defaults_and_never_over_what_we_tell() -> None:
    seen = app_environment(TREE, RELEASE, {"NODE_ENV": "staging", "PORT": "1", "LANG": "de"}, {"PORT": "20000"})
    assert (seen["NODE_ENV"], seen["PORT"], seen["LANG"]) == ("staging", "20000", "de")


def test_an_app_runs_for_production_unless_it_says_otherwise() -> None:
    seen = app_environment(TREE, RELEASE, {}, {})
    assert (seen["NODE_ENV"], seen["PYTHONUNBUFFERED"], seen["HOME"]) == ("production", "1", "/srv/tree")


def test_commands_that_the_tree_brings_come_first_and_those_of_the_platform_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", f"{ours}:/usr/local/bin::/usr/bin")
    path = app_environment(TREE, RELEASE, {}, {})["PATH"].split(os.pathsep)
    assert path[:2] == ["/srv/tree/.venv/bin", "/srv/tree/node_modules/.bin"]
    assert path[2:] == [*([] if sys.prefix != sys.base_prefix else [ours]), "/usr/local/bin", "/usr/bin"]


def test_the_env_of_the_manifest_wins_over_defaults_and_config_vars_win_over_it() -> None:
    env = {ConfigKey(key): ConfigValue("manifest") for key in ("NODE_ENV", "GREETING", "COLOUR", "BALANCER_X")}
    manifest = Manifest(source=Source.MANIFEST, processes={WEB: "serve"}, env=env)
    seen = app_environment(TREE, release(7, manifest=manifest), {"GREETING": "config"}, {"BALANCER_X": "ours"})
    assert [seen[key] for key in ("NODE_ENV", "GREETING", "COLOUR", "BALANCER_X")] == [
        "manifest",
        "config",
        "manifest",
        "ours",
    ]


def test_a_command_is_told_which_release_it_belongs_to() -> None:
    seen = app_environment(TREE, release(7, "feat/x", app="shop"), {"BALANCER_RELEASE": "1"}, {})
    assert {name: value for name, value in seen.items() if name.startswith("BALANCER_")} == {
        "BALANCER_APP": "shop",
        "BALANCER_BRANCH": "feat/x",
        "BALANCER_RELEASE": "7",
        "BALANCER_COMMIT": f"{7:040x}",
    }
