"""The figures of a bandit: what its arms earn, and which of them do harm, just now.

Invariants:
    * Each branch beside the control is watched by the guardrails of a rollout, whether the ledger answers or not.
    * Visitors, the sample ratio and what was earned are of one answer of the ledger.
    * What is remembered here can be lost: a daemon that starts asks anew.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC

from balancer.clock import Clock
from balancer.domain.app import BranchName
from balancer.domain.bandit import ARMS_LIMIT, Bandit
from balancer.domain.bandit_decision import ArmSeen, BanditSeen
from balancer.domain.metric import Better
from balancer.domain.rollout import Plan, Rollout, RolloutState, Watch
from balancer.domain.rollout_decision import What, decide
from balancer.domain.snapshot import Snapshot
from balancer.domain.split import Split
from balancer.errors import LedgerUnavailable
from balancer.services.bandit_decisions import Estimate, with_chances
from balancer.services.interfaces import Ledger
from balancer.services.measures import measure_of
from balancer.services.outcome import branches_of
from balancer.services.report import counts_of
from balancer.services.rollout_figures import RolloutFigures
from balancer.services.strata import NOTHING, Group, Strata
from balancer.stats.bandit import PhaseArms, that_count, will_carry
from balancer.stats.cells import MeasureCell, SplitQuestion
from balancer.stats.srm import sample_ratio
from balancer.stats.verdict import Direction

# 2 s, and 20 times as long as the last answer took, as of rollouts.
_LEDGER_SECONDS, _LEDGER_SHARE = 2.0, 20
# 30 s: meanwhile nobody looks at the guardrails.
_PATIENCE_SECONDS = 30.0
# As of a canary whose step never changes: what matters of it here is what rolls it back.
_WATCHED = Plan()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What was seen of a bandit at one time."""

    seen: BanditSeen
    estimate: Estimate | None
    """What the chances are made of; None where the ledger does not answer."""


@dataclass(slots=True)
class _Memory:
    """What the ledger said last of one bandit."""

    sight: Sight
    arms: tuple[BranchName, ...]
    asked_at: float
    took_seconds: float


