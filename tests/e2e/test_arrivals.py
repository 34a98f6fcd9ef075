"""Code that arrives without a push: a directory, a commit of a repository here, one that the platform fetches."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from browsing import Browser
from hammering import Hammer
from running import Running, app_files, running


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("arrivals")) as started:
        yield started


def directory(platform: Running, name: str, files: dict[str, str]) -> Path:
    path = platform.directory / name
    path.mkdir()
    for file, text in files.items():
        (path / file).write_text(text)
    return path


def test_a_directory_is_deployed_and_a_push_goes_on_from_it(platform: Running) -> None:
    repository = platform.create("plain")
    tree = directory(platform, "tree", app_files("from a directory"))
    done = platform.command("deploy", "plain", "--from", str(tree), "--message", "By hand")
    assert done.returncode == 0, done.stderr
    assert "-----> Live" in done.stdout
    browser = Browser(platform.port, "plain.localhost")
    assert browser.get().body == "from a directory -"
    (release,) = platform.client.releases("plain")
    assert (release.branch, release.subject, release.state) == ("master", "By hand", "live")
    (tree / "app.py").write_text(app_files("a second time")["app.py"])
    with Hammer(platform.port, "plain.localhost", kept=3, fresh=3).at_work() as tally:
        found = platform.json("deploy", "plain", "--from", str(tree))
    assert isinstance(found, dict)
    assert (found["number"], found["state"], found["subject"]) == (2, "live", "Deployed from tree")
    assert tally.failed == 0, tally.describe()
    repository.git("pull", "--quiet", "balancer", "master")
    assert repository.git("rev-list", "--count", "HEAD").stdout.strip() == "2"
    repository.deploy("pushed")
    assert browser.get().body == "pushed -"


def test_git_is_not_needed_here(platform: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.create("gitless")
    tree = directory(platform, "gitless-tree", {"index.html": "no git"})
    bare = platform.directory / "bin"
    bare.mkdir()
    monkeypatch.setenv("PATH", os.fspath(bare))
    done = platform.command("deploy", "gitless", "--from", str(tree))
    assert done.returncode == 0, done.stderr
    assert Browser(platform.port, "gitless.localhost").get().body == "no git"


def test_another_branch_can_be_meant(platform: Running) -> None:
    platform.create("two")
    for branch in ("master", "test"):
        tree = directory(platform, f"two-{branch}", {"index.html": branch})
        assert platform.command("deploy", "two", "--from", str(tree), "--branch", branch).returncode == 0
    assert Browser(platform.port, "test--two.localhost").get().body == "test"
    assert Browser(platform.port, "two.localhost").get().body == "master"


def test_what_does_not_start_is_refused_and_the_old_release_serves_on(platform: Running) -> None:
    platform.create("careful")
    good = directory(platform, "good", app_files("good"))
    assert platform.command("deploy", "careful", "--from", str(good)).returncode == 0
    bad = directory(platform, "bad", {"Procfile": "web: echo no table; exit 3\n"})
    done = platform.command("deploy", "careful", "--from", str(bad))
    assert done.returncode == 6
    assert "exited with status 3 before it was healthy" in done.stderr
    away = directory(platform, "away", {"index.html": "x"})
    (away / "key").symlink_to("/etc/passwd")
    done = platform.command("deploy", "careful", "--from", str(away))
    assert done.returncode == 2
    assert "key in the archive is refused" in done.stderr
    assert Browser(platform.port, "careful.localhost").get().body == "good -"
    assert list((platform.data / "spool").iterdir()) == []


def test_a_commit_of_a_repository_here_is_deployed(platform: Running) -> None:
    repository = platform.create("local")
    repository.commit({"index.html": "one"})
    repository.git("tag", "v1")
    repository.commit({"index.html": "two"})
    done = platform.command("deploy", "local", "--from", f"{repository.directory}@v1")
    assert done.returncode == 0, done.stderr
    assert Browser(platform.port, "local.localhost").get().body == "one"


def test_a_commit_of_a_repository_elsewhere_is_fetched_and_deployed(platform: Running) -> None:
    upstream, remote = platform.create("upstream"), platform.client.remote("upstream")
    for version in ("one", "two"):
        upstream.commit({"index.html": version})
        upstream.push("master")
        if version == "one":
            upstream.git("tag", "--annotate", "--message", "First", "v1", check=False)
            upstream.git("tag", "v1", check=False)
            upstream.push("v1")
    platform.create("fetched")
    for source, page in ((f"{remote}@v1", "one"), (f"{remote}@master", "two"), (remote, "two")):
        done = platform.command("deploy", "fetched", "--from", source)
        assert done.returncode == 0, done.stderr
        assert Browser(platform.port, "fetched.localhost").get().body == page
    token = (platform.data / "operator.token").read_text().strip()
    assert token not in done.stdout
    done = platform.command("deploy", "fetched", "--from", f"{remote}@nothing")
    assert done.returncode == 6
    assert "nothing cannot be fetched from http://balancer@" in done.stderr
    assert token not in done.stderr


@pytest.mark.parametrize("source", ["/nowhere", "/nowhere@master", "file:///tmp@master", "ext::sh@x"])
def test_what_is_no_source_is_refused(source: str, platform: Running) -> None:
    done = platform.command("deploy", "plain", "--from", source)
    assert done.returncode == 2
    assert "is neither a directory nor REPO@REF" in done.stderr
