"""Bad input: a message that says what and what next, and nothing changed."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer.errors import SplitNotFound
from browsing import Browser
from running import BALANCER, Running, running


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("bad")) as started:
        repository = started.create("shop")
        repository.deploy("one", "master")
        repository.deploy("two", "test")
        yield started


@pytest.mark.parametrize("name", ["../x", "-rf", "Blog", "a" * 200, "", "a--b", "a b", "é", "9lives"])
def test_a_bad_name_of_an_app_is_refused(platform: Running, name: str) -> None:
    before = platform.client.apps()
    done = platform.command("apps", "create", "--", name)
    assert done.returncode == 2
    assert "is no name for an app: use lower-case letters" in " ".join(done.stderr.split())
    assert platform.client.apps() == before


def test_an_app_that_is_there_is_not_made_again(platform: Running) -> None:
    done = platform.command("apps", "create", "shop")
    assert done.returncode == 4
    assert "is there already" in done.stderr


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (["master=50", "test=40"], "the weights add up to 90 %, not to 100 %"),
        (["master=100"], "at least two branches"),
        (["master=50.001", "test=49.999"], "steps of 0.01 %"),
        (["master=-10", "test=110"], "from 0 to 100 %"),
        (["master=nan", "test=50"], "is no number"),
        (["master", "test=50"], "write BRANCH=PERCENT"),
        (["../x=50", "test=50"], "is no name for a branch"),
        (["master=50", "master=50"], "named twice"),
        (["master=50", "other=50"], "other"),
    ],
)
def test_bad_weights_are_refused(platform: Running, weights: list[str], message: str) -> None:
    done = platform.command("split", "start", "shop", *weights)
    assert done.returncode in (2, 3)
    assert message in " ".join(done.stderr.split())
    with pytest.raises(SplitNotFound):
        platform.client.split("shop")


def test_a_wrong_token_may_do_nothing(platform: Running) -> None:
    done = platform.command("--token", "wrong", "apps", "list")
    assert done.returncode == 5
    assert "the token is missing or wrong" in " ".join(done.stderr.split())


def test_a_push_with_a_wrong_token_is_refused(platform: Running, tmp_path: Path) -> None:
    url = f"http://x:wrong@127.0.0.1:{platform.admin_port}/git/shop.git"
    source = platform.directory / "shop"
    environment = {**platform.environment(), "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true"}
    done = subprocess.run(
        ["git", "push", url, "master:other"], cwd=source, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "Authentication failed" in done.stderr or "token is missing or wrong" in done.stderr
    assert "other" not in [release.branch for release in platform.client.releases("shop")]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"Procfile": "worker: python3 x.py\n"}, "the Procfile has no `web` process (it has worker)"),
        ({"Procfile": "this is not one\n"}, "Procfile, line 1"),
        ({"README": "nothing"}, "nothing here says how to run the app"),
        ({"package.json": '{"name": "x"}'}, "neither `main` nor `scripts.start`"),
        ({"balancer.toml": 'wbe = "x"\n'}, "did you mean 'web'?"),
        ({"balancer.toml": 'web = "x"\ndomains = ["http://x"]\n'}, "is no domain"),
    ],
)
def test_a_tree_that_does_not_say_how_to_run_it_is_refused(
    platform: Running, files: dict[str, str], message: str
) -> None:
    repository = platform.repository("shop")
    live = [release.commit for release in platform.client.releases("shop") if release.state == "live"]
    repository.commit(files, "master")
    done = repository.push("--force", "master", check=False)
    assert done.returncode != 0
    assert message in done.stderr
    assert [release.commit for release in platform.client.releases("shop") if release.state == "live"] == live
    assert Browser(platform.port, "shop.localhost").get().body == "one -"


def test_a_branch_that_does_not_parse_is_refused(platform: Running) -> None:
    repository = platform.repository("shop")
    done = repository.push("master:refs/heads/what?".replace("?", "(x)"), check=False)
    assert done.returncode != 0
    assert "is no name for a branch" in done.stderr


def test_a_host_that_no_app_has_gets_our_page(platform: Running) -> None:
    answer = Browser(platform.port, "nobody.example").get()
    assert answer.status == 404
    assert "No app of this server answers on this address" in answer.body


def test_an_app_without_a_live_release_says_so(platform: Running) -> None:
    platform.client.create_app("empty")
    answer = Browser(platform.port, "empty.localhost").get()
    assert answer.status == 503
    assert "Nothing is live yet" in answer.body


def _serve(platform: Running, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BALANCER, "serve", *flags],
        env=platform.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_second_daemon_on_the_data_directory_is_refused(platform: Running) -> None:
    done = _serve(platform, "--data-dir", str(platform.data))
    assert done.returncode == 7
    assert "is in use by another daemon (pid" in " ".join(done.stderr.split())


def test_a_taken_port_is_named(platform: Running, tmp_path: Path) -> None:
    done = _serve(platform, "--data-dir", str(tmp_path / "data"), "--port", str(platform.port), "--admin-port", "0")
    assert done.returncode == 7
    assert f"port {platform.port} is taken" in " ".join(done.stderr.split())
    done = _serve(
        platform, "--data-dir", str(tmp_path / "data"), "--port", "0", "--admin-port", str(platform.admin_port)
    )
    assert done.returncode == 7
    assert "--admin-port" in done.stderr


def test_a_missing_haproxy_is_named(platform: Running, tmp_path: Path) -> None:
    done = _serve(platform, "--data-dir", str(tmp_path / "data"), "--haproxy", "no-such-proxy")
    assert done.returncode == 7
    assert "HAProxy was not found" in " ".join(done.stderr.split())


def test_an_old_haproxy_is_refused(platform: Running, tmp_path: Path) -> None:
    old = tmp_path / "haproxy"
    old.write_text("#!/bin/sh\necho 'HAProxy version 2.4.22 2023/02/14'\n")
    old.chmod(0o755)
    done = _serve(platform, "--data-dir", str(tmp_path / "data"), "--haproxy", str(old))
    assert done.returncode == 7
    assert "HAProxy 2.4 is too old" in " ".join(done.stderr.split())


def test_a_data_directory_that_cannot_be_made_is_named(platform: Running, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = _serve(platform, "--data-dir", str(tmp_path / "file" / "data"))
    assert done.returncode == 7
    assert "cannot be used" in " ".join(done.stderr.split())


def test_an_unknown_setting_is_an_error(platform: Running, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("prot = 80\n")
    done = _serve(platform, "--config", str(tmp_path / "config.toml"))
    assert done.returncode == 2
    assert "did you mean 'port'?" in " ".join(done.stderr.split())


def test_no_daemon_is_said_to_be_none(platform: Running) -> None:
    done = platform.command("--url", "http://127.0.0.1:9", "apps", "list")
    assert done.returncode == 9
    assert "no daemon answers at http://127.0.0.1:9" in " ".join(done.stderr.split())


def test_an_error_is_json_where_json_is_asked_for(platform: Running) -> None:
    done = platform.command("releases", "nothing", "--json")
    assert done.returncode == 3
    assert '"error": "app-not-found"' in done.stdout
