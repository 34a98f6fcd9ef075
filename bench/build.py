"""How long a build takes, the first time and again with the same dependencies: `make bench-build`.

It fails where the quickest of those again takes too long; the others may meet with what else the machine does.
Packages come from the index and the registry that this machine is set up for.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from balancer.runner.bounds import Bounds
from balancer.runner.build import Builder
from balancer.runner.build_steps import UV
from balancer.runner.workspace import Workspace
from values import release

# 2 s: whoever pushes a change of a page shall not wait for packages that have not changed.
_AGAIN_SECONDS = 2.0
_PACKAGES = ("flask", "requests", "jinja2", "sqlalchemy", "gunicorn")
_PYPROJECT = f"""
[project]
name = "shop"
version = "1"
requires-python = ">=3.11"
dependencies = {json.dumps(_PACKAGES)}
"""
_PACKAGE = {"name": "shop", "version": "1.0.0", "dependencies": {"express": "^4", "lodash": "^4", "uuid": "^9"}}


def trees(directory: Path) -> dict[str, dict[str, str]]:
    """Return the trees that are built; locks are made here."""
    python, node = directory / "python", directory / "node"
    for each in (python, node):
        each.mkdir()
    (python / "pyproject.toml").write_text(_PYPROJECT)
    subprocess.run([UV, "lock", "--quiet"], cwd=python, check=True)
    made = {
        "requirements.txt": {"requirements.txt": "\n".join(_PACKAGES)},
        "uv.lock": {name: (python / name).read_text() for name in ("pyproject.toml", "uv.lock")},
    }
    (node / "package.json").write_text(json.dumps(_PACKAGE))
    if shutil.which("npm") is None:
        print("npm is not installed: package-lock.json is left out")
    elif subprocess.run(["npm", "install", "--package-lock-only", "--silent"], cwd=node, check=False).returncode:
        print("npm finds no registry: package-lock.json is left out")
    else:
        made["package-lock.json"] = {each: (node / each).read_text() for each in ("package.json", "package-lock.json")}
    return made


async def measure(directory: Path) -> dict[str, list[float]]:
    """Return the seconds of four builds of each tree."""
    workspace = Workspace(directory / "releases")
    bounds = Bounds(memory_mb=2048)
    builder = Builder(workspace, data_dir=directory / "data", timeout_seconds=600, bounds=bounds, at_once=1)
    seconds: dict[str, list[float]] = {}
    number = 0
    for name, files in trees(directory).items():
        for _ in range(4):
            number += 1
            made = release(number)
            tree = workspace.create(made)
            for path, text in files.items():
                (tree / path).write_text(text)
            began = time.monotonic()
            await builder.build(made, {}, lambda line: None)
            seconds.setdefault(name, []).append(round(time.monotonic() - began, 2))
    return seconds


def main() -> None:
    """Print a table, and a line of JSON; fail where to build the same again takes too long."""
    with tempfile.TemporaryDirectory() as directory:
        seconds = asyncio.run(measure(Path(directory)))
    print(f"{'built from':20} {'first':>8} {'again':>8} {'again':>8} {'again':>8}   (s, {os.cpu_count()} cores)")
    for name, (first, *again) in seconds.items():
        print(f"{name:20} {first:8.2f} {' '.join(f'{each:8.2f}' for each in again)}")
    print(json.dumps({"second_build_s": {name: again for name, (_, again, *_) in seconds.items()}}))
    if slow := [name for name, (_, *again) in seconds.items() if min(again) >= _AGAIN_SECONDS]:
        sys.exit(f"again, with nothing changed, {' and '.join(slow)} took {_AGAIN_SECONDS:g} s or more")


if __name__ == "__main__":
    main()
