"""What is done with a bandit once it is decided: other weights, an arm taken out, the end.

Invariants:
    * What is decided and what that does to the split are one transaction, and the proxy follows the registry: whenever
      the daemon dies, no change of weights is lost and none is made twice.
    * A promotion that was begun is finished once, also by the next daemon, and where several want to finish it.
    * What nobody has asked for just then is in the audit log, once, by the same transaction; so is what
      people are told.

Used by `bandits`, which decides.
"""

from dataclasses import replace

from balancer import logs
from balancer.clock import Clock
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import BranchName
from balancer.domain.bandit import Bandit, TakenOut
from balancer.domain.bandit_audit import ended as ended_entry
from balancer.domain.bandit_audit import moved as moved_entry
from balancer.domain.bandit_decision import BanditAction, BanditWhat
from balancer.domain.bandit_notice import bandit_ended, bandit_took_out
from balancer.domain.merge import Merge
from balancer.domain.rollout import RolloutState, Watch
from balancer.domain.split import OVER, Split
from balancer.errors import BalancerError, BranchNotFound, IllegalTransition
from balancer.services.bandit_decisions import decided, read, text_of
from balancer.services.bandit_figures import BanditFigures, Sight
from balancer.services.bandit_registry import BanditRegistry
from balancer.services.interfaces import Tell
from balancer.services.promotion import Promotions
from balancer.services.reconcile import Reconciler

log = logs.named("bandit")
# A minute: what a daemon that is killed may forget of how long weights have lasted.
_NOTED_SECONDS = 60.0


