"""How a pushed tree says it is to be run: balancer.toml, else a Procfile, else package.json, else index.html.

Invariants:
    * The first of these files that is there decides; nothing is guessed from two.
    * A key that we do not know in our own file is an error.
"""

import difflib
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import cast

from balancer.domain.app import Domain, Manifest, Source
from balancer.errors import InvalidManifest, InvalidName

_KEYS = ("web", "static", "release", "domains", "health_path", "health_timeout_seconds", "instances")
_COMMANDS = ("web", "static", "release")
_PROCESS = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+?)\s*$")
# 1 MB: a manifest is written by hand; what is longer is something else.
_LIMIT_BYTES = 1_000_000


def read_manifest(directory: Path) -> Manifest:
    """Return how the tree in `directory` is to be run. Raises InvalidManifest."""
    for source, parse in _PARSERS.items():
        path = directory / source.value
        if path.is_file():
            manifest = parse(_text(path), directory)
            if manifest.static is not None and not (directory / manifest.static).is_dir():
                raise InvalidManifest(f"{source.value} serves the directory {manifest.static!r}, which the tree lacks")
            return manifest
    raise InvalidManifest(
        "nothing here says how to run the app: add a Procfile with a line `web: COMMAND`, a balancer.toml, "
        "a package.json with `main`, or an index.html"
    )


def _manifest_file(text: str, directory: Path) -> Manifest:
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as reason:
        raise InvalidManifest(f"balancer.toml does not parse: {reason}") from reason
    for key in values:
        if key not in _KEYS:
            close = difflib.get_close_matches(key, _KEYS, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(_KEYS)}"
            raise InvalidManifest(f"balancer.toml: nothing is called {key!r}; {hint}")
    if "web" not in values and "static" not in values and (directory / "Procfile").is_file():
        processes = _processes(_text(directory / "Procfile"))
        values = {**{key: processes[key] for key in _COMMANDS if key in processes}, **values}
    return Manifest(
        source=Source.MANIFEST,
        web=_string(values, "web"),
        static=_string(values, "static"),
        release=_string(values, "release"),
        domains=_domains("balancer.toml", values.get("domains", [])),
        health_path=_string(values, "health_path"),
        health_timeout_seconds=_number(values, "health_timeout_seconds", 60.0),
        instances=_whole_number(values, "instances", 1),
    )


def _procfile(text: str, directory: Path) -> Manifest:
    processes = _processes(text)
    domains = _package(directory).get("domains", []) if (directory / "package.json").is_file() else []
    return Manifest(
        source=Source.PROCFILE,
        web=processes.get("web"),
        static=processes.get("static"),
        release=processes.get("release"),
        domains=_domains("package.json", domains),
    )


def _package_file(text: str, directory: Path) -> Manifest:
    package = _package(directory)
    main = package.get("main")
    scripts = package.get("scripts")
    if isinstance(scripts, dict) and isinstance(scripts.get("start"), str):
        web = "npm start"
    elif isinstance(main, str) and main:
        if not any((directory / name).is_file() for name in (main, f"{main}.js", f"{main}/index.js")):
            raise InvalidManifest(f"package.json: `main` is {main!r}, which the tree lacks")
        web = f"node {shlex.quote(main)}"
    else:
        raise InvalidManifest("package.json says neither `main` nor `scripts.start`; add one, or a Procfile")
    return Manifest(source=Source.PACKAGE, web=web, domains=_domains("package.json", package.get("domains", [])))


def _static_site(text: str, directory: Path) -> Manifest:
    return Manifest(source=Source.STATIC, static=".")


_PARSERS = {
    Source.MANIFEST: _manifest_file,
    Source.PROCFILE: _procfile,
    Source.PACKAGE: _package_file,
    Source.STATIC: _static_site,
}


def _processes(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _PROCESS.match(line)
        if not match:
            raise InvalidManifest(f"Procfile, line {number}: write `NAME: COMMAND`, such as `web: python3 app.py`")
        found[match[1]] = match[2]
    if "web" not in found and "static" not in found:
        raise InvalidManifest(
            "the Procfile has no `web` process"
            + (f" (it has {', '.join(found)})" if found else "")
            + "; add a line such as `web: python3 app.py`, a command that listens on $PORT"
        )
    return found


def _package(directory: Path) -> dict[str, object]:
    try:
        package = json.loads(_text(directory / "package.json"))
    except (ValueError, RecursionError) as reason:
        raise InvalidManifest(f"package.json does not parse: {reason}") from reason
    if not isinstance(package, dict):
        raise InvalidManifest("package.json must hold an object")
    return cast("dict[str, object]", package)


def _domains(file: str, value: object) -> tuple[Domain, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise InvalidManifest(f"{file}: `domains` must be a list of host names")
    try:
        return tuple(dict.fromkeys(Domain(entry) for entry in value))
    except InvalidName as reason:
        raise InvalidManifest(f"{file}: {reason}") from reason


def _string(values: dict[str, object], key: str) -> str | None:
    value = values.get(key)
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise InvalidManifest(f"balancer.toml: {key} = {value!r} must be a text")
    return value


def _number(values: dict[str, object], key: str, default: float) -> float:
    value = values.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidManifest(f"balancer.toml: {key} = {value!r} must be a number")
    return value


def _whole_number(values: dict[str, object], key: str, default: int) -> int:
    value = values.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidManifest(f"balancer.toml: {key} = {value!r} must be a whole number")
    return value


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise InvalidManifest(f"{path.name} is larger than {_LIMIT_BYTES} bytes")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as reason:
        raise InvalidManifest(f"{path.name} cannot be read as text: {reason}") from reason
