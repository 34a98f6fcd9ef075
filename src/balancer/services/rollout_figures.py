"""The figures of a rollout: what the ledger, the proxy and the registry know of its branch just now.

Invariants:
    * Where the ledger does not answer, what the proxy counts is there all the same: a rollback stays armed.
    * Visitors and the sample ratio are of one answer of the ledger; whom errors befell is of the next one.
    * What is remembered here can be lost: a daemon that starts begins to count anew, which only makes it wait longer.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import Protocol

from balancer.clock import Clock
from balancer.domain.answered import Answered
from balancer.domain.app import AppName, BranchName
from balancer.domain.crashes import Crashes
from balancer.domain.hard_stop import Answers, five_in_a_row
from balancer.domain.manifest import WEB
from balancer.domain.metric import Better, Role
from balancer.domain.plan import Exit
from balancer.domain.release import LEAVING, InstanceState
from balancer.domain.rollout import Goal, Rollout, Watch
from balancer.domain.rollout_decision import Finding, Guard, Seen
from balancer.domain.routing import backend_name
from balancer.domain.snapshot import Snapshot
from balancer.domain.split import Split
from balancer.errors import LedgerUnavailable, ProxyFailed
from balancer.services.guards import guards_of, metric_guards, question_of
from balancer.services.interfaces import Ledger
from balancer.services.known_metrics import guardrails_of, names_of, unseen
from balancer.services.looks import read
from balancer.services.outcome import branches_of
from balancer.services.registry import Registry
from balancer.services.report import Report, counts_of
from balancer.services.reports import Reports
from balancer.stats.arm import Inconclusive
from balancer.stats.cells import SplitCells, SplitQuestion
from balancer.stats.srm import sample_ratio
from balancer.stats.verdict import Aim, Direction, Look, Rule, VariantVerdict, Verdict, variant_verdict

# 2 s, and 20 times as long as the last answer took: a rollout takes a twentieth of the ledger's time at most.
_LEDGER_SECONDS, _LEDGER_SHARE = 2.0, 20
# 30 s: meanwhile nobody looks at the proxy's counters; a report of millions of visitors takes a few.
_PATIENCE_SECONDS = 30.0
# 10 s: a report asks more of the ledger than the errors do, and a metric that gets worse is not an outage.
_LOOK_SECONDS = 10.0
# 5 s: as long as somebody who begins a rollout may wait to hear of a guardrail that nothing feeds.
_SOON_SECONDS = 5.0
_FINDINGS = {Verdict.SHIP: Finding.SHIP, Verdict.ROLL_BACK: Finding.ROLL_BACK}


class Counting(Protocol):
    """What is asked of the proxy here."""

    async def answers(self) -> Mapping[str, Answers]:
        """Return what each backend has answered since it was loaded. Raises ProxyFailed."""


class Ending(Protocol):
    """What is asked of the processes here."""

    @property
    def exits(self) -> Mapping[int, Exit]:
        """The latest end of each instance."""


@dataclass(slots=True)
class _Memory:
    """What was seen of one rollout until now."""

    release: int | None
    """Id of the branch's live release."""
    answered: Answered
    crashes: Crashes
    unhealthy_since: float | None = None
    asked_at: float | None = None
    took_seconds: float = 0.0
    judged: Seen | None = None
    """The ledger's part of the figures."""
    looked_at: float | None = None
    guards: tuple[Guard, ...] = ()
    """Of metrics."""
    unseen: tuple[str, ...] | None = None
    """Of guardrails whose events never came; None before the first look. Once all have come nobody asks again."""
    finding: tuple[Finding, str] = field(default=(Finding.UNDECIDED, "there was no look yet"))


