"""Clients without cookies as the errors guardrail counts them: each request as a visitor, or each address once an hour.

Shown by `make test ARGS='tests/stats/test_stranger_simulations.py -n 0 -s'`.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from balancer.stats.guardrail import ErrorCounts, guardrail

# A canary as a push begins it: 1, 5, 25 and 50 % for ten minutes each.
STEPS, STEP_SECONDS = (100, 500, 2500, 5000), 600
CANARIES = 100
ONCE_WITHIN_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Asked:
    """A request without a cookie."""

    second: float
    address: int


def hammering(dice: random.Random) -> Iterator[Asked]:
    """One client, ten times a second."""
    return (Asked(tenth / 10, 0) for tenth in range(len(STEPS) * STEP_SECONDS * 10))


def people(dice: random.Random) -> Iterator[Asked]:
    """Two new visitors a second, each at their own address."""
    return (Asked(half / 2, half) for half in range(len(STEPS) * STEP_SECONDS * 2))


def shared(dice: random.Random) -> Iterator[Asked]:
    """Two new visitors a second, who share 300 addresses."""
    return (Asked(half / 2, dice.randrange(300)) for half in range(len(STEPS) * STEP_SECONDS * 2))


def stopped_after(
    asked: Iterator[Asked], dice: random.Random, *, control_fails: bool, by_address: bool
) -> float | None:
    """Return after how many seconds a canary is rolled back whose page always fails; None: not at all."""
    counts = {step: [0, 0] for step in range(len(STEPS))}
    last: dict[int, float] = {}
    for each in asked:
        step = int(each.second // STEP_SECONDS)
        canary = dice.random() * 10_000 < STEPS[step]
        if not canary and not control_fails:
            continue
        again = each.second - last.get(each.address, -math.inf) < ONCE_WITHIN_SECONDS
        last[each.address] = each.second
        if by_address and again:
            continue
        counts[step][canary] += 1
        if canary and guardrail(errors(counts)).rolls_back:
            return each.second
    return None


def errors(counts: dict[int, list[int]]) -> Iterator[ErrorCounts]:
    for step, (control, canary) in counts.items():
        yield ErrorCounts(
            phase=step + 1,
            weight_treatment=STEPS[step],
            weight_control=10_000 - STEPS[step],
            treatment=canary,
            control=control,
        )


@pytest.mark.parametrize(
    ("who", "control_fails", "naive", "ours"),
    [
        pytest.param(hammering, False, (1.0, 1.0), (0.0, 0.0), id="one hostile client, and the canary alone fails"),
        pytest.param(people, False, (1.0, 1.0), (1.0, 1.0), id="people, and the canary alone fails"),
        pytest.param(shared, False, (1.0, 1.0), (1.0, 1.0), id="people behind 300 addresses, the canary alone fails"),
        pytest.param(people, True, (0.0, 0.03), (0.0, 0.03), id="people, and both fail"),
    ],
)
def test_one_client_cannot_have_a_canary_rolled_back_and_people_can(
    request: pytest.FixtureRequest,
    who: Callable[[random.Random], Iterator[Asked]],
    control_fails: bool,
    naive: tuple[float, float],
    ours: tuple[float, float],
) -> None:
    for by_address, (least, most) in ((False, naive), (True, ours)):
        dice = random.Random(20_261_126)
        canaries = 10 if control_fails else CANARIES  # each to its end, with an E at each error
        found = [
            stopped_after(who(dice), dice, control_fails=control_fails, by_address=by_address) for _ in range(canaries)
        ]
        stopped = sorted(seconds for seconds in found if seconds is not None)
        half = f"half of them within {stopped[len(stopped) // 2]:.0f} s" if stopped else "none"
        counted = "each address once an hour" if by_address else "each request"
        print(f"\n{request.node.callspec.id}: {counted}: {len(stopped)} of {canaries} stopped, {half}")
        assert least <= len(stopped) / canaries <= most
