"""The lines of the spool: a batch of sent events in each, written by the daemon and read by the ledger.

Invariants:
    * A batch is one line, so that it is there or not, and never half of it.
    * Whatever the bytes are, reading a line raises nothing.
    * What was checked before it was written is not checked again.

Used by the API's side to write, by the ledger process to read.
"""

import msgspec

from balancer.domain.entry import NO_APP, Batch, Reason
from balancer.domain.sent import SentBatch

SUFFIX = ".ndjson"
LONGEST_LINE_BYTES = 32 << 20
"""Four times the longest body, because what is kept of an event has at most twice the length that was sent."""
_LINE = msgspec.json.Decoder(SentBatch)


def line_of(batch: SentBatch) -> bytes:
    """Return a batch as the line that it is, with its end."""
    return msgspec.json.encode(batch) + b"\n"


def read_line(line: bytes, batch: Batch) -> None:
    """Add to `batch` what one line, without its end, says."""
    try:
        said = _LINE.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        batch.refuse(NO_APP, Reason.NOT_A_LINE)
        return
    if said.events:
        batch.sent.append((said.app, said.events))
    for reason, count in said.refused.items():
        batch.refuse(said.app, reason, count)
