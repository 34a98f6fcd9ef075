"""A Python project: how it is started without a Procfile, and which version of Python it asks for."""

import re
from dataclasses import dataclass
from pathlib import Path

from balancer.domain.manifest import WEB, Manifest, Source
from balancer.runner.tree_file import Values, text_of, toml_of

_PROJECT_FILES = ("requirements.txt", "pyproject.toml")
_ENTRIES = ("app.py", "main.py")
_VERSION_FILE = ".python-version"
# What uv takes as a version, such as `3.12`, `>=3.11,<3.14`, `cpython@3.12`, and not what is another flag.
_VERSION = re.compile(r"[A-Za-z0-9<>=~!^][A-Za-z0-9<>=~!.,*@+ _-]{0,99}")


@dataclass(frozen=True, slots=True)
class Asked:
    """The version of Python that a tree asks for."""

    version: str
    """Such as `3.12` or `>=3.11`."""
    file: str
    """The file that asks."""


def read_python_project(directory: Path) -> Manifest | None:
    """Return the manifest of a tree of Python, None where it is none or does not say how to start."""
    if not any((directory / name).is_file() for name in _PROJECT_FILES):
        return None
    for entry in _ENTRIES:
        if (directory / entry).is_file():
            return Manifest(source=Source.PYTHON, processes={WEB: f"python {entry}"})
    return None


def asked_python(directory: Path) -> Asked | None:
    """Return the version that a tree of Python asks for, None where any will do. Raises InvalidManifest."""
    if not any((directory / name).is_file() for name in _PROJECT_FILES):
        return None
    if (directory / _VERSION_FILE).is_file():
        for line in text_of(directory / _VERSION_FILE).splitlines():
            version = line.partition("#")[0].strip()
            if version and _VERSION.fullmatch(version):
                return Asked(version, _VERSION_FILE)
    project = python_metadata(directory).get("project")
    required = project.get("requires-python") if isinstance(project, dict) else None
    if isinstance(required, str) and _VERSION.fullmatch(required.strip()):
        return Asked(required.strip(), "pyproject.toml (requires-python)")
    return None


def python_metadata(directory: Path) -> Values:
    """Return what pyproject.toml says, nothing where there is none. Raises InvalidManifest."""
    path = directory / "pyproject.toml"
    return toml_of(path) if path.is_file() else {}
