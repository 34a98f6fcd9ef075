"""Trees that are out of the ordinary, pushed by real git to a real platform."""

import http.client
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from browsing import Browser
from running import Repository, Running, app_files, running

IDENTITY = ("-c", "user.name=T", "-c", "user.email=t@example.com")
FILES = 100_000


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("trees")) as started:
        yield started


def add_submodule(repository: Repository, path: str, url: str, commit: str) -> None:
    """Name a submodule as `git submodule add` does, at a commit."""
    with (repository.directory / ".gitmodules").open("a") as file:
        file.write(f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n')
    repository.git("add", ".gitmodules")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    repository.git(*IDENTITY, "commit", "--quiet", "--message", f"Add {path}")


def test_a_procfile_with_the_line_ends_of_windows_is_taken(platform: Running) -> None:
    repository = platform.create("windows")
    repository.commit(app_files("one"))
    (repository.directory / "Procfile").write_bytes(b"# how to run it\r\nweb: python3 app.py\r\n\r\n")
    repository.git(*IDENTITY, "commit", "--quiet", "--all", "--message", "From Windows")
    repository.push("master")
    assert Browser(platform.port, "windows.localhost").get().body == "one -"


def test_files_that_an_archive_would_leave_out_are_deployed(platform: Running) -> None:
    repository = platform.create("ignored")
    repository.commit({**app_files("one"), ".gitattributes": "app.py export-ignore\n"})
    repository.push("master")
    assert Browser(platform.port, "ignored.localhost").get().body == "one -"


def test_a_shallow_clone_can_push_and_so_can_a_whole_one_afterwards(platform: Running) -> None:
    origin = platform.create("origin")
    for version in ("one", "two", "three"):
        origin.commit(app_files(version))
    shallow = platform.create("shallow")
    shallow.git("fetch", "--quiet", "--depth", "1", f"file://{origin.directory}", "master:thin")
    assert shallow.git("rev-list", "--count", "thin").stdout.strip() == "1"
    shallow.push("thin:refs/heads/master")
    assert Browser(platform.port, "shallow.localhost").get().body == "three -"
    remote = platform.client.remote("shallow")
    origin.commit(app_files("four"))
    origin.git("push", remote, "master")
    assert Browser(platform.port, "shallow.localhost").get().body == "four -"
    for version in ("five", "six"):
        origin.commit(app_files(version), "other")
    origin.git("push", remote, "other")
    assert Browser(platform.port, "other--shallow.localhost").get().body == "six other"


def test_submodules_are_at_the_commits_that_the_tree_names(platform: Running) -> None:
    inner, lib, app = (platform.create(name) for name in ("inner", "lib", "whole"))
    old_inner = inner.commit({"index.html": "old inner"})
    inner.commit({"index.html": "new inner"})
    inner.push("master")
    lib.commit({"index.html": "the lib"})
    add_submodule(lib, "vendor/inner", platform.client.remote("inner"), old_inner)
    lib.push("master")
    commit = lib.git("rev-parse", "HEAD").stdout.strip()
    app.commit({"index.html": "the app"})
    add_submodule(app, "third party/lib", platform.client.remote("lib"), commit)
    app.push("master")
    browser = Browser(platform.port, "whole.localhost")
    assert browser.get("/third%20party/lib/").body == "the lib"
    assert browser.get("/third%20party/lib/vendor/inner/").body == "old inner"
    release = platform.client.releases("whole")[0]
    tree = platform.data / "releases" / "whole" / str(release.number) / "tree"
    assert not list(tree.rglob(".git"))
    assert not list(tree.rglob(".submodule.*"))


def test_a_submodule_that_cannot_be_had_refuses_the_push(platform: Running) -> None:
    repository = platform.create("partial")
    repository.commit({"index.html": "the app"})
    add_submodule(repository, "gone", f"http://ada:s3cret@127.0.0.1:{platform.admin_port}/git/none.git", "1" * 40)
    refused = repository.push("master", check=False)
    assert refused.returncode != 0
    assert (
        f"the submodule gone at 1111111 cannot be had from http://ada@127.0.0.1:{platform.admin_port}" in refused.stderr
    )
    assert "s3cret" not in refused.stderr + (platform.client.releases("partial")[0].reason or "")
    repository.commit({"index.html": "the app"})
    add_submodule(repository, "here", f"file://{platform.data}/repositories/whole.git", "1" * 40)
    refused = repository.push("--force", "master", check=False)
    assert "is no URL that can be fetched from" in refused.stderr


def test_a_link_that_leads_out_of_the_tree_refuses_the_push_and_is_named(platform: Running) -> None:
    repository = platform.create("linked")
    repository.commit({"index.html": "one"})
    repository.push("master")
    (repository.directory / "css").mkdir()
    (repository.directory / "css" / "key").symlink_to("../../../../../secret.key")
    repository.git("add", "--all")
    repository.git(*IDENTITY, "commit", "--quiet", "--message", "A link")
    refused = repository.push("master", check=False)
    assert refused.returncode != 0
    assert "css/key is a symbolic link that leads out of the tree" in refused.stderr
    assert Browser(platform.port, "linked.localhost").get().body == "one"


def test_a_hundred_thousand_files_are_deployed_and_the_platform_answers_meanwhile(platform: Running) -> None:
    repository = platform.create("huge")
    head = "commit refs/heads/master\ncommitter T <t@example.com> 0 +0000\ndata 4\nhuge\n"
    files = [
        f"M 100644 inline {number % 300}/{number}.txt\ndata {len(str(number))}\n{number}\n" for number in range(FILES)
    ]
    page = "M 100644 inline index.html\ndata 4\nhuge\n"
    subprocess.run(
        ["git", "fast-import", "--quiet"],
        cwd=repository.directory,
        input=(head + page + "".join(files)).encode(),
        check=True,
    )
    with pinging(platform) as waits:
        began = time.monotonic()
        repository.push("master")
        took = time.monotonic() - began
    print(f"\n{FILES} files pushed and live after {took:.1f} s; the API answered within {max(waits):.2f} s meanwhile")
    browser = Browser(platform.port, "huge.localhost")
    assert browser.get("/299/99899.txt").body == "99899"
    tree = platform.data / "releases" / "huge" / "1" / "tree"
    assert sum(1 for path in tree.rglob("*") if path.is_file()) == FILES + 1
    # Whatever else the machine does: one that answers nobody while it writes files would be as slow as they are.
    assert max(waits) < max(2.0, took / 4)


class pinging:  # noqa: N801 - reads as a verb
    """Asks the API whether it is there, again and again, and keeps how long each answer took."""

    def __init__(self, platform: Running) -> None:
        self._platform = platform
        self._stop = threading.Event()
        self._waits: list[float] = []
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> list[float]:
        self._thread.start()
        return self._waits

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _ask(self) -> None:
        while not self._stop.wait(0.05):
            began = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", self._platform.admin_port, timeout=60)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            connection.close()
            self._waits.append(time.monotonic() - began)