class RolloutFigures:
    """Takes the figures that a decision is made of."""

    def __init__(
        self, registry: Registry, ledger: Ledger, reports: Reports, proxy: Counting, processes: Ending, clock: Clock
    ) -> None:
        self._registry = registry
        self._ledger = ledger
        self._reports = reports
        self._proxy = proxy
        self._processes = processes
        self._clock = clock
        self._memories: dict[int, _Memory] = {}

    async def begin(self, rollout: Rollout, snapshot: Snapshot) -> None:
        """Begin to count the answers of a rollout, before the first visitor gets its branch."""
        await self._memory(rollout, snapshot)

    def forget(self, rollout: Rollout) -> None:
        """Forget what was seen of a rollout that has ended."""
        self._memories.pop(rollout.number, None)

    async def of(self, rollout: Rollout, split: Split, snapshot: Snapshot, watch: Watch) -> Seen:
        """Return the figures of now."""
        memory = await self._memory(rollout, snapshot)
        canary, control = (backend_name(rollout.app, branch) for branch in (rollout.branch, split.control))
        answered = memory.answered
        answered.look(await self._counted(answered.counted), canary, control, self._clock.ticks())
        crashes = memory.crashes.see(
            self._processes.exits,
            _instances(snapshot, rollout.app, (rollout.branch, split.control)),
            self._clock.ticks(),
        )
        return replace(
            await self._judged(rollout, split, memory),
            seconds=watch.seconds,
            step_seconds=watch.step_seconds,
            hard_stop=five_in_a_row(answered.first),
            canary=answered.since(canary),
            control=answered.since(control),
            canary_lately=answered.lately(canary),
            control_lately=answered.lately(control),
            crashes=crashes[rollout.branch],
            control_crashes=crashes[split.control],
            unhealthy_seconds=self._unhealthy_seconds(
                memory, *(_is_healthy(snapshot, rollout.app, branch) for branch in (rollout.branch, split.control))
            ),
        )

    async def _memory(self, rollout: Rollout, snapshot: Snapshot) -> _Memory:
        live = snapshot.live(rollout.app).get(rollout.branch)
        release = live.id if live else None
        memory = self._memories.get(rollout.number)
        if memory is None or memory.release != release:  # each release has first requests of its own
            answered = Answered(await self._counted({}))
            memory = _Memory(release=release, answered=answered, crashes=Crashes(self._processes.exits))
            self._memories[rollout.number] = memory
        return memory

    async def _counted(self, before: Mapping[str, Answers]) -> Mapping[str, Answers]:
        try:
            return await self._proxy.answers()
        except ProxyFailed:  # it is started again, or does not get so far: health tells
            return before

    def _unhealthy_seconds(self, memory: _Memory, ours: bool, theirs: bool) -> float:
        """Return for how long the branch was not healthy while the control was: of both at once it is not to blame."""
        if ours or not theirs:
            memory.unhealthy_since = None
            return 0.0
        now = self._clock.ticks()
        memory.unhealthy_since = now if memory.unhealthy_since is None else memory.unhealthy_since
        return now - memory.unhealthy_since

    async def _judged(self, rollout: Rollout, split: Split, memory: _Memory) -> Seen:
        """Return what the ledger says: what it said before, where it was asked just now and the phase is the same."""
        now, judged = self._clock.ticks(), memory.judged
        pause = max(_LEDGER_SECONDS, _LEDGER_SHARE * memory.took_seconds)
        fresh = memory.asked_at is not None and 0 <= now - memory.asked_at < pause
        if judged is not None and judged.phase == split.phase.number and fresh:
            return judged
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                judged = await self._ask(rollout, split)
                if any(metric.role is Role.GUARDRAIL for metric in split.brief.metrics) or rollout.plan.metric:
                    await self._look(rollout, split, memory)
                    finding, because = memory.finding
                    guards = judged.guards + memory.guards
                    unseen = memory.unseen or ()
                    judged = replace(judged, finding=finding, because=because, guards=guards, unseen=unseen)
        except (LedgerUnavailable, TimeoutError) as reason:
            blind = str(reason) or f"the ledger has not answered within {_PATIENCE_SECONDS:.0f} s"
            judged = Seen(phase=split.phase.number, seconds=0, step_seconds=0, visitors=0, blind=blind)
        memory.judged, memory.asked_at, memory.took_seconds = judged, now, self._clock.ticks() - now
        return judged

    async def _ask(self, rollout: Rollout, split: Split) -> Seen:
        cells = await self._ledger.cells(
            SplitQuestion(
                app=str(split.app),
                split=str(split.id),
                phases=tuple(phase.number for phase in split.phases),
                variants=tuple(branch.slug for branch in branches_of(split)),
                measures=(),
                as_of=int(self._clock().astimezone(UTC).timestamp() * 1000),
            )
        )
        affected = await self._ledger.affected(question_of(split))
        visitors = _visitors(cells)
        ratio = sample_ratio(counts_of(split, phase, visitors) for phase in split.phases)
        return Seen(
            phase=split.phase.number,
            seconds=0,
            step_seconds=0,
            visitors=visitors[split.phase.number, rollout.branch.slug],
            guards=tuple(guards_of(split, rollout.branch, affected)),
            alarm=ratio.alarm,
            ratio_p=ratio.p,
        )

    async def unseen(self, split: Split) -> tuple[str, ...]:
        """Return what is to be said of guardrails of a split whose events never came; nothing where nobody knows."""
        try:
            async with asyncio.timeout(_SOON_SECONDS):
                return await self._unseen(split)
        except (LedgerUnavailable, TimeoutError):
            return ()

    async def _unseen(self, split: Split) -> tuple[str, ...]:
        guardrails = guardrails_of(split.brief.metrics)
        return unseen(guardrails, names_of(await self._ledger.names(str(split.app)))) if guardrails else ()

    async def _look(self, rollout: Rollout, split: Split, memory: _Memory) -> None:
        """Note what the report says of what decides, and of what must not get worse."""
        now = self._clock.ticks()
        if memory.looked_at is None or not 0 <= now - memory.looked_at < _LOOK_SECONDS:
            report = await self._reports.of(split.app, split.id)
            memory.guards, memory.looked_at = metric_guards(report, rollout.branch), now
            if memory.unseen != ():
                memory.unseen = await self._unseen(split)
            if rollout.plan.metric is None:
                return
            kept = map(read, await self._registry.looks(split.id))
            earlier = [
                look for each in kept if not each.alarm for name, look in each.variants if name == rollout.branch
            ]
            memory.finding = finding_of(rollout, split, report, earlier)


