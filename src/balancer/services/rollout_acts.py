"""What is done with a rollout once it is decided: a step, a rollback, a promotion.

Invariants:
    * What is decided and what that does to the split are one transaction, and the proxy follows the registry: whenever
      the daemon dies, no step is lost and none is taken twice.
    * A promotion that was begun is finished once, also by the next daemon, and where several want to finish it.
    * What nobody has asked for just then is in the audit log, once, by the same transaction; so is what
      people are told.

Used by `rollouts`, which decides.
"""

from dataclasses import replace

from balancer import logs
from balancer.clock import Clock
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import BranchName
from balancer.domain.audit import AuditEntry
from balancer.domain.merge import Merge
from balancer.domain.rollout import Rollout, RolloutState, Watch
from balancer.domain.rollout_audit import moved as moved_entry
from balancer.domain.rollout_decision import LAST_STEP, Action, Seen, What
from balancer.domain.rollout_notice import rollout_ended, rollout_moved, rollout_ready, rollout_rolled_back
from balancer.domain.split import CANARY, OVER, Split
from balancer.errors import BalancerError, BranchNotFound, IllegalTransition
from balancer.services.decisions import decided, read, text_of
from balancer.services.interfaces import Tell, to_nobody
from balancer.services.promotion import Promotions
from balancer.services.reconcile import Reconciler
from balancer.services.refs import Refs
from balancer.services.rollout_figures import RolloutFigures
from balancer.services.rollout_registry import RolloutRegistry

log = logs.named("rollout")
# A minute: what a daemon that is killed may forget of how long a rollout has gone on.
_NOTED_SECONDS = 60.0