class BanditActs:
    """Carries decisions out."""

    def __init__(
        self,
        registry: BanditRegistry,
        reconciler: Reconciler,
        promotions: Promotions,
        figures: BanditFigures,
        *,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._reconciler = reconciler
        self._promotions = promotions
        self._figures = figures
        self._clock = clock

    async def carry_out(
        self, bandit: Bandit, watch: Watch, sight: Sight, action: BanditAction, before: BanditAction | None
    ) -> None:
        """Do what the figures say; `before` is what they said at the look before, None where nobody remembers.

        Raises IllegalTransition where the bandit has moved on meanwhile.
        """
        match action.what:
            case BanditWhat.WAIT:
                await self._wait(bandit, watch, sight, action, before)
            case BanditWhat.SHIFT:
                await self._shift(bandit, watch, sight, action)
            case BanditWhat.TAKE_OUT | BanditWhat.ROLL_BACK:
                await self._take_out(bandit, watch, sight, action)

    async def _wait(
        self, bandit: Bandit, watch: Watch, sight: Sight, action: BanditAction, before: BanditAction | None
    ) -> None:
        if before is None:
            kept = await self._registry.bandit_decisions(bandit.number)
            before = read(kept[-1]).action if kept else None
        if before is None or (before.what, before.rule) != (action.what, action.rule):
            await self._registry.move_bandit(bandit, replace(bandit, watch=watch), self.decision(bandit, sight, action))
            log.info("bandit.waits", app=bandit.app, split=bandit.split, rule=action.rule, reason=action.reason)
        elif watch.seconds - bandit.watch.seconds >= _NOTED_SECONDS:
            await self._registry.note_bandit_watch(bandit.number, watch)

    async def _shift(self, bandit: Bandit, watch: Watch, sight: Sight, action: BanditAction) -> None:
        after = replace(bandit, watch=watch.next_step())
        moved = await self._registry.move_bandit(
            bandit,
            after,
            self.decision(bandit, sight, action),
            weights=weights_of(action),
            noted=moved_entry(after, action, self._clock()),
        )
        passed(CrashPoint.BANDIT_MOVED)
        log.info(
            "bandit.weighted",
            app=moved.app,
            split=moved.split,
            phase=moved.phase,
            weights=dict(action.weights),
            reason=action.reason,
        )
        await self._reconciler.converge()

    async def _take_out(self, bandit: Bandit, watch: Watch, sight: Sight, action: BanditAction) -> None:
        live = (await self._registry.snapshot()).live(bandit.app)
        harmed = tuple(live[BranchName(branch)] for branch, _ in action.out if branch in live)
        gone = tuple(TakenOut(branch=BranchName(branch), reason=reason) for branch, reason in action.out)
        over = action.what is BanditWhat.ROLL_BACK
        after = replace(
            bandit,
            out=(*bandit.out, *gone),
            watch=watch.next_step(),
            state=RolloutState.ROLLED_BACK if over else bandit.state,
            reason=f"no branch beside {bandit.control} is left; {action.reason}" if over else None,
        )
        moved = await self._registry.move_bandit(
            bandit,
            after,
            self.decision(bandit, sight, action),
            weights=weights_of(action),
            noted=moved_entry(after, action, self._clock()),
            told=[bandit_took_out(after, action, harmed), *([bandit_ended(after)] if over else [])],
        )
        passed(CrashPoint.BANDIT_MOVED)
        log.error(
            "bandit.took.out",
            app=moved.app,
            split=moved.split,
            branches=[branch for branch, _ in action.out],
            rule=action.rule,
            reason=action.reason,
        )
        await self._reconciler.converge()
        if over:
            self._figures.forget(moved)

    async def win(self, bandit: Bandit, winner: BranchName, action: BanditAction) -> Bandit:
        """End the split: everybody sees the winner. Raises BranchNotFound where it takes no part, IllegalTransition."""
        after = replace(bandit, state=RolloutState.PROMOTING, watch=self.watch(bandit), reason=f"{winner} was promoted")
        moved = await self._registry.end_bandit(bandit, after, self.decision(bandit, None, action), winner=winner)
        passed(CrashPoint.BANDIT_MOVED)
        await self._reconciler.converge()
        return moved

    async def finish(self, bandit: Bandit, tell: Tell) -> Bandit:
        """Make the winner the default branch's release, as far as that can be done."""
        reason = bandit.reason
        try:
            promoted = await self._promotions.promote(bandit.app, tell)
            if isinstance(promoted, Merge):
                reason = f"{reason}; {promoted}"
            else:
                reason = f"{reason}; it is release {promoted.number} of {promoted.branch}, and `balancer rollback "
                reason += f"{bandit.app}` goes back"
        except BranchNotFound:  # it is the default branch, or has happened before we died, or that was pushed meanwhile
            pass
        except BalancerError as error:
            reason = f"{reason}; visitors see it, but it is not the default branch's release: {error}"
            log.error("bandit.not.promoted", app=bandit.app, split=bandit.split, reason=str(error))
        after = replace(bandit, state=RolloutState.DONE, reason=reason)
        try:
            return self._ended(await self._registry.move_bandit(bandit, after, None, told=[bandit_ended(after)]))
        except IllegalTransition:  # somebody else has finished it meanwhile: the look, or an operator
            return await self._registry.bandit(bandit.app)

    async def abort(self, bandit: Bandit, action: BanditAction) -> Bandit:
        """End it, and its split: everyone sees the control."""
        after = replace(bandit, state=RolloutState.ABORTED, watch=self.watch(bandit), reason=action.reason)
        decision = self.decision(bandit, None, action)
        ended = await self._registry.end_bandit(bandit, after, decision, winner=None, told=[bandit_ended(after)])
        passed(CrashPoint.BANDIT_MOVED)
        await self._reconciler.converge()
        return self._ended(ended)

    async def give_up(self, bandit: Bandit, split: Split) -> None:
        """End a bandit whose split is over."""
        assert split.state in OVER
        reason = f"the split {split.id} is {split.state.value}"
        after = replace(bandit, state=RolloutState.ABORTED, watch=self.watch(bandit), reason=reason)
        noted = ended_entry(after, reason, self._clock())
        told = [bandit_ended(after)]
        self._ended(await self._registry.move_bandit(bandit, after, None, noted=noted, told=told))

    def watch(self, bandit: Bandit) -> Watch:
        """Return how long a bandit has gone on by now."""
        return bandit.watch.at(self._clock.ticks())

    def decision(self, bandit: Bandit, sight: Sight | None, action: BanditAction) -> str:
        """Return what is to be kept of a decision."""
        seen, estimate = (sight.seen, sight.estimate) if sight else (None, None)
        return text_of(decided(bandit, seen, estimate, action, self._clock().isoformat()))

    def _ended(self, bandit: Bandit) -> Bandit:
        self._figures.forget(bandit)
        log.info("bandit.ended", app=bandit.app, split=bandit.split, state=bandit.state.value, reason=bandit.reason)
        return bandit


def weights_of(action: BanditAction) -> dict[BranchName, int]:
    """Return the weights of an action by branch."""
    return {BranchName(branch): weight for branch, weight in action.weights}
