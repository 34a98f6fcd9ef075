"""Checkouts: the tree of a commit as files, with its submodules.

Invariants:
    * Every file of the commit is there: `export-ignore`, which `git archive` honours, leaves nothing out.
    * Nothing in the tree leads out of it, by symbolic links or otherwise.
    * A submodule is at the commit that the tree names, or nothing is deployed.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from balancer.domain.app import Commit
from balancer.domain.remote import RemoteUrl, without_password
from balancer.errors import BuildFailed, InvalidName
from balancer.runner import git_command

_GITLINK = "160000"
# 10 submodules inside each other: what is deeper contains itself.
_DEPTH_LIMIT = 10


async def write_tree(repository: Path, commit: Commit, directory: Path) -> None:
    """Write the tree of a commit, with its submodules, into an empty directory. Raises BuildFailed."""
    await _write(repository, commit, directory, _DEPTH_LIMIT)
    await asyncio.to_thread(_refuse_links_that_leave, directory)


def _refuse_links_that_leave(directory: Path) -> None:
    for link in links_that_leave(directory):
        raise BuildFailed(
            f"{link} is a symbolic link that leads out of the tree, to {(directory / link).readlink()}: "
            "make it lead to something inside, or remove it"
        )


def links_that_leave(directory: Path) -> Iterator[Path]:
    """Give the symbolic links below a directory that lead out of it, relative to it."""
    root = os.path.realpath(directory)
    for parent, directories, files in os.walk(directory):
        for name in (*directories, *files):
            path = os.path.join(parent, name)  # noqa: PTH118 - a Path for each of 100,000 files takes a second
            if os.path.islink(path) and not _is_inside(os.path.realpath(path), root):  # noqa: PTH114
                yield Path(path).relative_to(directory)


def _is_inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root + os.sep)


async def _write(repository: Path, commit: Commit, directory: Path, depth: int) -> None:
    with tempfile.TemporaryDirectory(prefix="balancer-checkout.") as name:
        extra = {"GIT_INDEX_FILE": str(Path(name) / "index"), "GIT_DIR": str(repository)}
        await _git(commit, "read-tree", commit, directory=repository, extra=extra)
        extra["GIT_WORK_TREE"] = str(directory)
        await _git(commit, "checkout-index", "--all", "--force", directory=directory, extra=extra)
        staged = await _git(commit, "ls-files", "--stage", "-z", directory=directory, extra=extra)
    links = [entry.split("\t", 1) for entry in staged.split("\0") if entry.startswith(_GITLINK)]
    if links and not depth:
        raise BuildFailed(
            f"submodules of {commit.short} are more than {_DEPTH_LIMIT} deep: do they contain themselves?"
        )
    urls = await _submodule_urls(directory) if links else {}
    for facts, path in links:
        await _write_submodule(path, urls.get(path), Commit(facts.split()[1]), directory / path, depth - 1)


async def _write_submodule(path: str, url: str | None, commit: Commit, directory: Path, depth: int) -> None:
    """Fetch the commit of a submodule into a repository for the moment, and write its tree. Raises BuildFailed."""
    if url is None:
        raise BuildFailed(
            f"{path} is a submodule that .gitmodules does not name: add it with `git submodule add URL {path}`, or "
            "take it out of the tree"
        )
    try:
        remote = RemoteUrl(url)
    except InvalidName as reason:
        raise BuildFailed(f"the submodule {path} cannot be fetched: {reason} in .gitmodules") from reason
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".submodule.") as name:
        repository = Path(name)
        await _git(commit, "init", "--quiet", "--bare", "--template=", ".", directory=repository)
        fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        status, said = await git_command.run(*fetch, "--depth=1", remote, commit, directory=repository)
        if status:  # a server may give out no commit by its name: then all of its branches, with their history
            status, _ = await git_command.run(*fetch, remote, "+refs/heads/*:refs/heads/*", directory=repository)
            status, _ = (
                (status, "")
                if status
                else await git_command.run("cat-file", "-e", f"{commit}^{{commit}}", directory=repository)
            )
        if status:
            why = without_password(said).strip()
            raise BuildFailed(f"the submodule {path} at {commit.short} cannot be had from {remote.shown}: {why}")
        await _write(repository, commit, directory, depth)


async def _submodule_urls(directory: Path) -> dict[str, str]:
    """Return the URL of each submodule that .gitmodules names, by path."""
    if not (directory / ".gitmodules").is_file() or (directory / ".gitmodules").is_symlink():
        return {}
    read = ("config", "--file", ".gitmodules", "--null", "--get-regexp", r"^submodule\..*\.(path|url)$")
    status, output = await git_command.run(*read, directory=directory)
    if status:
        raise BuildFailed(f".gitmodules cannot be read: {output.strip()}")
    values = dict(entry.split("\n", 1) for entry in output.split("\0") if "\n" in entry)
    names = {key.removesuffix(".path") for key in values if key.endswith(".path")}
    return {values[f"{name}.path"]: values[f"{name}.url"] for name in names if f"{name}.url" in values}


async def _git(commit: Commit, *arguments: str, directory: Path, extra: dict[str, str] | None = None) -> str:
    status, output = await git_command.run(*arguments, directory=directory, extra=extra)
    if status:
        raise BuildFailed(f"the tree of {commit.short} could not be written out: {output.strip()}")
    return output
