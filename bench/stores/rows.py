"""The rows that every store is given, and what every store is to answer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ledger_data import WINDOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The ledger's rows as Parquet, of the columns that the question needs and the rest that every event has."""

    events: Path
    exposures: Path
    signup: int
    purchase: int


Answer = dict[tuple[int, str], tuple[int, int, int, float]]
"""By phase and variant: exposed visitors, those who signed up, purchases, and what they came to."""


def give(ledger: Path, directory: Path) -> Rows:
    """Write the rows of a ledger that nobody has open."""
    rows = {
        "events": "SELECT app, split, phase, variant, release, visitor, assigned_at, name, value, ts, arrived, source"
        " FROM events",
        "exposures": "SELECT app, split, visitor, assigned_at, phase, variant FROM exposures WHERE NOT multiple",
    }
    with duckdb.connect(str(ledger), read_only=True, config={"memory_limit": "600MB", "threads": 2}) as connection:
        for name, sql in rows.items():
            connection.execute(f"COPY ({sql}) TO '{directory / name}.parquet' (FORMAT parquet)")
        words = dict(connection.execute("SELECT word, id FROM words WHERE kind = 'name'").fetchall())
    return Rows(
        events=directory / "events.parquet",
        exposures=directory / "exposures.parquet",
        signup=words["signup"],
        purchase=words["purchase"],
    )


def added(cells: Iterable[Sequence[str | float | None]]) -> Answer:
    """Return what the cells of all days come to; of each: phase, variant, visitors, signed up, bought, spent, …"""
    answer: Answer = {}
    for phase, variant, *numbers in cells:
        key = int(phase or 0), str(variant)
        before = answer.get(key, (0, 0, 0, 0.0))
        visitors, signed_up, bought, spent = (float(number or 0) for number in numbers[:4])
        answer[key] = (
            before[0] + int(visitors),
            before[1] + int(signed_up),
            before[2] + int(bought),
            before[3] + spent,
        )
    return answer


def day(column: str) -> str:
    """Return the day of a column of milliseconds, as every SQL has it for what is not negative."""
    return f"floor({column} / 86400000.0)"


WITHIN = f"ts >= assigned_at AND ts < assigned_at + {WINDOW}"
