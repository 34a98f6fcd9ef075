"""Whom something befell that nobody wants, and in which variant: what the ledger is asked for the guardrails.

Invariants:
    * Everyone counts who was assigned, whether their cookie ever came back or not: a landing page that fails sees none.
    * A visitor counts once for each event, in the phase and the variant of their first assignment.
    * A visitor seen in two variants is in no cell.

Plain, so that JSON carries it to the ledger and back. Put by `services/rollout_figures`, answered by an engine in
`store`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectedQuestion:
    """Whom some events befell in a split."""

    app: str
    split: str
    phases: tuple[int, ...]
    variants: tuple[str, ...]
    """Slugs of branches; who was assigned in another phase, or to another variant, is left out."""
    events: tuple[str, ...]
    """Names that the platform gives, which begin with `$`."""
    until: int
    """Counts what came before the assignment + `until`, in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectedCell:
    """Whom one event befell in one variant."""

    event: str
    phase: int
    variant: str
    visitors: int
    """At least 1: a cell without visitors is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """All of them, as of one moment."""

    cells: tuple[AffectedCell, ...] = ()
    """In order of event, phase and variant."""
