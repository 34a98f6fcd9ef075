"""The audit log: who changed what, when, and how it ended.

Invariants:
    * Of what was sent only names that say nothing secret are kept: no values of config vars, no passwords, no visitor.
    * An entry is one printable line, however long or odd what was sent is.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from balancer.domain.app import AppName

KEPT_FOR = timedelta(days=365)
"""A year: what happened is asked for at a review, which is once a year."""
DONE, BEGUN, BROKEN_OFF, FAILED = "done", "begun", "broken off", "failed"
"""Outcomes: as asked; of what goes on after the answer; whoever asked went away, or the daemon stopped; by a fault of
ours. Others are codes of errors."""
PLATFORM = "the platform"
"""Who does what nobody has asked for just then."""
# 300 characters: the weights of a split of ten branches. What is longer is a body that nobody reads in a list.
_SUMMARY_LIMIT = 300
# Fields of bodies, queries and paths whose values may be kept; of others not even the name is.
# fmt: off
_SHOWN = frozenset({
    "aa", "branch", "branches", "commit", "control", "decide_at", "default_branch", "delete", "event", "events",
    "formation", "fresh", "held_out", "import", "kind", "later", "metric", "mode", "name", "number", "process", "ref",
    "release", "role", "target", "weights", "window", "winner", "freeze", "during_freeze", "until", "why",
    "hours",
})
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change that somebody asked for, or that the platform decided."""

    at: datetime
    """When it ended."""
    who: str
    """`token operator`, `key ada@laptop`, `webhook`, or `the platform`."""
    what: str
    """The call of the API, such as `POST /api/apps/{app}/split`, or `git push`, or `rollout step`."""
    app: AppName | None
    summary: str
    outcome: str


def summary(sent: Mapping[str, object]) -> str:
    """Return what was sent in words, as far as it may be kept."""
    return line(", ".join(_said(sent)))


def line(text: str) -> str:
    """Return text as an entry has it: one printable line that is not too long."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= _SUMMARY_LIMIT else shown[: _SUMMARY_LIMIT - 1] + "…"


def _said(sent: Mapping[str, object]) -> Iterator[str]:
    for name, value in sent.items():
        match name, value:
            case "config", Mapping():
                yield from (f"{'unset' if to is None else 'set'} {key}" for key, to in value.items())
            case "brief", Mapping():
                yield from _said(value)
            case "url", str():
                yield f"url {_place(value)}"
            case "command", [str(program), *_]:
                yield f"command {program}"
            case (_, None | False | [] | "") | ("held_out", 0 | "0"):
                pass
            case _, Mapping() if name in _SHOWN:
                yield f"{name} {' '.join(f'{key}={_plain(part)}' for key, part in value.items() if _is_plain(part))}"
            case _, list() if name in _SHOWN:
                yield f"{name} {' '.join(str(part) for part in value if _is_plain(part))}"
            case _ if name in _SHOWN and _is_plain(value):
                yield name if value is True else f"{name} {value}"


def _plain(value: object) -> str:
    """Return a value without the zero behind a whole number of percent."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _place(url: str) -> str:
    """Return a URL without what may be secret: its user, whom some providers give a token as name, and its query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "?"
    if parts.scheme and parts.netloc:
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return re.sub(r"^.*@", "", url)
