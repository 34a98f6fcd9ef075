"""Tables: what a chart shows, as figures for people and as a CSV file.

Invariant: the CSV has the very figures that the table shows to four digits: fractions, not percent.
"""

import csv
import io
from dataclasses import dataclass

Raw = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One figure or word."""

    text: str
    raw: Raw
    kind: str = ""
    """A class for its look: a tone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head of a column."""

    text: str
    name: str
    """In the CSV."""
    figures: bool = False
    """Whether the column is of figures, and so flush right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows of a chart."""

    caption: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.heads) for row in self.rows):
            raise ValueError(f"a row of {self.caption} has not {len(self.heads)} cells")


def word(text: str, kind: str = "") -> Cell:
    """Return a cell of a word, which the CSV has too."""
    return Cell(text=text, raw=text, kind=kind)


def number(text: str, raw: float | None, kind: str = "") -> Cell:
    """Return a cell of a figure; None is a dash, and nothing in the CSV."""
    return Cell(text="–" if raw is None else text, raw=raw, kind=kind)


def whole(count: int) -> Cell:
    """Return a cell of how many there are."""
    return Cell(text=f"{count:,}", raw=count)


def csv_of(table: Table) -> str:
    """Return the figures of a table as CSV."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([head.name for head in table.heads])
    rows.writerows([_harmless(cell.raw) for cell in row] for row in table.rows)
    return text.getvalue()


def _harmless(raw: Raw) -> Raw:
    """Return a cell that no spreadsheet takes for a formula: names of events are anybody's."""
    return f"'{raw}" if isinstance(raw, str) and raw[:1] in ("=", "+", "-", "@", "\t", "\r") else raw
