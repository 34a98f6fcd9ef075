"""The git command, run by us.

Invariants:
    * git runs without the user's own configuration, and never asks at a terminal.
    * It fetches over https, http and ssh only, whatever a repository names.
    * It ends: at its deadline, or when its caller is cancelled, its process group is gone.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from balancer.cancellation import to_its_end

# 600 s: a first fetch of a large repository over a slow line.
_TIMEOUT_SECONDS = 600.0
# 5 s: git removes its lock files on SIGTERM, which takes no time unless the machine is busy.
_GRACE_SECONDS = 5.0


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment that git runs in."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return {
        **kept,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        # Neither local paths nor helper programs: what a pushed tree names is fetched from elsewhere only.
        "GIT_ALLOW_PROTOCOL": "https:http:ssh",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        # The repositories are ours even where the data directory has another owner.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        **(extra or {}),
    }


async def run(
    *arguments: str,
    directory: Path,
    extra: Mapping[str, str] | None = None,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> tuple[int, str]:
    """Run git in a directory, and return its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *("git", *arguments),
        cwd=directory,
        env=environment(extra),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            output, _ = await process.communicate()
    except TimeoutError:
        await _end(process)
        return 124, f"git {arguments[0]} took longer than {timeout_seconds:g} s and was stopped"
    except BaseException:
        await to_its_end(_end(process))
        raise
    return process.returncode or 0, output.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                await process.wait()
                return
