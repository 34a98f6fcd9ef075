"""The versions of Python that this machine has, as uv finds them.

Invariant: nothing is downloaded for an app unless the operator's environment lets uv do so (UV_PYTHON_DOWNLOADS).
"""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path

from balancer.errors import BuildFailed
from balancer.runner.build_steps import UV
from balancer.runner.python_project import Asked

_NEVER = "never"


def downloads() -> str:
    """Return whether uv may fetch a Python: what the operator's environment says, else never."""
    return os.environ.get("UV_PYTHON_DOWNLOADS", _NEVER)


async def check_python(asked: Asked, directory: Path, environment: Mapping[str, str]) -> None:
    """Raise BuildFailed unless the version asked for can be had."""
    if downloads() != _NEVER:
        return
    status, _ = await _uv(["find", "--no-project", asked.version], directory, environment)
    if status:
        _, listed = await _uv(["list", "--only-installed", "--output-format", "json"], directory, environment)
        versions = sorted({each["version"] for each in json.loads(listed or "[]")}, key=_parts)
        raise BuildFailed(
            f"{asked.file} asks for Python {asked.version}, which this machine does not have (it has "
            f"{', '.join(versions) or 'none'}); install it, or set UV_PYTHON_DOWNLOADS=automatic for `balancer serve`"
        )


async def _uv(words: list[str], directory: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(UV, "python", *words),
        cwd=directory,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")


def _parts(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdecimal()]