class RolloutActs:
    """Carries decisions out."""

    def __init__(
        self,
        registry: RolloutRegistry,
        reconciler: Reconciler,
        promotions: Promotions,
        figures: RolloutFigures,
        refs: Refs,
        *,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._reconciler = reconciler
        self._promotions = promotions
        self._figures = figures
        self._refs = refs
        self._clock = clock

    async def carry_out(
        self, rollout: Rollout, watch: Watch, seen: Seen, action: Action, before: Action | None
    ) -> None:
        """Do what the figures say; `before` is what they said at the look before, None where nobody remembers.

        Raises IllegalTransition where the rollout has moved on meanwhile.
        """
        match action.what:
            case What.WAIT:
                await self._wait(rollout, watch, seen, action, before)
            case What.ADVANCE:
                await self._advance(rollout, watch, seen, action)
            case What.ROLL_BACK:
                await self._roll_back(rollout, watch, seen, action)
            case What.PROMOTE:
                await self.finish(await self.win(rollout, seen, action), to_nobody)

    async def _wait(self, rollout: Rollout, watch: Watch, seen: Seen, action: Action, before: Action | None) -> None:
        if before is None:
            kept = await self._registry.decisions(rollout.number)
            before = read(kept[-1]).action if kept else None
        if before is None or (before.what, before.rule) != (action.what, action.rule):
            after = replace(rollout, watch=watch)
            told = [rollout_ready(after, action)] if action.rule == LAST_STEP else []
            await self._registry.move_rollout(rollout, after, self.decision(rollout, seen, action), told=told)
            log.info("rollout.waits", app=rollout.app, branch=rollout.branch, rule=action.rule, reason=action.reason)
        elif watch.seconds - rollout.watch.seconds >= _NOTED_SECONDS:
            await self._registry.note_watch(rollout.number, watch)

    async def _advance(self, rollout: Rollout, watch: Watch, seen: Seen, action: Action) -> None:
        assert action.step is not None
        after = replace(rollout, step=action.step, watch=watch.next_step())
        moved = await self._registry.move_rollout(
            rollout,
            after,
            self.decision(rollout, seen, action),
            weight=after.weight,
            noted=self._entry(after, action.rule, action.reason),
            told=[rollout_moved(after, action)],
        )
        passed(CrashPoint.ROLLOUT_MOVED)
        self._say(moved, action)
        await self._reconciler.converge()

    async def _roll_back(self, rollout: Rollout, watch: Watch, seen: Seen, action: Action) -> None:
        harmed = (await self._registry.snapshot()).live(rollout.app).get(rollout.branch)
        after = replace(rollout, state=RolloutState.ROLLED_BACK, watch=watch, reason=action.reason)
        moved = await self._registry.move_rollout(
            rollout,
            after,
            self.decision(rollout, seen, action),
            weight=0,
            noted=self._entry(after, action.rule, action.reason),
            told=[rollout_rolled_back(after, action, harmed)],
        )
        passed(CrashPoint.ROLLOUT_MOVED)
        self._figures.forget(moved)  # what was seen of it last is shown
        log.error(
            "rollout.rolled.back",
            app=moved.app,
            branch=moved.branch,
            split=moved.split,
            rule=action.rule,
            reason=action.reason,
        )
        if moved.branch == CANARY:
            passed(CrashPoint.CANARY_TAKEN_BACK)
        await self._reconciler.converge()
        await self.taken_back(moved)

    async def win(self, rollout: Rollout, seen: Seen | None, action: Action) -> Rollout:
        """End the split: everybody sees the branch; without figures an operator wants it so."""
        after = replace(rollout, state=RolloutState.PROMOTING, watch=self.watch(rollout), reason=action.reason)
        decision = self.decision(rollout, seen, action)
        noted = None if seen is None else self._entry(after, action.rule, action.reason)
        moved = await self._registry.end_rollout(rollout, after, decision, winner=rollout.branch, noted=noted)
        passed(CrashPoint.ROLLOUT_MOVED)
        self._say(moved, action)
        await self._reconciler.converge()
        return moved

    async def finish(self, rollout: Rollout, tell: Tell, *, default: BranchName | None = None) -> Rollout:
        """Make the branch the default branch's release, as far as that can be done.

        `default` is the default branch, where it is the caller's turn on it.
        """
        reason = rollout.reason
        try:
            if default is None:
                promoted = await self._promotions.promote(rollout.app, tell)
            else:
                promoted = await self._promotions.promote_in_turn(rollout.app, default, tell)
            if isinstance(promoted, Merge):
                reason = f"{reason}; {promoted}"
            else:
                reason = f"{reason}; it is release {promoted.number} of {promoted.branch}, and `balancer rollback "
                reason += f"{rollout.app}` goes back"
        except BranchNotFound:  # it has happened before we died, or somebody has pushed the default branch meanwhile
            if instead := await self._pushed_instead(rollout):
                reason = f"{reason}; {instead}"
                tell(f"       {instead}")
        except BalancerError as error:
            reason = f"{reason}; visitors see it, but it is not the default branch's release: {error}"
            log.error("rollout.not.promoted", app=rollout.app, branch=rollout.branch, reason=str(error))
        after = replace(rollout, state=RolloutState.DONE, reason=reason)
        try:
            ended = await self._registry.move_rollout(rollout, after, None, told=[rollout_ended(after)])
        except IllegalTransition:  # somebody else has finished it meanwhile: the look, an operator, or the next push
            return await self._registry.rollout_of(rollout.split)
        passed(CrashPoint.ROLLOUT_ENDED)
        self._figures.forget(ended)
        log.info("rollout.done", app=ended.app, branch=ended.branch, split=ended.split, reason=reason)
        return ended

    async def _pushed_instead(self, rollout: Rollout) -> str | None:
        """Say that a push has taken the place of what was promoted; None where what is live is what has won."""
        app = await self._registry.app(rollout.app)
        live = (await self._registry.snapshot()).live(app.name)
        winner, default = live.get(rollout.branch), live.get(app.default_branch) if app.default_branch else None
        if winner is None or default is None or winner.commit == default.commit:
            return None
        return (
            f"{default.branch} was pushed meanwhile: visitors see its release {default.number}, and not "
            f"{rollout.branch}, which can be merged into it"
        )

    async def give_up(self, rollout: Rollout, split: Split) -> None:
        """End a rollout whose split is over, or has its branch no more."""
        over = f"the split {split.id} is {split.state.value}" if split.state in OVER else f"it is out of {split.id}"
        gone = rollout.branch not in (await self._registry.snapshot()).live(rollout.app)
        # A canary goes with its split, and not before it.
        reason = f"{rollout.branch} was taken down, and {over}" if gone and rollout.branch != CANARY else over
        after = replace(rollout, state=RolloutState.ABORTED, watch=self.watch(rollout), reason=reason)
        ended = await self._registry.move_rollout(
            rollout, after, None, noted=self._entry(after, "split over", reason), told=[rollout_ended(after)]
        )
        self._figures.forget(ended)
        log.info("rollout.aborted", app=ended.app, branch=ended.branch, split=ended.split, reason=ended.reason)
        await self.taken_back(ended)

    async def taken_back(self, rollout: Rollout) -> None:
        """Let git know that nobody is given a branch any more, where that is a canary."""
        if rollout.branch == CANARY:
            await self._refs.settle_default(rollout.app)

    def _entry(self, after: Rollout, rule: str, reason: str) -> AuditEntry:
        """Return what the audit log is to say of what the platform does by itself."""
        return moved_entry(after, rule, reason, self._clock())

    def watch(self, rollout: Rollout) -> Watch:
        """Return how long a rollout has gone on by now."""
        return rollout.watch.at(self._clock.ticks())

    def decision(self, rollout: Rollout, seen: Seen | None, action: Action) -> str:
        """Return what is to be kept of a decision."""
        return text_of(decided(rollout, seen, action, self._clock().isoformat()))

    def _say(self, rollout: Rollout, action: Action) -> None:
        log.info(
            "rollout.moved",
            app=rollout.app,
            branch=rollout.branch,
            split=rollout.split,
            step=rollout.step + 1,
            weight=rollout.part,
            rule=action.rule,
            reason=action.reason,
        )
