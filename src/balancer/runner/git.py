"""The bare repositories of the apps, by the git command.

Invariants:
    * A ref of a branch points at the commit that is live, so that a refused push can be pushed again.
    * git runs without the user's own configuration, and never asks at a terminal.
"""

import asyncio
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from balancer.domain.app import AppName, BranchName, Commit
from balancer.errors import BuildFailed, ReleaseNotFound

# The hook speaks to the daemon by plain HTTP: it starts in 30 ms and needs nothing but Python itself.
_HOOK = """\
#!/bin/sh
exec {python} -I {script} "$@"
"""
_CONFIG = {
    "receive.advertiseAtomic": "false",  # the update hook decides branch by branch
    "receive.denyDeletes": "true",
    "receive.fsckObjects": "true",
    "http.receivepack": "true",
    "http.uploadpack": "true",
    "gc.auto": "0",  # a gc in the middle of a push would race the deploy that reads from it
}


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment that git runs in."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return {
        **kept,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        # The repositories are ours even where the data directory has another owner.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        **(extra or {}),
    }


def _printable(text: str) -> str:
    """Return text that no terminal takes for a command."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


class Repositories:
    """The repositories below one directory, `<app>.git` each."""

    def __init__(self, directory: Path, *, python: str, hook_script: Path) -> None:
        self.directory = directory
        self._hook = _HOOK.format(python=shlex.quote(python), script=shlex.quote(str(hook_script)))

    def path(self, app: AppName) -> Path:
        """Return where the repository of an app is."""
        return self.directory / f"{app}.git"

    async def create(self, app: AppName) -> None:
        """Make the bare repository of an app; one that is there only gets our configuration and hook again."""
        path = self.path(app)
        path.mkdir(parents=True, exist_ok=True)
        await self._git(app, "init", "--quiet", "--bare", "--template=", "--initial-branch=master", ".")
        for name, value in _CONFIG.items():
            await self._git(app, "config", name, value)
        hook = path / "hooks" / "update"
        hook.parent.mkdir(exist_ok=True)
        fresh = hook.with_name("update.new")
        fresh.write_text(self._hook)
        fresh.chmod(0o755)
        fresh.replace(hook)

    async def export(self, app: AppName, commit: Commit, directory: Path) -> None:
        """Write the tree of a commit into an empty directory. Raises BuildFailed."""
        script = 'git archive --format=tar "$1" | tar -x -C "$2"'
        process = await asyncio.create_subprocess_exec(
            *("bash", "-o", "pipefail", "-c", script, "export", commit, str(directory)),
            cwd=self.path(app),
            env=environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        if process.returncode:
            raise BuildFailed(f"the tree of {commit.short} could not be written out: {errors.decode().strip()}")

    async def describe(self, app: AppName, commit: Commit) -> tuple[str, str]:
        """Return the first line of a commit's message, and its author. Raises ReleaseNotFound."""
        code, output = await self._try(app, "show", "--no-patch", "--format=%s%x00%an", f"{commit}^{{commit}}")
        if code:
            raise ReleaseNotFound(f"the repository of {app} has no commit {commit.short}")
        subject, _, author = output.partition("\0")
        return _printable(subject)[:200], _printable(author)[:100]

    async def ref(self, app: AppName, branch: BranchName) -> Commit | None:
        """Return the commit that a branch points at, None where there is no such branch."""
        code, output = await self._try(app, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
        return None if code else Commit(output.strip())

    async def move_ref(self, app: AppName, branch: BranchName, commit: Commit) -> None:
        """Make a branch point at a commit."""
        await self._git(app, "update-ref", f"refs/heads/{branch}", commit)

    async def set_head(self, app: AppName, branch: BranchName) -> None:
        """Make a clone of the app check out this branch."""
        await self._git(app, "symbolic-ref", "HEAD", f"refs/heads/{branch}")

    async def _git(self, app: AppName, *arguments: str) -> str:
        code, output = await self._try(app, *arguments)
        if code:
            raise BuildFailed(f"git {arguments[0]} failed in the repository of {app}: {output.strip()}")
        return output

    async def _try(self, app: AppName, *arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *("git", *arguments),
            cwd=self.path(app),
            env=environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode(errors="replace")
