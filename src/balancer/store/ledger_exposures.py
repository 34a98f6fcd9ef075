"""First exposures: of each visitor in each split the earliest assignment seen, and whether it was the only one.

Invariant: what is kept does not depend on the order in which exposures come, nor on how they are cut into batches.

Used by the loader of the embedded engine.
"""

from collections.abc import Iterator

import msgspec

MERGE_EXPOSURES = """
MERGE INTO exposures AS known USING read_json($file, format = 'newline_delimited', columns = {
    app: 'INTEGER', split: 'INTEGER', visitor: 'UUID',
    assigned_at: 'BIGINT', phase: 'INTEGER', variant: 'VARCHAR', multiple: 'BOOLEAN'}) AS seen
ON known.app = seen.app AND known.split = seen.split AND known.visitor = seen.visitor
WHEN MATCHED
    AND (seen.assigned_at, seen.phase, seen.variant) < (known.assigned_at, known.phase, known.variant)
    THEN UPDATE SET assigned_at = seen.assigned_at, phase = seen.phase, variant = seen.variant,
                    multiple = known.multiple OR seen.multiple OR seen.variant <> known.variant
WHEN MATCHED AND NOT known.multiple AND (seen.multiple OR seen.variant <> known.variant)
    THEN UPDATE SET multiple = true
WHEN NOT MATCHED THEN INSERT BY NAME
"""
"""Joins what a batch says of visitors with what the table `exposures` knows; reads it as JSON from `$file`."""


class FirstExposure(msgspec.Struct, gc=False):
    """What a batch says of one visitor in one split."""

    app: int
    split: int
    visitor: str
    assigned_at: int
    phase: int
    variant: str
    multiple: bool = False

    def join(self, other: "FirstExposure") -> None:
        """Keep the earlier of two, and whether there were two variants."""
        self.multiple = self.multiple or self.variant != other.variant
        if (other.assigned_at, other.phase, other.variant) < (self.assigned_at, self.phase, self.variant):
            self.assigned_at, self.phase, self.variant = other.assigned_at, other.phase, other.variant


class FirstExposures:
    """Those of one batch."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int, str], FirstExposure] = {}

    def see(self, exposure: FirstExposure) -> None:
        """Add one."""
        self._seen.setdefault((exposure.app, exposure.split, exposure.visitor), exposure).join(exposure)

    def __len__(self) -> int:
        """Return of how many visitors they are, in each split."""
        return len(self._seen)

    def __iter__(self) -> Iterator[FirstExposure]:
        """Give one for each visitor and split."""
        return iter(self._seen.values())
