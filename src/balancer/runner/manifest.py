"""How a pushed tree says it is to be run.

Invariants:
    * The first file that says how to serve the app decides; nothing is guessed from two.
    * Beside every one but balancer.toml, app.json may add what Heroku and dokku let it say.
"""

from collections.abc import Callable
from pathlib import Path

from balancer.domain.manifest import Manifest, Source
from balancer.errors import InvalidManifest
from balancer.runner import balancer_toml, package_json, procfile
from balancer.runner.app_json import with_app_json
from balancer.runner.balancer_toml import read_balancer_toml
from balancer.runner.package_json import Package, read_package_json
from balancer.runner.procfile import read_procfile
from balancer.runner.python_project import read_python_project


def read_manifest(directory: Path) -> Manifest:
    """Return how the tree in `directory` is to be run. Raises InvalidManifest."""
    if (directory / balancer_toml.NAME).is_file():
        return read_balancer_toml(directory)
    for read in _READERS:
        manifest = read(directory)
        if manifest is not None:
            return with_app_json(manifest, directory)
    if (directory / package_json.NAME).is_file():
        raise InvalidManifest("package.json says neither `main` nor `scripts.start`; add one, or a Procfile")
    raise InvalidManifest(
        "nothing here says how to run the app: add a Procfile with a line `web: COMMAND`, a balancer.toml, "
        "a package.json with `main`, an app.py beside requirements.txt, or an index.html"
    )


def _procfile(directory: Path) -> Manifest | None:
    path = directory / procfile.NAME
    if not path.is_file():
        return None
    said = read_procfile(path)
    return Manifest(
        source=Source.PROCFILE,
        processes=said.processes,
        static=said.static,
        release=said.release,
        domains=Package(directory).domains,
    )


def _marked_static(directory: Path) -> Manifest | None:
    return _site() if (directory / ".static").is_file() else None


def _package(directory: Path) -> Manifest | None:
    return read_package_json(directory) if (directory / package_json.NAME).is_file() else None


def _index(directory: Path) -> Manifest | None:
    return _site() if (directory / "index.html").is_file() else None


def _site() -> Manifest:
    return Manifest(source=Source.STATIC, static=".")


_READERS: tuple[Callable[[Path], Manifest | None], ...] = (
    _procfile,
    _marked_static,
    _package,
    read_python_project,
    _index,
)
