"""Looks at a split: what was seen of its primary metric at one time, kept with what it was made of.

Invariants:
    * A look has the mature visitors and what had arrived by its time: made again, it has the same figures.
    * What decides a split is kept before anybody is told of it.

A daily look is taken at the end of each day of the app's zone; one more whenever a report shows a decision.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import TypeAdapter

from balancer.domain.metric import Better, Metric
from balancer.domain.split import Split
from balancer.services.outcome import Terms, branches_of, compared_once, comparison_of
from balancer.services.strata import Strata
from balancer.stats.srm import SampleRatio
from balancer.stats.verdict import Direction, Look, Rule, SplitVerdict, Verdict, split_verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmFigures:
    """The mature visitors of a branch in a phase; what a comparison is made of."""

    phase: int
    branch: str
    visitors: int
    conversions: int
    mean: float
    m2: float
    """Σ (value − mean)²; of ratios and with CUPED, of the linear parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLook:
    """One look."""

    at: int
    """Milliseconds since 1970, UTC."""
    metric: str
    rule: Rule
    expected_visitors: int
    """N*."""
    sample_ratio_p: float
    alarm: bool
    """Whether the sample ratio alarmed; then the look decides nothing."""
    variants: tuple[tuple[str, Look], ...]
    """Branches that are not the control, each beside it."""
    arms: tuple[ArmFigures, ...]


_KEPT = TypeAdapter(KeptLook)


def rule_of(metric: Metric) -> Rule:
    """Return how looks at a metric become a verdict."""
    return Rule(direction=Direction.HIGHER if metric.better is Better.HIGHER else Direction.LOWER)


def look_at(strata: Strata, ratio: SampleRatio, terms: Terms, at: int) -> KeptLook:
    """Return what is seen of the primary metric of a split."""
    split = strata.split
    control = strata.mature(split.control).visitors
    others = [branch for branch in branches_of(split) if branch != split.control]
    arms: dict[tuple[int, str], ArmFigures] = {}
    for branch in others:
        for pair in strata.against_control(branch):
            for name, arm in ((split.control, pair.control), (branch, pair.treatment)):
                arms[pair.phase, name] = ArmFigures(
                    phase=pair.phase,
                    branch=str(name),
                    visitors=arm.n,
                    conversions=arm.conversions,
                    mean=arm.mean,
                    m2=arm.moments.m2,
                )
    return KeptLook(
        at=at,
        metric=str(strata.metric.name),
        rule=rule_of(strata.metric),
        expected_visitors=split.expected_visitors,
        sample_ratio_p=ratio.p,
        alarm=ratio.alarm,
        variants=tuple(
            (
                str(branch),
                Look(
                    at=at,
                    visitors=control + strata.mature(branch).visitors,
                    comparison=compared_once(strata, branch) if terms.fixed else comparison_of(strata, branch),
                ),
            )
            for branch in others
        ),
        arms=tuple(arms.values()),
    )


def verdict_of(split: Split, metric: Metric | None, kept: Iterable[KeptLook], ratio: SampleRatio) -> SplitVerdict:
    """Return what the looks at a split say; those at which the sample ratio alarmed say nothing."""
    if metric is None:
        reason = "no metric decides; one is named when a split or a rollout begins"
        if split.brief.rollout:
            reason = (
                "no metric decides: the rollout was begun without one, and goes by its guardrails alone "
                f"(`balancer rollout status {split.app}`)"
            )
        return SplitVerdict(
            verdict=Verdict.BROKEN_SPLIT if ratio.alarm else Verdict.KEEP_RUNNING,
            variant=None,
            reason="the variants do not get the visitors that the weights intend" if ratio.alarm else reason,
            variants=(),
        )
    looks: dict[str, list[Look]] = {str(branch): [] for branch in branches_of(split) if branch != split.control}
    for each in kept:
        if not each.alarm and each.metric == metric.name:
            for branch, look in each.variants:
                looks.setdefault(branch, []).append(look)
    return split_verdict(looks, ratio, rule_of(metric))


def decided_at(verdict: SplitVerdict) -> int | None:
    """Return the time of the look that made a verdict final; None where none has."""
    shown = {each.variant: each.shown for each in verdict.variants}
    if verdict.verdict is Verdict.SHIP and verdict.variant is not None:
        look = shown[verdict.variant].look
        return look.at if look else None
    if verdict.verdict is Verdict.ROLL_BACK:
        return max((each.look.at for each in shown.values() if each.look), default=None)
    return None


def text_of(look: KeptLook) -> str:
    """Return a look as JSON."""
    return _KEPT.dump_json(look).decode()


def read(text: str) -> KeptLook:
    """Return the look that `text_of` wrote."""
    return _KEPT.validate_json(text)
