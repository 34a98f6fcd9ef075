"""Packing: a directory, or a commit of a repository on this machine, as a tar file to send.

Invariants:
    * `.git` is never packed; where git knows the directory, what it ignores is not either.
    * Nothing in the directory is changed.
"""

import os
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from balancer.errors import InvalidInput


def pack(directory: Path, archive: IO[bytes], packed: Callable[[int, int], None]) -> None:
    """Write what is in a directory as a tar file; `packed` is told how many files of how many are done.

    Raises InvalidInput.
    """
    names = _known_to_git(directory) or sorted(_everything(directory))
    if not names:
        raise InvalidInput(f"{directory} has no file in it to deploy")
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for number, name in enumerate(names, 1):
            _add(tar, directory, name)
            packed(number, len(names))


def pack_commit(repository: Path, ref: str, archive: IO[bytes], packed: Callable[[int, int], None]) -> None:
    """Write the tree of a commit as a tar file, whole: `git archive` would leave out what export-ignore names.

    Raises InvalidInput.
    """
    with tempfile.TemporaryDirectory(prefix="balancer-pack.") as name:
        tree = Path(name) / "tree"
        tree.mkdir()
        environment = {**os.environ, "GIT_INDEX_FILE": str(Path(name) / "index")}
        for words in (("read-tree", f"{ref}^{{tree}}"), ("checkout-index", "--all", f"--prefix={tree}/")):
            done = _git(repository, *words, environment=environment)
            if done is None or done.returncode:
                why = "git is not installed" if done is None else done.stderr.decode(errors="replace").strip()
                raise InvalidInput(f"{ref} of {repository} cannot be read: {why}")
        pack(tree, archive, packed)


def _add(tar: tarfile.TarFile, directory: Path, name: str) -> None:
    path = directory / name
    try:
        info = tar.gettarinfo(str(path), arcname=name)
        if info is None:
            raise InvalidInput(f"{name} is neither file, directory nor symbolic link; remove it, or let git ignore it")
        if info.islnk():  # the second name of a file is a file of its own
            info.type, info.size = tarfile.REGTYPE, path.stat().st_size
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        if info.isreg():
            with path.open("rb") as file:
                tar.addfile(info, file)
        elif info.issym():
            tar.addfile(info)
        else:
            raise InvalidInput(f"{name} is neither file, directory nor symbolic link; remove it, or let git ignore it")
    except OSError as reason:
        raise InvalidInput(f"{path} cannot be packed: {reason.strerror or reason}") from reason


def _known_to_git(directory: Path) -> list[str]:
    """Return the files of a directory that git tracks or would; none where git does not know the directory."""
    listed = _git(directory, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listed is None or listed.returncode:
        return []
    names = {os.fsdecode(name) for name in listed.stdout.split(b"\0") if name}
    # A file that was deleted is listed still, and a submodule as one name.
    files = {name for name in names if (directory / name).is_symlink() or (directory / name).is_file()}
    inside = (directory / name for name in names - files if (directory / name).is_dir())
    return sorted(files | {os.fspath(sub.relative_to(directory) / each) for sub in inside for each in _everything(sub)})


def _everything(directory: Path) -> Iterator[str]:
    for parent, directories, files in os.walk(directory):
        links = [name for name in directories if (Path(parent) / name).is_symlink()]
        directories[:] = [name for name in directories if name != ".git" and name not in links]
        for name in (*files, *links):
            if name != ".git":
                yield os.fspath((Path(parent) / name).relative_to(directory))


def _git(
    directory: Path, *words: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes] | None:
    try:
        return subprocess.run(["git", *words], cwd=directory, env=environment, capture_output=True, check=False)
    except FileNotFoundError:
        return None
