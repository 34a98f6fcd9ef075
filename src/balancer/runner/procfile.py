"""A Procfile: `NAME: COMMAND`, a line a process.

Invariants:
    * Every line is a process type, but `release`, which runs once, and `static`, a directory to serve.
    * A name stands once, and none that is a key of balancer.toml and surely meant as such.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from balancer.domain.manifest import WEB, ProcessType
from balancer.errors import InvalidManifest
from balancer.runner.tree_file import Table, text_of

NAME = "Procfile"
_LINE = re.compile(r"\s*([A-Za-z0-9_-]+)\s*:\s*(.+?)\s*")
# Started as a process, such a line would fail with a message that leads nowhere. `cron` is left out: many apps have a
# process of that name.
_KEYS = (
    *("build", "predeploy", "postdeploy", "env", "instances", "formation", "domains", "processes"),
    *("health_path", "health_timeout_seconds", "drain_timeout_seconds", "slow_after"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Procfile:
    """What a Procfile says."""

    processes: Mapping[ProcessType, str]
    static: str | None
    release: str | None


def read_procfile(path: Path) -> Procfile:
    """Return what a Procfile says. Raises InvalidManifest."""
    commands: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text_of(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if not match:
            raise InvalidManifest(f"Procfile, line {number}: write `NAME: COMMAND`, such as `web: python3 app.py`")
        name, command = match.groups()
        if name in lines:
            raise InvalidManifest(f"Procfile: `{name}` stands in line {lines[name]} and in line {number}; keep one")
        if name in _KEYS:
            raise InvalidManifest(f"Procfile, line {number}: `{name}` is no process; say it in balancer.toml")
        commands[name], lines[name] = command, number
    if WEB not in commands and "static" not in commands:
        raise InvalidManifest(
            "the Procfile has no `web` process"
            + (f" (it has {', '.join(commands)})" if commands else "")
            + "; add a line such as `web: python3 app.py`, a command that listens on $PORT"
        )
    static, release = commands.pop("static", None), commands.pop("release", None)
    return Procfile(processes=Table(NAME, commands).processes(), static=static, release=release)
