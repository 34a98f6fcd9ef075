"""The bare repositories of the apps, by the git command.

Invariants:
    * A ref of a branch points at the commit that is live, so that a refused push can be pushed again.
"""

import asyncio
import contextlib
import re
import secrets
import shlex
import shutil
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

from balancer.domain.app import AppName, BranchName, Commit
from balancer.domain.remote import RemoteUrl, without_password
from balancer.errors import BuildFailed, ReleaseNotFound
from balancer.runner import git_command
from balancer.runner.archive import Signature, import_archive
from balancer.runner.checkout import write_tree

# Refs of what is on its way in.
_PASSING = "refs/balancer"
# The hook speaks to the daemon by plain HTTP: it starts in 30 ms and needs nothing but Python itself.
_HOOK = """\
#!/bin/sh
exec {python} -I {script} "$@"
"""
# git tells this hook alone what `git push -o` says; of a push without options nothing is asked.
_OPTIONS_HOOK = """\
#!/bin/sh
[ "${{GIT_PUSH_OPTION_COUNT:-0}}" = 0 ] && exit 0
exec {python} -I {script}
"""
_CONFIG = {
    "core.repositoryFormatVersion": "0",
    "core.fileMode": "true",
    "core.bare": "true",
    "receive.advertiseAtomic": "false",  # the update hook decides branch by branch
    "receive.advertisePushOptions": "true",
    # To delete a branch takes it down; whether that may be, the update hook says, and in our words.
    "receive.denyDeletes": "false",
    "receive.denyDeleteCurrent": "ignore",
    # A shallow clone has all that a deploy needs.
    "receive.shallowUpdate": "true",
    "receive.fsckObjects": "true",
    "fetch.fsckObjects": "true",
    "transfer.hideRefs": _PASSING,
    "http.receivepack": "true",
    "http.uploadpack": "true",
    "gc.auto": "0",  # a gc in the middle of a push would race the deploy that reads from it
}


def _printable(text: str) -> str:
    """Return text that no terminal takes for a command."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _configuration() -> str:
    """Return our configuration as git's file has it."""
    sections: dict[str, list[str]] = {}
    for name, value in _CONFIG.items():
        section, _, key = name.partition(".")
        sections.setdefault(section, []).append(f"\t{key} = {value}\n")
    return "".join(f"[{section}]\n{''.join(lines)}" for section, lines in sections.items())


def _write_whole(path: Path, text: str, mode: int) -> None:
    """Make a file hold a text, so that at every moment either the old or the new one is there."""
    path.parent.mkdir(exist_ok=True)
    if path.exists() and path.read_text() == text and path.stat().st_mode & 0o777 == mode:
        return
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    fresh.write_text(text)
    fresh.chmod(mode)
    fresh.replace(path)


_LEFT_BEHIND = ("*.lock", "refs/**/*.lock", "objects/tmp_objdir-*", "objects/pack/tmp_*", f"{_PASSING}/*")


