"""A ledger in this process, as the services ask it."""

from collections.abc import Awaitable, Callable, Sequence

from balancer.errors import LedgerUnavailable
from balancer.stats.affected import Affected, AffectedQuestion
from balancer.stats.cells import EventNames, SplitCells, SplitQuestion
from balancer.stats.raw import RawCells, RawQuestion
from balancer.stats.tally import Intake, Mark, ReleaseTally
from balancer.store.ledger import DuckLedger


class LocalLedger:
    """The embedded engine; while `away` it does not answer."""

    def __init__(self, engine: DuckLedger) -> None:
        self._engine = engine
        self.away = False
        self.asked: list[SplitQuestion] = []
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        """What somebody does while the next question about a split waits for its answer."""

    async def cells(self, question: SplitQuestion) -> SplitCells:
        """Return what is asked of a split."""
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            await meanwhile()
        self._answer()
        self.asked.append(question)
        return self._engine.cells(question)

    async def affected(self, question: AffectedQuestion) -> Affected:
        """Return whom events befell."""
        self._answer()
        return self._engine.affected(question)

    async def names(self, app: str) -> EventNames:
        """Return the names of an app's events."""
        self._answer()
        return self._engine.names(app)

    async def releases(
        self, *, app: str, split: str, phases: Sequence[int], variants: Sequence[str], marks: Sequence[Mark]
    ) -> ReleaseTally:
        """Return a split by release."""
        self._answer()
        return self._engine.releases(app, split, phases, variants, marks)

    async def raw(self, question: RawQuestion) -> RawCells:
        """Count events."""
        self._answer()
        return self._engine.raw(question)

    async def intake(self, app: str) -> Intake:
        """Return what was taken in."""
        self._answer()
        return self._engine.intake(app)

    def _answer(self) -> None:
        if self.away:
            raise LedgerUnavailable("it does not listen")
