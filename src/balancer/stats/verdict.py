"""The verdict on a split: what its looks say should be done.

Invariants:
    * A sample ratio that alarms comes before everything: what differs may be who was counted.
    * A verdict on a variant latches at the first look that gives it; no later look changes it or its interval.
    * Before that the latest look is shown, and p is the least there was: both are valid at every look.
    * The same looks give the same verdict, however often and in whichever order they are read.

A look is a daily close or a decision, taken on mature visitors and stored. The report and the rollout read verdicts.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from balancer.stats.arm import Inconclusive
from balancer.stats.compare import Comparison
from balancer.stats.srm import SampleRatio

# 2 %: a loss that most would accept for a change they want for another reason. It cannot be smaller for free: to
# exclude half of it takes four times the visitors.
MARGIN = 0.02


class Verdict(Enum):
    """What to do with a variant, or with the split."""

    SHIP = "ship"
    ROLL_BACK = "roll back"
    KEEP_RUNNING = "keep running"
    NOT_ENOUGH_DATA = "not enough data"
    BROKEN_SPLIT = "broken split"


class Direction(Enum):
    """Which way a metric is better."""

    HIGHER = "higher is better"
    LOWER = "lower is better"


class Aim(Enum):
    """What has to be shown of a variant before it is shipped."""

    BETTER = "superiority"
    NOT_WORSE = "non-inferiority"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How looks become a verdict; declared when the split starts."""

    direction: Direction = Direction.HIGHER
    aim: Aim = Aim.BETTER
    margin: float = MARGIN
    """The loss that `NOT_WORSE` accepts, as a part of the control's mean."""

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1:
            raise ValueError(f"a margin of {self.margin}: it has to lie between 0 and 1")

    @property
    def shown(self) -> str:
        """What is shown of a variant that is shipped, as a part of a sentence."""
        if self.aim is Aim.BETTER:
            return "better than the control"
        return f"not worse than the control by {self.margin * 100:.3g} %"

    def gain(self, comparison: Comparison) -> float:
        """Return the difference, above 0 where the variant is better."""
        return comparison.difference if self.direction is Direction.HIGHER else -comparison.difference

    def least_gain(self, comparison: Comparison) -> float:
        """Return the end of the interval that is worst for the variant, above 0 where all of it is better."""
        return comparison.low if self.direction is Direction.HIGHER else -comparison.high

    def of(self, comparison: Comparison | Inconclusive) -> Verdict:
        """Return what one look says of a variant."""
        if isinstance(comparison, Inconclusive):
            return Verdict.NOT_ENOUGH_DATA
        enough = 0.0 if self.aim is Aim.BETTER else -self.margin * abs(comparison.control_mean)
        if self.least_gain(comparison) > enough:
            return Verdict.SHIP
        return Verdict.ROLL_BACK if comparison.excludes_zero else Verdict.KEEP_RUNNING


# Higher is better, and only what is shown to be better is shipped.
DEFAULT_RULE = Rule()
_DECIDED = frozenset({Verdict.SHIP, Verdict.ROLL_BACK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One variant beside the control at one time."""

    at: int
    """Milliseconds since 1970, UTC."""
    visitors: int
    """The mature ones of both arms, in all phases, also in those that the comparison leaves out."""
    comparison: Comparison | Inconclusive

    @property
    def log_e(self) -> float | None:
        """ln E, None where the look is inconclusive or was the only one."""
        return None if isinstance(self.comparison, Inconclusive) else self.comparison.log_e

    @property
    def excludes_zero(self) -> bool:
        """Whether E ≥ 1/α."""
        return isinstance(self.comparison, Comparison) and self.comparison.excludes_zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Latched:
    """What is shown of the looks at one variant."""

    look: Look | None
    """The first that decided, else the latest; None where there is none."""
    p: float | None
    """The least up to that look; None where all of them were inconclusive."""
    final: bool
    """Whether the look decided: no later one changes what is shown."""


def latch(looks: Iterable[Look], *, decides: Callable[[Look], bool] = lambda look: look.excludes_zero) -> Latched:
    """Return the first of the looks, in their time, that `decides` (E ≥ 1/α if not given), else the latest."""
    least: float | None = None
    latest: Look | None = None
    for latest in sorted(looks, key=lambda look: look.at):
        if isinstance(latest.comparison, Comparison):
            least = latest.comparison.p if least is None else min(least, latest.comparison.p)
        if decides(latest):
            return Latched(look=latest, p=least, final=True)
    return Latched(look=latest, p=least, final=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantVerdict:
    """What the looks say of one variant."""

    variant: str
    verdict: Verdict
    shown: Latched


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitVerdict:
    """What the looks say of the split, by its primary metric."""

    verdict: Verdict
    variant: str | None
    """The one to ship; None with every other verdict."""
    reason: str
    """Why, as a part of a sentence."""
    variants: tuple[VariantVerdict, ...]
    """Without the control, in the order given."""


def variant_verdict(variant: str, looks: Iterable[Look], rule: Rule = DEFAULT_RULE) -> VariantVerdict:
    """Return what the looks say of one variant, by the first that ships it or rolls it back."""
    shown = latch(looks, decides=lambda look: rule.of(look.comparison) in _DECIDED)
    return VariantVerdict(
        variant=variant,
        verdict=rule.of(shown.look.comparison) if shown.look else Verdict.NOT_ENOUGH_DATA,
        shown=shown,
    )


def split_verdict(looks: Mapping[str, Iterable[Look]], ratio: SampleRatio, rule: Rule = DEFAULT_RULE) -> SplitVerdict:
    """Return the verdict on a split from the looks at each variant but the control.

    Shipped is the variant that was first shown to be fit for it; of several at one look the one with the largest gain,
    which is not to say that it was shown to be better than the others. The control stays where every variant is worse.
    """
    variants = tuple(variant_verdict(variant, each, rule) for variant, each in looks.items())
    if ratio.alarm:
        broken = tuple(replace(each, verdict=Verdict.BROKEN_SPLIT) for each in variants)
        reason = "the variants do not get the visitors that the weights intend"
        return SplitVerdict(verdict=Verdict.BROKEN_SPLIT, variant=None, reason=reason, variants=broken)
    fit = [each for each in variants if each.verdict is Verdict.SHIP]
    if fit:
        winner = min(fit, key=lambda each: _place(each, rule))
        return SplitVerdict(
            verdict=Verdict.SHIP,
            variant=winner.variant,
            reason=f"{winner.variant} is {rule.shown}",
            variants=variants,
        )
    verdicts = {each.verdict for each in variants}
    if verdicts == {Verdict.ROLL_BACK}:
        verdict, reason = Verdict.ROLL_BACK, "every variant is worse than the control"
    elif verdicts <= {Verdict.NOT_ENOUGH_DATA}:
        verdict, reason = Verdict.NOT_ENOUGH_DATA, _lack(variants)
    else:
        verdict, reason = Verdict.KEEP_RUNNING, f"no variant is shown to be {rule.shown} yet"
    return SplitVerdict(verdict=verdict, variant=None, reason=reason, variants=variants)


def _place(variant: VariantVerdict, rule: Rule) -> tuple[int, float]:
    look = variant.shown.look
    assert look
    assert isinstance(look.comparison, Comparison)
    return look.at, -rule.gain(look.comparison)


def _lack(variants: Iterable[VariantVerdict]) -> str:
    """Return what the variants lack: the reason of the first that has one."""
    for variant in variants:
        if variant.shown.look and isinstance(variant.shown.look.comparison, Inconclusive):
            return variant.shown.look.comparison.reason.value
    return "there was no look yet"
