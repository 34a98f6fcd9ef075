"""What is said over the ledger's socket: one JSON object a line, each ask followed by its answer.

`{"ask": "cells", …}` is answered by a `SplitCells`, `affected` by an `Affected`, `releases` by a `ReleaseTally`,
`distribution` by a `Distribution`, `names` by an `EventNames`, `raw` by `RawCells`, `newest` by a `Tail`, `export` by
an `Exported`, `import` by an `Imported`, `erase` by an `Erased`, `remove` by `Erased` by app, `intake` by an `Intake`,
`ping` by a `Pong`, `stop` by a `Stopping`, and any of them by a `Failure` instead. Used by `ledgerd` and
`ledger_client`.
"""

import msgspec

from balancer.domain.event_row import EventRow
from balancer.stats.affected import AffectedQuestion
from balancer.stats.cells import SplitQuestion
from balancer.stats.raw import RawQuestion
from balancer.stats.tally import Mark


class AskReleases(msgspec.Struct, frozen=True, tag_field="ask", tag="releases"):
    """A split cut by release, for these phases and variants (slugs of branches).

    `marks` tell which release a branch had when.
    """

    app: str
    split: str
    phases: list[int]
    variants: list[str]
    marks: list[Mark]


class AskCells(msgspec.Struct, frozen=True, tag_field="ask", tag="cells"):
    """What is wanted of a split."""

    question: SplitQuestion


class AskAffected(msgspec.Struct, frozen=True, tag_field="ask", tag="affected"):
    """Whom events befell in a split."""

    question: AffectedQuestion


class AskDistribution(msgspec.Struct, frozen=True, tag_field="ask", tag="distribution"):
    """How the number of one measure is distributed."""

    question: SplitQuestion


class AskNames(msgspec.Struct, frozen=True, tag_field="ask", tag="names"):
    """The names of an app's events."""

    app: str


class AskRaw(msgspec.Struct, frozen=True, tag_field="ask", tag="raw"):
    """The events as such, by name, variant and bucket."""

    question: RawQuestion


class AskNewest(msgspec.Struct, frozen=True, tag_field="ask", tag="newest"):
    """The newest rows, of those that arrived after a cursor where one is given."""

    app: str
    event: str | None
    after: int | None
    limit: int


class AskExport(msgspec.Struct, frozen=True, tag_field="ask", tag="export"):
    """Write the rows of an app to a new file."""

    app: str
    path: str
    form: str
    since: int | None
    until: int | None


class AskImport(msgspec.Struct, frozen=True, tag_field="ask", tag="import"):
    """Take in rows, which were checked, and each of which has an id."""

    app: str
    rows: list[EventRow]


class AskErase(msgspec.Struct, frozen=True, tag_field="ask", tag="erase"):
    """Take out every row of a visitor, of one app or of all."""

    app: str | None
    visitor: str


class AskRemove(msgspec.Struct, frozen=True, tag_field="ask", tag="remove"):
    """Take out what arrived before the times of the apps, and of all others."""

    kept_since: dict[str, int]
    otherwise: int


class AskIntake(msgspec.Struct, frozen=True, tag_field="ask", tag="intake"):
    """What was accepted, duplicate and refused of an app."""

    app: str


class AskPing(msgspec.Struct, frozen=True, tag_field="ask", tag="ping"):
    """Who is there."""


class AskStop(msgspec.Struct, frozen=True, tag_field="ask", tag="stop"):
    """End, after the present batch."""


Ask = (
    AskReleases
    | AskCells
    | AskAffected
    | AskDistribution
    | AskNames
    | AskRaw
    | AskNewest
    | AskExport
    | AskImport
    | AskErase
    | AskRemove
    | AskIntake
    | AskPing
    | AskStop
)


class Pong(msgspec.Struct, frozen=True):
    """Who answers, and how far it has come."""

    version: str
    pid: int
    behind_bytes: int
    """Of the edge log and the spool, written and not yet taken in."""
    lost_lines: int = 0
    """Of the edge log, numbered and never come."""
    engine: str = ""
    """What keeps the ledger, without a password."""


class Stopping(msgspec.Struct, frozen=True):
    """It will end."""

    pid: int


class Failure(msgspec.Struct, frozen=True):
    """There is no answer, and why."""

    error: str = ""
    """Code of an error of the tree in `errors.py`; empty where what was read is an answer."""
    message: str = ""
