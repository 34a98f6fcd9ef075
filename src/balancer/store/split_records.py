"""Splits in the registry, as its callers see them; their Protocol tells what each method means.

Invariant: a method is one transaction, of which what people are told of it is a part.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from balancer.domain.app import AppName, BranchName
from balancer.domain.notice import Notice, split_began, split_ended, went_live
from balancer.domain.split import Brief, Split, SplitId
from balancer.store import looks, releases, splits
from balancer.store.transactions import Transactions

_NO_BRIEF = Brief()


class SplitRecords(Transactions):
    """What the registry knows of splits."""

    async def start_split(
        self,
        app: AppName,
        weights: Mapping[BranchName, int],
        control: BranchName,
        expected_visitors: int,
        brief: Brief = _NO_BRIEF,
        *,
        activating: int | None = None,
    ) -> Split:
        """Begin a split, and make a release live with it.

        Raises SplitRunning, BranchNotFound, AppNotFound, InvalidWeights, IllegalTransition, ReleaseNotFound.
        """
        now = self._clock()

        def starting(connection: Connection) -> Split:
            if activating is not None:
                self._tell(connection, went_live(releases.activate(connection, activating, now)))
            begun = splits.start(connection, app, weights, control, expected_visitors, now, brief)
            self._tell(connection, split_began(begun))
            return begun

        return await self._transact(starting)

    async def set_weights(self, app: AppName, weights: Mapping[BranchName, int]) -> Split:
        """Begin a new phase. Raises SplitNotFound, BranchNotFound, InvalidWeights, AppNotFound."""
        return await self._transact(splits.set_weights, app, weights, self._clock())

    async def pause_split(self, app: AppName) -> Split:
        """Assign nobody new. Raises SplitNotFound, AppNotFound, IllegalTransition."""
        return await self._transact(splits.pause, app)

    async def resume_split(self, app: AppName) -> Split:
        """Assign visitors again. Raises SplitNotFound, AppNotFound, IllegalTransition."""
        return await self._transact(splits.resume, app)

    async def conclude_split(self, app: AppName, winner: BranchName) -> Split:
        """End the split with a winner, which visitors see; a branch that was made for it is taken down.

        Raises SplitNotFound, AppNotFound, BranchNotFound, InvalidSplit.
        """
        now = self._clock()

        def concluding(connection: Connection) -> Split:
            ended = splits.conclude(connection, app, winner, now)
            splits.take_down(connection, ended, now)
            self._tell(connection, split_ended(ended))
            return ended

        return await self._transact(concluding)

    async def cancel_split(self, app: AppName) -> Split:
        """End the split without a winner; a branch that was made for it is taken down.

        Raises SplitNotFound, AppNotFound.
        """
        now = self._clock()

        def cancelling(connection: Connection) -> Split:
            ended = splits.cancel(connection, app, now)
            splits.take_down(connection, ended, now)
            self._tell(connection, split_ended(ended))
            return ended

        return await self._transact(cancelling)

    async def reshuffle_split(self, app: AppName) -> Split:
        """End the split and begin it again with another id. Raises SplitNotFound, AppNotFound, BranchNotFound."""
        now = self._clock()

        def reshuffling(connection: Connection) -> Split:
            begun = splits.reshuffle(connection, app, now)
            self._tell(connection, split_began(begun))
            return begun

        return await self._transact(reshuffling)

    async def split(self, app: AppName, split: SplitId | None = None) -> Split:
        """Return one split, the newest where none is named. Raises SplitNotFound, AppNotFound."""
        if split is None:
            return await self._transact(splits.latest, app)
        return await self._transact(splits.of_id, app, split)

    async def splits(self, app: AppName) -> tuple[Split, ...]:
        """Return every split of an app, the newest first. Raises AppNotFound."""
        return await self._transact(splits.every, app)

    async def keep_look(self, split: SplitId, at: datetime, body: str, told: Sequence[Notice] = ()) -> None:
        """Keep a look, and with it what is to be told of it; one of that time stays as it is."""

        def keeping(connection: Connection) -> None:
            looks.keep(connection, split, at, body)
            self._tell(connection, *told)

        await self._transact(keeping)

    async def looks(self, split: SplitId) -> tuple[str, ...]:
        """Return the looks at a split, the oldest first."""
        return await self._transact(looks.of, split)

    async def keep_report(self, split: SplitId, body: str) -> str:
        """Keep the report of a split that is over, and return the first one that was kept."""
        return await self._transact(looks.keep_report, split, body)

    async def kept_report(self, split: SplitId) -> str | None:
        """Return the report of a split that is over, None where it was not made yet."""
        return await self._transact(looks.report, split)

    async def splits_without_report(self) -> tuple[Split, ...]:
        """Return every split that is over and of which no report is kept, oldest first."""
        return await self._transact(splits.without_report)
