"""What a tree needs to be built, as commands: detected from its files, then what its manifest says.

Used by `build`, which runs them in this order.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from balancer.domain.manifest import Manifest
from balancer.runner.node_modules import NodeModules
from balancer.runner.package_json import Package
from balancer.runner.python_project import Asked, python_metadata

UV = str(Path(sys.executable).parent / "uv")
_NPM_FLAGS = ("--no-audit", "--no-fund", "--prefer-offline")


@dataclass(frozen=True, slots=True)
class Step:
    """One command."""

    title: str
    command: Sequence[str]


def steps(directory: Path, manifest: Manifest, asked: Asked | None, modules: NodeModules | None) -> list[Step]:
    """Return what to run; `asked` is the version of Python that the tree asks for, `modules` what npm would install.

    Raises InvalidManifest.
    """
    found = [*_python(directory, asked), *_node(directory, modules)]
    script = directory / "bin" / "build"
    if script.is_file() and os.access(script, os.X_OK):
        found.append(Step("Running bin/build", _shell("exec ./bin/build")))
    if manifest.build:
        found.append(Step("Running the build command", _shell(manifest.build)))
    return found


def _python(directory: Path, asked: Asked | None) -> list[Step]:
    if (directory / "uv.lock").is_file() and (directory / "pyproject.toml").is_file():
        return [Step("Installing uv.lock", [UV, "sync", "--frozen", "--no-dev", "--no-progress"])]
    version = ("--python", asked.version) if asked else ()
    venv = Step("Making a virtual environment", [UV, "venv", "--quiet", "--no-project", *version, ".venv"])
    install = (UV, "pip", "install", "--no-progress", "--python", ".venv")
    if (directory / "requirements.txt").is_file():
        return [venv, Step("Installing requirements.txt", [*install, "--requirement", "requirements.txt"])]
    metadata = python_metadata(directory)
    if "project" in metadata:
        return [Step("Installing pyproject.toml", [UV, "sync", "--no-dev", "--no-progress"])]
    if "build-system" in metadata:
        return [venv, Step("Installing pyproject.toml", [*install, "."])]
    return []


def _node(directory: Path, modules: NodeModules | None) -> list[Step]:
    package = Package(directory)
    found = []
    if modules and modules.is_kept:
        found.append(
            Step("Taking node_modules from an earlier build: package-lock.json has not changed", modules.take())
        )
    elif (directory / "package-lock.json").is_file():
        found.append(Step("Installing package-lock.json", ["npm", "ci", *_NPM_FLAGS]))
        if modules:
            found.append(Step("Keeping node_modules for the next build", modules.keep()))
    elif package.has_dependencies:
        found.append(Step("Installing package.json", ["npm", "install", *_NPM_FLAGS]))
    if package.is_built:
        found.append(Step("Running npm run build", ["npm", "run", "build"]))
    return found


def _shell(command: str) -> list[str]:
    return ["/bin/sh", "-c", command]
