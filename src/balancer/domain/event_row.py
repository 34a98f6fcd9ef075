"""The rows of the ledger, as they are shown, brought out and brought in again.

Invariant: what is brought out and in again gives the same report: a row keeps all that a report goes by.

All of it is plain, so that JSON carries it. Times are milliseconds since 1970, UTC.
"""

from enum import StrEnum

import msgspec


class Form(StrEnum):
    """What a file of them may be."""

    PARQUET = "parquet"
    CSV = "csv"
    NDJSON = "ndjson"


class EventRow(msgspec.Struct, frozen=True, gc=False):
    """One row: an event, or an exposure."""

    visitor: str
    name: str
    """Of an event, or `$exposure` and `$error`."""
    ts: int
    value: float | None = None
    id: str | None = None
    """The sender's, or what the import has given it, so that a repetition counts once."""
    split: str | None = None
    """None where a server said it of a visitor, in no split's name; then the next three say nothing."""
    phase: int = 0
    variant: str = ""
    """Slug of the branch that the visitor was assigned to."""
    assigned_at: int = 0
    release: int | None = None
    """Id of the release that answered."""
    source: str = "import"
    """`header`, `beacon`, `edge`, `api` or `import`."""
    stood_in: bool = False
    dims: str | None = None
    """A JSON object of texts."""


class Tail(msgspec.Struct, frozen=True):
    """The newest rows, oldest first."""

    rows: tuple[EventRow, ...] = ()
    cursor: int = 0
    """What is newer than these arrived later."""
    skipped: int = 0
    """Rows that came as well, and were too many to show."""


class Exported(msgspec.Struct, frozen=True):
    """A file that was written."""

    rows: int


class Imported(msgspec.Struct, frozen=True):
    """What became of rows that were brought in."""

    accepted: int = 0
    duplicate: int = 0
    """Had the id of a row that is there."""
    erased: int = 0
    """Were of visitors who were erased since."""


class Erased(msgspec.Struct, frozen=True):
    """What was taken out of the ledger."""

    events: int = 0
    exposures: int = 0
