"""package.json: how an app of node is started, and what its build needs."""

import shlex
from pathlib import Path

from balancer.domain.app import Domain
from balancer.domain.manifest import WEB, Manifest, Source
from balancer.errors import InvalidManifest
from balancer.runner.tree_file import Table, json_of

NAME = "package.json"


def read_package_json(directory: Path) -> Manifest | None:
    """Return the manifest of a tree with this file, None where it names no start. Raises InvalidManifest."""
    package = Package(directory)
    if "start" in package.scripts:
        web = "npm start"
    elif package.main:
        main = package.main
        is_there = any((directory / name).is_file() for name in (main, f"{main}.js", f"{main}/index.js"))
        if not is_there and not package.is_built:
            raise InvalidManifest(f"package.json: `main` is {main!r}, which the tree lacks")
        web = f"node {shlex.quote(main)}"
    else:
        return None
    return Manifest(source=Source.PACKAGE, processes={WEB: web}, domains=package.domains)


class Package:
    """What a package.json says; one that is not there says nothing. Raises InvalidManifest."""

    def __init__(self, directory: Path) -> None:
        path = directory / NAME
        self._file = Table(NAME, json_of(path) if path.is_file() else {})
        scripts = self._file.values.get("scripts")
        self.scripts = {
            name: command
            for name, command in (scripts if isinstance(scripts, dict) else {}).items()
            if isinstance(command, str) and command.strip()
        }
        main = self._file.values.get("main")
        self.main = main if isinstance(main, str) else ""

    @property
    def is_built(self) -> bool:
        """Whether it has a build script."""
        return "build" in self.scripts

    @property
    def has_dependencies(self) -> bool:
        """Whether something has to be installed."""
        return any(self._file.values.get(key) for key in ("dependencies", "devDependencies", "optionalDependencies"))

    @property
    def domains(self) -> tuple[Domain, ...]:
        """Host names that lead to the app, as the ancestor took them."""
        return self._file.domains()