def finding_of(rollout: Rollout, split: Split, report: Report, earlier: list[Look]) -> tuple[Finding, str]:
    """Return what the looks at a split say of the branch of a rollout, by what that has to show, and why."""
    primary = split.brief.primary
    assert primary is not None, "a metric decides"
    if report.sample_ratio.alarm:
        return Finding.UNDECIDED, "the variants do not get the visitors that the weights intend"
    rule = Rule(
        direction=Direction.HIGHER if primary.better is Better.HIGHER else Direction.LOWER,
        aim=Aim.BETTER if rollout.plan.goal is Goal.BETTER else Aim.NOT_WORSE,
        margin=rollout.plan.margin,
    )
    latest = [each.shown.look for each in report.verdict.variants if each.variant == rollout.branch]
    looks = [*earlier, *(look for look in latest if look is not None)]
    verdict = variant_verdict(str(rollout.branch), looks, rule)
    return _FINDINGS.get(verdict.verdict, Finding.UNDECIDED), because(rollout.branch, verdict, rule)


def because(branch: str, verdict: VariantVerdict, rule: Rule) -> str:
    """Return why the looks at a branch say what they do, as a part of a sentence."""
    look = verdict.shown.look
    if look is None:
        return "there was no look yet"
    if isinstance(look.comparison, Inconclusive):
        return f"{look.visitors} mature visitors, and {look.comparison.reason.value}"
    said = {
        Verdict.SHIP: f"{branch} is {rule.shown}",
        Verdict.ROLL_BACK: f"{branch} is worse than the control",
    }.get(verdict.verdict, f"{branch} is not shown to be {rule.shown} yet")
    compared = look.comparison
    return f"{said}: {compared.difference:+.4g} ({compared.low:+.4g} to {compared.high:+.4g}, p {compared.p:.2g})"


def _instances(snapshot: Snapshot, app: AppName, branches: tuple[BranchName, ...]) -> dict[int, BranchName]:
    """Return the instances of what is live on some branches that are to run on, each with its branch."""
    live = snapshot.live(app)
    return {
        instance.id: branch
        for branch in branches
        if branch in live
        for instance in snapshot.instances_of(live[branch])
        if instance.state not in LEAVING
    }


def _is_healthy(snapshot: Snapshot, app: AppName, branch: BranchName) -> bool:
    """Tell whether an instance of what is live on a branch is healthy."""
    live = snapshot.live(app).get(branch)
    return live is not None and any(
        each.state is InstanceState.HEALTHY and each.type == WEB for each in snapshot.instances_of(live)
    )


def _visitors(cells: SplitCells) -> Counter[tuple[int, str]]:
    visitors: Counter[tuple[int, str]] = Counter()
    for cell in cells.exposed:
        visitors[cell.phase, cell.variant] += cell.visitors
    return visitors
