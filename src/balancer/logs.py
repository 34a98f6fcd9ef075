"""The platform's own log: one JSON object a line.

Invariants:
    * Every line is one JSON object with `at`, `level`, `log` and `message` first, whatever the facts are.
    * A message is constant (`release.live`); what varies is a fact beside it.
    * Writing a line never raises into the caller.

There is one way to write: `log = logs.named("deploy")` at the top of a module, then
`log.info("release.live", app="shop", release=3)`. INFO: state changed. WARNING: mended by itself.
ERROR: a person must act; the exception goes in as the fact `error` and comes out with its traceback.
Records of the standard library's logging (uvicorn's, asyncio's) become lines of the same form.
`start` is called once, by the entry point of a process.
"""

import json
import logging
import sys
import time
import traceback
from typing import TextIO

# What they say at INFO (each request sent, each server started) is no change of our state.
_CHATTY = ("httpx", "httpcore", "uvicorn")
_RESERVED = frozenset({"at", "level", "log", "message"})


class Log:
    """Writes under one name."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"balancer.{name}")

    def debug(self, message: str, /, **facts: object) -> None:
        """Say what only helps to find a mistake."""
        self._write(logging.DEBUG, message, facts)

    def info(self, message: str, /, **facts: object) -> None:
        """Say that a state changed."""
        self._write(logging.INFO, message, facts)

    def warning(self, message: str, /, **facts: object) -> None:
        """Say that something went wrong and was mended without help."""
        self._write(logging.WARNING, message, facts)

    def error(self, message: str, /, **facts: object) -> None:
        """Say that a person must act; `error=` takes the exception."""
        self._write(logging.ERROR, message, facts)

    def _write(self, level: int, message: str, facts: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", message, extra={"facts": facts})


class JsonLines(logging.Formatter):
    """Gives a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, object] = {
            "at": _iso_milliseconds(record.created),
            "level": record.levelname,
            "log": record.name.removeprefix("balancer."),
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1]:
            line["error"] = record.exc_info[1]
        facts: dict[str, object] = getattr(record, "facts", {})
        line |= {f"{name}_" if name in _RESERVED else name: fact for name, fact in facts.items()}
        try:
            text = json.dumps(line, default=_as_text, ensure_ascii=False, allow_nan=False)
        except (ValueError, TypeError, RecursionError):  # NaN, keys that are no strings, a circle
            text = json.dumps({name: _as_text(fact) for name, fact in line.items()})
        # A lone surrogate (a file name that is not UTF-8) becomes `\udc80`, which JSON reads as what it was.
        return text.encode("utf-8", "backslashreplace").decode()


def named(name: str) -> Log:
    """Return the log that writes as `name`."""
    return Log(name)


def start(stream: TextIO | None = None, level: str = "INFO") -> None:
    """Send everything at `level` and above to `stream` (None: standard error), from every library too."""
    lines = logging.StreamHandler(stream or sys.stderr)
    lines.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [lines]
    root.setLevel(level)
    for library in _CHATTY:
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def _iso_milliseconds(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03d}Z"


def _as_text(fact: object) -> str:
    if isinstance(fact, BaseException):
        return "".join(traceback.format_exception(fact)).rstrip()
    try:
        return str(fact)
    except Exception as error:  # noqa: BLE001 # whatever it is, the line is written
        return f"({type(fact).__name__}: {type(error).__name__} when shown)"
