"""What is packed of a directory."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from balancer.cli.pack import pack, pack_commit
from balancer.errors import InvalidInput
from running import Repository


def names(archive: io.BytesIO) -> list[str]:
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        return sorted(tar.getnames())


def packed(directory: Path) -> list[str]:
    archive = io.BytesIO()
    pack(directory, archive, lambda done, total: None)
    return names(archive)


def write(directory: Path, *files: str) -> None:
    for name in files:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)


def test_without_git_everything_is_packed_but_what_git_keeps(tmp_path: Path) -> None:
    write(tmp_path, "a", "lib/b", ".env", ".gitignore", "sub/.git/config")
    (tmp_path / "link").symlink_to("lib")
    assert packed(tmp_path) == [".env", ".gitignore", "a", "lib/b", "link"]


def test_where_git_knows_the_directory_what_it_ignores_stays_here(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    write(tmp_path, "a", "node_modules/x", "new", ".gitignore", "gone")
    (tmp_path / ".gitignore").write_text("node_modules\n")
    subprocess.run(["git", "add", "a", "gone"], cwd=tmp_path, check=True)
    (tmp_path / "gone").unlink()
    assert packed(tmp_path) == [".gitignore", "a", "new"]


def test_a_directory_below_the_root_of_a_repository_is_packed_alone(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    write(tmp_path, "other/x", "site/index.html")
    assert packed(tmp_path / "site") == ["index.html"]


def test_a_second_name_of_a_file_is_a_file_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, "a")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    archive = io.BytesIO()
    pack(tmp_path, archive, lambda done, total: None)
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        assert [(each.name, each.isreg(), each.uid) for each in tar] == [("a", True, 0), ("b", True, 0)]


def test_what_cannot_be_packed_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="has no file in it to deploy"):
        packed(tmp_path)
    subprocess.run(["mkfifo", tmp_path / "pipe"], check=True)
    with pytest.raises(InvalidInput, match=r"^pipe is neither file, directory nor symbolic link"):
        packed(tmp_path)


def test_a_commit_is_packed_whole_and_nothing_changes(tmp_path: Path) -> None:
    work = Repository(tmp_path / "work", "nowhere")
    work.commit({".gitattributes": "docs export-ignore\n", "docs/a": "1"})
    work.git("tag", "v1")
    work.commit({"b": "2"})
    archive = io.BytesIO()
    pack_commit(work.directory, "v1", archive, lambda done, total: None)
    assert names(archive) == [".gitattributes", "docs/a"]
    assert work.git("status", "--porcelain").stdout == ""
    with pytest.raises(InvalidInput, match=r"^v2 of .* cannot be read: fatal"):
        pack_commit(work.directory, "v2", archive, lambda done, total: None)