class Repositories:
    """The repositories below one directory, `<app>.git` each."""

    def __init__(self, directory: Path, *, python: str, hook_script: Path) -> None:
        self.directory = directory
        run = {"python": shlex.quote(python), "script": shlex.quote(str(hook_script))}
        self._hooks = {"update": _HOOK.format(**run), "pre-receive": _OPTIONS_HOOK.format(**run)}

    def path(self, app: AppName) -> Path:
        """Return where the repository of an app is."""
        return self.directory / f"{app}.git"

    async def create(self, app: AppName) -> None:
        """Make the bare repository of an app; one that is there only gets our configuration and hook again.

        Each push and fetch asks for this, side by side with others: what is right already is not written.
        """
        path = self.path(app)
        if not (path / "HEAD").exists():
            path.mkdir(parents=True, exist_ok=True)
            await self._git(app, "init", "--quiet", "--bare", "--template=", "--initial-branch=master", ".")
        _write_whole(path / "config", _configuration(), 0o644)
        for name, text in self._hooks.items():
            _write_whole(path / "hooks" / name, text, 0o755)

    def discard(self, app: AppName) -> None:
        """Remove the repository of an app, if there is one."""
        shutil.rmtree(self.path(app), ignore_errors=True)

    def sweep(self) -> None:
        """Remove what git has left that was killed: locks, which would refuse every push, and half of what came in.

        For the start alone: nothing pushes or fetches yet, and what a daemon before this one ran is refused anyway.
        """
        for repository in self.directory.glob("*.git"):
            for pattern in _LEFT_BEHIND:
                for path in list(repository.glob(pattern)):
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    async def export(self, app: AppName, commit: Commit, directory: Path) -> None:
        """Write the tree of a commit, with its submodules, into an empty directory. Raises BuildFailed."""
        await write_tree(self.path(app), commit, directory)

    async def describe(self, app: AppName, commit: Commit) -> tuple[str, str]:
        """Return the first line of a commit's message, and its author. Raises ReleaseNotFound."""
        # Not `git show`: that wants the parents, which a push from a shallow clone has not brought.
        code, output = await self._try(app, "cat-file", "commit", commit)
        if code:
            raise ReleaseNotFound(f"the repository of {app} has no commit {commit.short}")
        head, _, message = output.partition("\n\n")
        author = re.search(r"^author (.*) <", head, re.MULTILINE)
        subject = message.lstrip().partition("\n")[0]
        return _printable(subject)[:200], _printable(author[1] if author else "")[:100]

    async def commit_archive(
        self, app: AppName, archive: Path, parent: Commit | None, *, message: str, author: str, at: datetime
    ) -> Commit:
        """Make a commit of what a tar file holds. Raises InvalidInput, BuildFailed; then nothing is kept."""
        signature = Signature(author=author, message=message, at=at)
        async with self._passing_ref(app) as ref:
            await import_archive(self.path(app), archive, ref, parent, signature)
            return Commit((await self._git(app, "rev-parse", ref)).strip())

    async def fetch(self, app: AppName, remote: RemoteUrl, ref: BranchName) -> Commit:
        """Fetch what a branch, tag or commit of another repository is, with its history. Raises BuildFailed."""
        async with self._passing_ref(app) as passing:
            options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
            code, said = await self._try(app, "fetch", *options, remote, f"+{ref}:{passing}")
            if code:
                why = without_password(said).strip()
                raise BuildFailed(f"{ref} cannot be fetched from {remote.shown}: {why}")
            return Commit((await self._git(app, "rev-parse", f"{passing}^{{commit}}")).strip())

    @contextlib.asynccontextmanager
    async def _passing_ref(self, app: AppName) -> AsyncIterator[str]:
        """Give a ref of nobody else's, and forget it in the end."""
        await self.create(app)
        ref = f"{_PASSING}/{secrets.token_hex(8)}"
        try:
            yield ref
        finally:
            await asyncio.shield(self._try(app, "update-ref", "-d", ref))

    async def refs(self, app: AppName) -> dict[BranchName, Commit]:
        """Return the branches that there are, each with the commit that it points at."""
        listed = await self._git(app, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads")
        lines = (line.split(" ", 1) for line in listed.splitlines())
        return {BranchName(name.removeprefix("refs/heads/")): Commit(commit) for commit, name in lines}

    async def ref(self, app: AppName, branch: BranchName) -> Commit | None:
        """Return the commit that a branch points at, None where there is no such branch."""
        code, output = await self._try(app, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
        return None if code else Commit(output.strip())

    async def contains(self, app: AppName, commit: Commit, ancestor: Commit) -> bool:
        """Tell whether a commit is `ancestor`, or has it in its history; what is not there is not told of."""
        code, _ = await self._try(app, "merge-base", "--is-ancestor", ancestor, commit)
        return code == 0

    async def move_ref(self, app: AppName, branch: BranchName, commit: Commit) -> None:
        """Make a branch point at a commit."""
        await self._git(app, "update-ref", f"refs/heads/{branch}", commit)

    async def delete_ref(self, app: AppName, branch: BranchName) -> None:
        """Forget a branch; one that is not there is forgotten already."""
        await self._git(app, "update-ref", "-d", f"refs/heads/{branch}")

    async def set_head(self, app: AppName, branch: BranchName) -> None:
        """Make a clone of the app check out this branch."""
        await self._git(app, "symbolic-ref", "HEAD", f"refs/heads/{branch}")

    async def _git(self, app: AppName, *arguments: str) -> str:
        code, output = await self._try(app, *arguments)
        if code:
            raise BuildFailed(f"git {arguments[0]} failed in the repository of {app}: {output.strip()}")
        return output

    async def _try(self, app: AppName, *arguments: str) -> tuple[int, str]:
        return await git_command.run(*arguments, directory=self.path(app))
