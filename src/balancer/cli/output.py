"""How things look on a terminal, and as JSON.

Invariants:
    * What a program may want to read goes to standard output, everything else to standard error.
    * With --json, standard output is JSON and nothing else, also when it fails.
"""

import json
import os
import sys
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from rich.console import Console
from rich.markup import escape as rich_escape
from rich.table import Table
from rich.text import Text

from balancer.errors import BalancerError
from balancer.views.lasting import lasting as lasting
from balancer.wire.body import ErrorBody

# Where no terminal says how wide it is, tables are not folded: whoever reads the lines wants each in one piece. No cell
# of ours is as long as this, and what is narrower is not made wider by it.
_WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 10_000
# Without emoji, else `a:key:b` in a log, a config var or a commit would be shown as something else.
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")


class _Console(Console):
    """A console that leaves it to the edge of the commands what is done where nobody reads on."""

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError; rich would end the process as failed."""
        raise BrokenPipeError


console = _Console(width=_WIDTH, highlight=False, soft_wrap=False, emoji=False)
errors = Console(stderr=True, highlight=False, emoji=False)


def print_json(value: object) -> None:
    """Print a value of the API as JSON."""
    plain = TypeAdapter(Any).dump_python(value, mode="json")
    # With its end in one piece: what is followed is printed beside.
    print(f"{json.dumps(plain, ensure_ascii=False)}\n", end="", flush=True)  # noqa: T201 - this is the output


def table(*columns: str, rows: Iterable[Iterable[object]], title: str | None = None) -> None:
    """Print a table; a column whose head ends in `>` is aligned to the right."""
    shown = Table(
        title=title, box=None, header_style="bold", title_justify="left", pad_edge=False, padding=(0, 2, 0, 0)
    )
    for column in columns:
        right = column.endswith(">")
        shown.add_column(column.rstrip(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*("" if cell is None else str(cell) for cell in row))
    console.print(shown)


def commands_apart(reason: str) -> str:
    """Return a reason that ends in what to type with each command on a line of its own, so that none is folded."""
    said, begins, rest = reason.partition(": git fetch ")
    return "\n".join((f"{said}:", *f"git fetch {rest}".split(" && "))) if begins else reason


def say(text: str) -> None:
    """Print a line for people, with rich's markup."""
    console.print(text, soft_wrap=True)


def plain(text: str) -> None:
    """Print a line as it is."""
    console.print(text, markup=False, soft_wrap=True)


def labelled(label: str, style: str, text: str, *, to: Console = console) -> None:
    """Print a line that begins with a label in a style, and goes on as it is."""
    to.print(Text.assemble((label, style), text), soft_wrap=True)


def plain_labelled(before: str, label: str, style: str, text: str) -> None:
    """Print a line with a label in a style after something in grey, and go on as it is."""
    console.print(Text.assemble((f"{before} ", "dim"), (label, style), text), soft_wrap=True)


def colour_of(name: str) -> str:
    """Return the colour of a name, the same one each time."""
    return _COLOURS[zlib.crc32(name.encode()) % len(_COLOURS)]


def fail(error: BalancerError) -> int:
    """Print an error, and return what the command exits with."""
    if "--json" in sys.argv:
        print_json(ErrorBody.of(error))
    else:
        labelled("error:", "bold red", f" {error}", to=errors)
    return error.exit_code


def ago(moment: datetime | None) -> str:
    """Return how long ago something was, for people."""
    return "" if moment is None else f"{lasting((datetime.now(UTC) - moment).total_seconds())} ago"


def is_past(moment: datetime) -> bool:
    """Tell whether something is over, by the clock of this machine."""
    return moment <= datetime.now(UTC)


def escaped(text: str) -> str:
    """Return text in which nothing is markup."""
    return rich_escape(text)
