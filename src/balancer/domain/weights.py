"""Weights: how the visitors of a split are shared among its branches, in units of 0.01 %.

Invariant: the weights of a phase are of two branches or more and add up to 100 %.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation, Overflow

from balancer.domain.app import BranchName
from balancer.errors import InvalidWeights

WHOLE = 10_000
"""The weights of a phase add up to this: one is 0.01 %."""


def check_weights(weights: Mapping[BranchName, int]) -> None:
    """Raise InvalidWeights unless these are weights of two branches or more that add up to 100 %."""
    if len(weights) < 2:
        raise InvalidWeights("a split needs at least two branches, such as `master=50 test=50`")
    for branch, weight in weights.items():
        if not 0 <= weight <= WHOLE:
            raise InvalidWeights(f"the weight of {branch} is {percent(weight)}: from 0 to 100 % are possible")
    total = sum(weights.values())
    if total != WHOLE:
        raise InvalidWeights(f"the weights add up to {percent(total)}, not to 100 %")


def parse_weights(texts: Iterable[str]) -> dict[BranchName, int]:
    """Return the weights that words such as `master=50` and `test=49.95` give; raises InvalidWeights, InvalidName."""
    weights: dict[BranchName, int] = {}
    for text in texts:
        name, equals, share = text.rpartition("=")
        if not equals:
            raise InvalidWeights(f"{text!r} is no weight: write BRANCH=PERCENT, such as `master=50`")
        branch = BranchName(name)
        if branch in weights:
            raise InvalidWeights(f"{branch} is named twice")
        weights[branch] = parse_percent(share, f"weight of {branch}")
    check_weights(weights)
    return weights


def share_rest(said: Mapping[BranchName, int | None]) -> dict[BranchName, int]:
    """Return weights in which those that were not said share what the others leave evenly, to 0.01 %.

    Raises InvalidWeights where they leave nothing.
    """
    unsaid = [branch for branch, weight in said.items() if weight is None]
    rest = WHOLE - sum(weight for weight in said.values() if weight is not None)
    if unsaid and rest < len(unsaid):
        raise InvalidWeights(
            f"the other weights leave nothing to {', '.join(unsaid)}: say a weight for each branch, or smaller ones"
        )
    each, over = divmod(rest, max(len(unsaid), 1))
    even = {branch: each + (place < over) for place, branch in enumerate(unsaid)}
    return {branch: even[branch] if weight is None else weight for branch, weight in said.items()}


def parse_percent(text: str, what: str) -> int:
    """Return a percentage such as `49.95` or `5%` in units of 0.01 %; `what` is its name. Raises InvalidWeights."""
    try:
        units = Decimal(text.strip().removesuffix("%")) * 100
    except (InvalidOperation, Overflow):
        units = Decimal("NaN")
    if not units.is_finite():
        raise InvalidWeights(f"the {what}, {text!r}, is no number: write a percentage, such as 50")
    if units != units.to_integral_value():
        raise InvalidWeights(f"the {what}, {text}, is too fine: weights go in steps of 0.01 %")
    if not 0 <= units <= WHOLE:
        raise InvalidWeights(f"the {what} is {text}: from 0 to 100 % are possible")
    return int(units)


def hand_over(weights: Mapping[BranchName, int], gone: BranchName, heir: BranchName) -> dict[BranchName, int] | None:
    """Return weights without the branch `gone`, its share added to that of `heir`; None where only that one is left."""
    kept = {branch: weight for branch, weight in weights.items() if branch != gone}
    kept[heir] += weights[gone]
    return kept if len(kept) > 1 else None


def percent(weight: int) -> str:
    """Return a weight for people, such as `49.95 %`."""
    return f"{Decimal(weight) / 100:.2f}".rstrip("0").rstrip(".") + " %"


def shares(weights: Mapping[BranchName, int]) -> str:
    """Return weights for people, such as `master 50 %, test 50 %`."""
    return ", ".join(f"{branch} {percent(weight)}" for branch, weight in weights.items())
