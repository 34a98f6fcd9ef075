"""Archives that become commits, by real git."""

import io
import re
import subprocess
import tarfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from balancer.domain.app import Commit
from balancer.errors import InvalidInput
from balancer.runner import archive
from balancer.runner.git import Repositories
from values import SHOP

pytestmark = pytest.mark.anyio
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
async def repositories(tmp_path: Path) -> Repositories:
    """Repositories with one of the shop."""
    made = Repositories(tmp_path / "repositories", python="python3", hook_script=Path("/opt/hook.py"))
    await made.create(SHOP)
    return made


def member(name: str, **values: object) -> tarfile.TarInfo:
    """Return the head of a member of an archive."""
    info = tarfile.TarInfo(name)
    for key, value in values.items():
        setattr(info, key, value)
    return info


def packed(path: Path, members: Iterable[tarfile.TarInfo | tuple[str, str]], mode: str = "w") -> Path:
    """Write an archive: heads as they are, and files with a text."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for each in members:
            if isinstance(each, tuple):
                content = each[1].encode()
                tar.addfile(member(each[0], size=len(content)), io.BytesIO(content))
            else:
                tar.addfile(each)
    return path


async def taken_in(repositories: Repositories, path: Path, parent: Commit | None = None) -> Commit:
    return await repositories.commit_archive(SHOP, path, parent, message="Sell\n\nmore", author="Ada <x>", at=AT)


def git(repositories: Repositories, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=repositories.path(SHOP), capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
async def test_files_links_and_programs_become_a_commit(mode: str, repositories: Repositories, tmp_path: Path) -> None:
    members: list[tarfile.TarInfo | tuple[str, str]] = [
        member("./lib", type=tarfile.DIRTYPE, mode=0o755),
        ("./lib/a b.txt", "one"),
        ('odd "name"\n\\.txt', "two"),
        member("link", type=tarfile.SYMTYPE, linkname="lib/a b.txt"),
        member("run", mode=0o755),
        member("again", type=tarfile.LNKTYPE, linkname="./lib/a b.txt"),
    ]
    commit = await taken_in(repositories, packed(tmp_path / "a.tar", members, mode))
    listed = git(repositories, "ls-tree", "-r", "-z", commit).split("\0")
    found = {entry.split("\t")[1]: entry.split()[0] for entry in listed if entry}
    assert found == {
        "again": "100644",
        "lib/a b.txt": "100644",
        "link": "120000",
        'odd "name"\n\\.txt': "100644",
        "run": "100755",
    }
    assert git(repositories, "show", f"{commit}:again") == "one"
    assert await repositories.describe(SHOP, commit) == ("Sell", "Ada x")
    assert git(repositories, "log", "--format=%B", commit).strip() == "Sell\n\nmore"
    git(repositories, "fsck", "--strict", "--no-dangling")
    assert git(repositories, "for-each-ref") == ""


async def test_it_is_the_whole_tree_and_builds_on_its_parent(repositories: Repositories, tmp_path: Path) -> None:
    first = await taken_in(repositories, packed(tmp_path / "a.tar", [("a", "1"), ("b", "1")]))
    second = await taken_in(repositories, packed(tmp_path / "b.tar", [("a", "2")]), first)
    assert git(repositories, "ls-tree", "--name-only", second).split() == ["a"]
    assert git(repositories, "rev-parse", f"{second}^").strip() == first


async def test_what_git_keeps_for_itself_is_left_out(repositories: Repositories, tmp_path: Path) -> None:
    members = [("a", "1"), (".git/config", "x"), ("sub/.GIT/hooks/post-checkout", "x"), ("sub/b", "1")]
    commit = await taken_in(repositories, packed(tmp_path / "a.tar", members))
    assert git(repositories, "ls-tree", "-r", "--name-only", commit).split() == ["a", "sub/b"]


@pytest.mark.parametrize(
    "bad",
    [
        ("../out", "x"),
        ("/etc/passwd", "x"),
        ("a/../../out", "x"),
        member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("a/link", type=tarfile.SYMTYPE, linkname="../../out"),
        member("hard", type=tarfile.LNKTYPE, linkname="../out"),
        member("device", type=tarfile.CHRTYPE),
        member("pipe", type=tarfile.FIFOTYPE),
    ],
)
async def test_what_leads_out_or_is_no_file_is_refused_by_name(
    bad: tarfile.TarInfo | tuple[str, str], repositories: Repositories, tmp_path: Path
) -> None:
    name = bad[0] if isinstance(bad, tuple) else bad.name
    with pytest.raises(InvalidInput, match=f"^{re.escape(name)} in the archive"):
        await taken_in(repositories, packed(tmp_path / "a.tar", [("good", "1"), bad]))
    assert git(repositories, "for-each-ref") == ""


async def test_what_is_no_archive_or_half_of_one_or_empty_is_refused(
    repositories: Repositories, tmp_path: Path
) -> None:
    (tmp_path / "no.tar").write_text("this is no archive")
    with pytest.raises(InvalidInput, match="what was sent is no tar file"):
        await taken_in(repositories, tmp_path / "no.tar")
    whole = packed(tmp_path / "a.tar", [("a", "1"), ("b", "x" * 100_000)])
    (tmp_path / "half.tar").write_bytes(whole.read_bytes()[:50_000])
    with pytest.raises(InvalidInput, match="the archive cannot be read to its end"):
        await taken_in(repositories, tmp_path / "half.tar")
    with pytest.raises(InvalidInput, match="the archive has no file in it"):
        await taken_in(repositories, packed(tmp_path / "b.tar", [member("lib", type=tarfile.DIRTYPE)]))


async def test_what_unpacks_to_too_much_is_refused(
    repositories: Repositories, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "TREE_LIMIT_BYTES", 1024 * 1024)
    members = [(f"{number}", "x" * 500_000) for number in range(3)]
    with pytest.raises(InvalidInput, match="the archive holds more than 1 MiB"):
        await taken_in(repositories, packed(tmp_path / "a.tar.gz", members, "w:gz"))
