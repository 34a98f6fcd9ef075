"""Answers of the ledger, made for tests of the report."""

from collections.abc import Iterable
from dataclasses import dataclass

from balancer.domain.app import BranchName
from balancer.stats.cells import ExposedCell, MeasureCell, MeasureCells, SplitCells
from balancer.stats.comoments import CoMoments

DAY = 20_513
"""The day of the assignments, since 1970, where a test does not say: 2026-03-01."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The visitors of a branch in a phase, of whom each that converted gave `value` and twice that by turns."""

    branch: str
    visitors: int
    converted: int
    phase: int = 1
    value: float = 1.0
    even: bool = False
    """Whether each that converted gave the same."""
    mature: bool = True
    day: int = DAY
    bucket: str | None = None
    x: float = 0.0
    """Beside each number, as many as it is: the denominator of a ratio, or what was before."""

    @property
    def ys(self) -> list[float]:
        """Each visitor's number."""
        did = [self.value * (1 if self.even else 1 + turn % 2) for turn in range(self.converted)]
        return did + [0.0] * (self.visitors - self.converted)


def rates(*cells: tuple[int, str, int, int]) -> list[Part]:
    """Return the parts of (phase, branch, visitors, converted), each giving 1 or 0."""
    return [Part(phase=phase, branch=branch, visitors=n, converted=x, even=True) for phase, branch, n, x in cells]


def answer(names: Iterable[str], parts: Iterable[Part], *, multiple: int = 0) -> SplitCells:
    """Return what the ledger would say of these parts, the same for each measure."""
    parts = tuple(parts)
    cells = tuple(
        MeasureCell(
            phase=part.phase,
            variant=BranchName(part.branch).slug,
            day=part.day,
            bucket=part.bucket,
            mature=part.mature,
            events=part.converted,
            conversions=part.converted,
            moments=CoMoments.of(part.ys, [part.x] * part.visitors),
        )
        for part in parts
        if part.visitors
    )
    return SplitCells(
        exposed=tuple(
            ExposedCell(
                phase=part.phase,
                variant=BranchName(part.branch).slug,
                day=part.day,
                bucket=part.bucket,
                visitors=part.visitors,
            )
            for part in parts
        ),
        measures=tuple(MeasureCells(name=name, cells=cells) for name in names),
        multiple=multiple,
    )