class BanditFigures:
    """Takes the figures that a decision is made of."""

    def __init__(self, ledger: Ledger, guards: RolloutFigures, clock: Clock) -> None:
        """`guards` watches arms of bandits only: numbers of rollouts could be taken for those of arms."""
        self._ledger = ledger
        self._guards = guards
        self._clock = clock
        self._memories: dict[int, _Memory] = {}

    async def begin(self, bandit: Bandit, snapshot: Snapshot) -> None:
        """Begin to count the answers of each branch, before the first visitor gets it."""
        for branch in bandit.branches:
            await self._guards.begin(canary(bandit, branch), snapshot)

    def forget(self, bandit: Bandit) -> None:
        """Forget what was seen of a bandit that has ended."""
        self._memories.pop(bandit.number, None)
        for branch in bandit.branches:
            self._guards.forget(canary(bandit, branch))

    async def of(self, bandit: Bandit, split: Split, snapshot: Snapshot, watch: Watch) -> Sight:
        """Return the figures of now."""
        harms = {
            branch: await self._harm(bandit, branch, split, snapshot, watch)
            for branch in bandit.in_play
            if branch != bandit.control
        }
        sight = await self._earned(bandit, split)
        seen = replace(
            sight.seen,
            seconds=watch.seconds,
            step_seconds=watch.step_seconds,
            arms=tuple(replace(arm, harm=harms.get(BranchName(arm.branch))) for arm in sight.seen.arms),
        )
        return Sight(seen=seen, estimate=sight.estimate)

    async def _harm(
        self, bandit: Bandit, branch: BranchName, split: Split, snapshot: Snapshot, watch: Watch
    ) -> tuple[str, str] | None:
        """Return the rule by which a branch has to go, and why; None where nothing speaks against it."""
        if branch not in split.phase.weights:
            return "gone", "the branch was taken down"
        watched = canary(bandit, branch)
        action = decide(watched, await self._guards.of(watched, split, snapshot, watch))
        return (action.rule, action.reason) if action.what is What.ROLL_BACK else None

    async def _earned(self, bandit: Bandit, split: Split) -> Sight:
        """Return what the ledger says: what it said before, where it was asked just now of the same phase and arms."""
        now, memory = self._clock.ticks(), self._memories.get(bandit.number)
        if memory is not None:
            same = memory.sight.seen.phase == split.phase.number and memory.arms == bandit.in_play
            if same and 0 <= now - memory.asked_at < max(_LEDGER_SECONDS, _LEDGER_SHARE * memory.took_seconds):
                return memory.sight
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                sight = await self._ask(bandit, split)
        except (LedgerUnavailable, TimeoutError) as reason:
            blind = str(reason) or f"the ledger has not answered within {_PATIENCE_SECONDS:.0f} s"
            sight = Sight(seen=replace(_nothing(bandit, split), blind=blind), estimate=None)
        self._memories[bandit.number] = _Memory(
            sight=sight, arms=bandit.in_play, asked_at=now, took_seconds=self._clock.ticks() - now
        )
        return sight

    async def _ask(self, bandit: Bandit, split: Split) -> Sight:
        metric = split.brief.primary
        assert metric is not None, "a bandit has a metric"
        cells = await self._ledger.cells(
            SplitQuestion(
                app=str(split.app),
                split=str(split.id),
                phases=tuple(phase.number for phase in split.phases),
                variants=tuple(branch.slug for branch in branches_of(split)),
                measures=(measure_of(metric),),
                as_of=int(self._clock().astimezone(UTC).timestamp() * 1000),
            )
        )
        visitors: Counter[tuple[int, str]] = Counter()
        for cell in cells.exposed:
            visitors[cell.phase, cell.variant] += cell.visitors
        ratio = sample_ratio(counts_of(split, phase, visitors) for phase in split.phases)
        (measured,) = cells.measures
        strata = Strata(split, metric, measured.cells)
        everybody = _by_phase(strata, bandit.in_play, measured.cells)
        mature = _by_phase(strata, bandit.in_play, tuple(cell for cell in measured.cells if cell.mature))
        counting, young_too = that_count(mature, everybody)
        lacks = will_carry(everybody[-1], counting)
        estimate = Estimate(
            metric=str(metric.name),
            direction=Direction.HIGHER if metric.better is Better.HIGHER else Direction.LOWER,
            phases=counting,
        )
        number = split.phase.number
        nothing = _nothing(bandit, split)
        seen = replace(
            nothing,
            arms=tuple(replace(arm, visitors=visitors[number, BranchName(arm.branch).slug]) for arm in nothing.arms),
            young_too=young_too,
            lacks=lacks.value if lacks else None,
            alarm=ratio.alarm,
            ratio_p=ratio.p,
        )
        # In a thread: of ten arms it takes 122 ms, in which the daemon would answer nobody.
        return Sight(seen=await asyncio.to_thread(with_chances, seen, estimate), estimate=estimate)


def canary(bandit: Bandit, branch: BranchName) -> Rollout:
    """Return an arm as the canary that the guardrails of a rollout watch."""
    return Rollout(
        number=bandit.number * ARMS_LIMIT + bandit.branches.index(branch),
        app=bandit.app,
        branch=branch,
        split=bandit.split,
        plan=_WATCHED,
        state=RolloutState.RUNNING,
        step=0,
        phase=bandit.phase,
        watch=bandit.watch,
    )


def _nothing(bandit: Bandit, split: Split) -> BanditSeen:
    """Return the figures without what the ledger says."""
    arms = tuple(ArmSeen(branch=str(each), weight=split.phase.weights.get(each, 0)) for each in bandit.in_play)
    return BanditSeen(phase=split.phase.number, seconds=0, step_seconds=0, arms=arms)


def _by_phase(strata: Strata, arms: tuple[BranchName, ...], cells: tuple[MeasureCell, ...]) -> tuple[PhaseArms, ...]:
    """Return the arms of every phase of the split; without CUPED, which narrows intervals and moves no mean."""
    groups: dict[tuple[int, str], Group] = {}
    for cell in cells:
        key = (cell.phase, cell.variant)
        groups[key] = groups.get(key, NOTHING) + cell
    return tuple(
        PhaseArms(
            phase=phase.number,
            arms=tuple(strata.arm(groups.get((phase.number, arm.slug), NOTHING)) for arm in arms),
        )
        for phase in strata.split.phases
    )
