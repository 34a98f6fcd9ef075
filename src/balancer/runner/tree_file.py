"""What a file of a pushed tree says, read as text, and its values checked.

Whatever does not hold raises InvalidManifest, which names the file and what was wrong in it. Used by the readers of
the manifest, one module a file.
"""

import contextlib
import difflib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from balancer.domain.app import ConfigKey, ConfigValue, Domain
from balancer.domain.literal import literal
from balancer.domain.manifest import CronJob, ProcessType
from balancer.errors import InvalidInput, InvalidManifest

Values = Mapping[str, object]
# 1 MB: a manifest is written by hand; what is longer is something else.
_LIMIT_BYTES = 1_000_000
# What crontabs may say instead of five fields.
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def text_of(path: Path) -> str:
    """Return a file as text, without a byte order mark."""
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise InvalidManifest(f"{path.name} is larger than {_LIMIT_BYTES} bytes")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as reason:
        raise InvalidManifest(f"{path.name} cannot be read as text: {reason}") from reason


def json_of(path: Path) -> Values:
    """Return the object that a JSON file holds."""
    try:
        found = json.loads(text_of(path))
    except (ValueError, RecursionError) as reason:
        raise InvalidManifest(f"{path.name} does not parse: {reason}") from reason
    if not isinstance(found, dict):
        raise InvalidManifest(f"{path.name} must hold an object")
    return cast("dict[str, object]", found)


def toml_of(path: Path) -> Values:
    """Return the keys of a TOML file."""
    try:
        return tomllib.loads(text_of(path))
    except (tomllib.TOMLDecodeError, RecursionError) as reason:
        raise InvalidManifest(f"{path.name} does not parse: {reason}") from reason


@dataclass(frozen=True, slots=True)
class Table:
    """Values by key, and what they are called in messages."""

    name: str
    """Such as `balancer.toml` or `app.json: formation`."""
    values: Values

    def only(self, known: Iterable[str]) -> None:
        """Raise where there is a key that is not among these."""
        known = tuple(known)
        for key in self.values:
            if key not in known:
                close = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
                raise InvalidManifest(f"{self.name}: nothing is called {key!r}; {hint}")

    def text(self, key: str) -> str | None:
        """Return a text that is not empty, None where there is none."""
        value = self.values.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise InvalidManifest(f"{self.name}: {key} = {literal(value)} must be a text")
        return value

    def number(self, key: str, default: float) -> float:
        """Return a number."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidManifest(f"{self.name}: {key} = {literal(value)} must be a number")
        return value

    def whole_number(self, key: str) -> int | None:
        """Return a whole number, None where there is none."""
        value = self.values.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise InvalidManifest(f"{self.name}: {key} = {literal(value)} must be a whole number")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return whether something is so."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise InvalidManifest(f"{self.name}: {key} = {literal(value)} must be true or false")
        return value

    def table(self, key: str) -> "Table":
        """Return the table below a key, an empty one where there is none."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, dict):
            raise InvalidManifest(f"{self.name}: {key} = {literal(value)} must be a table of names and values")
        return Table(f"{self.name}: {key}", value or {})

    def tables(self, key: str) -> tuple["Table", ...]:
        """Return the list of tables below a key."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise InvalidManifest(f"{self.name}: {key} must be a list of tables")
        return tuple(Table(f"{self.name}: {key}[{index}]", entry) for index, entry in enumerate(value))

    def domains(self, key: str = "domains") -> tuple[Domain, ...]:
        """Return a list of host names, each once."""
        value = self.values.get(key, [])
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise InvalidManifest(f"{self.name}: `{key}` must be a list of host names")
        with named(self.name):
            return tuple(dict.fromkeys(Domain(entry) for entry in value))

    def processes(self) -> dict[ProcessType, str]:
        """Return all of it as commands by process type."""
        return {self.process_type(name): self.text(name) or "" for name in self.values}

    def process_type(self, name: str) -> ProcessType:
        """Return a key of it as a process type."""
        with named(self.name):
            return ProcessType(name)

    def cron_job(self) -> CronJob:
        """Return its `schedule` and `command` as a cron entry."""
        schedule, command = self.text("schedule"), self.text("command")
        if schedule is None or command is None:
            raise InvalidManifest(f"{self.name} must have a `schedule` and a `command`")
        with named(self.name):
            return CronJob(schedule=_NICKNAMES.get(schedule.strip(), schedule.strip()), command=command)

    def env(self) -> "Env":
        """Return all of it as config vars: texts, or tables with `value`, `required` and `generator`."""
        defaults: dict[ConfigKey, ConfigValue] = {}
        required, secrets = [], []
        with named(self.name):
            for name, said in self.values.items():
                key = ConfigKey(name)
                entry = self.table(name) if isinstance(said, dict) else Table(self.name, {"value": said})
                value = entry.values.get("value")
                if value is not None and not isinstance(value, str):
                    raise InvalidManifest(f"{self.name}: {name} = {literal(value)} must be a text; put it in quotes")
                if entry.values.get("generator") == "secret":
                    secrets.append(key)
                elif value is not None:
                    defaults[key] = ConfigValue(value)
                elif entry.values.get("required", True):
                    required.append(key)
        return Env(defaults=defaults, required=tuple(required), secrets=tuple(secrets))


@dataclass(frozen=True, slots=True, kw_only=True)
class Env:
    """What a manifest says of config vars."""

    defaults: Mapping[ConfigKey, ConfigValue]
    required: tuple[ConfigKey, ...]
    """Those without a default, which the operator has to set."""
    secrets: tuple[ConfigKey, ...]
    """Those that are made up where they are not set."""


@contextlib.contextmanager
def named(name: str) -> Iterator[None]:
    """Say in which file something was that does not parse."""
    try:
        yield
    except InvalidInput as reason:
        if str(reason).startswith(name):
            raise
        raise InvalidManifest(f"{name}: {reason}") from reason
