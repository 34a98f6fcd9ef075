"""Sent events: what a server says that visitors did, in batches. Pure.

Invariants:
    * Every event of a batch is accepted or refused with a reason, and its place in the batch.
    * What becomes of an event does not depend on those beside it.
    * What was accepted is within the limits: nobody has to check it again.

Checked by `domain/sent_check.py`, kept by the spool until the ledger has it.
"""

import msgspec

from balancer.domain.entry import Reason

BATCH_LIMIT = 10_000
"""Events that one batch may have."""
DIMS_LIMIT = 8
"""Dimensions that one event may have."""
DIM_NAME_LIMIT = 32
DIM_TEXT_LIMIT = 64
# 7 days, as long as an id is remembered: what is older could not be told from a repetition.
PAST_MILLISECONDS = 7 * 86_400_000
# 5 minutes: the clocks of two machines differ by that much before somebody mends one of them.
FUTURE_MILLISECONDS = 5 * 60_000


class SentEvent(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One event that was accepted; it belongs to a visitor, whichever split they are in.

    An array in JSON, because the spool writes a hundred thousand a second.
    """

    visitor: str
    ts: int
    """Milliseconds since 1970, UTC."""
    name: str
    value: float | None
    id: str | None
    dims: str | None
    """A JSON object of texts, its keys sorted."""


class Refusal(msgspec.Struct, frozen=True):
    """One event that was not, and why."""

    index: int
    """Its place in the batch, from 0 on."""
    reason: Reason
    message: str


class SentBatch(msgspec.Struct, frozen=True):
    """What was made of a batch, as the spool keeps it: all of it in one line."""

    app: str
    events: list[SentEvent]
    refused: dict[Reason, int]
