"""The page of the rollouts says of each rule what the platform does, word for word.

Invariants:
    * Every rule by which something is decided stands on the page, and what it says there is what it says.
    * What stands on the page of rules is no other.
"""

import ast
import re
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from balancer.domain import bandit_decision, freeze, rollout_decision
from balancer.domain.app import AppName
from balancer.domain.bandit import Bandit
from balancer.domain.bandit_decision import BanditSeen
from balancer.domain.calendar import TimeZone
from balancer.domain.entry import ERROR, SLOW
from balancer.domain.freeze import Freeze, hold
from balancer.domain.hard_stop import Answers
from balancer.domain.hours import Hours
from balancer.domain.rollout import Goal, Plan, Rollout, RolloutState
from balancer.domain.rollout_decision import Finding, Guard, Seen, decide
from balancer.services import rollouts, schedule
from balancer.services.guards import guards_of
from balancer.services.rollout_figures import because
from balancer.stats.affected import Affected, AffectedCell
from balancer.stats.arm import Inconclusive, Reason
from balancer.stats.compare import Comparison
from balancer.stats.verdict import Aim, Look, Rule, variant_verdict
from domain.test_bandit import MASTER, TEST
from domain.test_bandit_decision import EVEN, TWO, arm
from domain.test_bandit_decision import seen as shares
from domain.test_rollout_decision import DAY, PASSED, rollout
from services.test_guards import split

PAGE = (Path(__file__).parents[1] / "docs" / "explanation" / "rollouts.md").read_text()
SEEN = PAGE.partition("## What you see of each rule")[2].partition("\n## ")[0]
OF_BANDITS = PAGE.partition("## Bandits")[2]
VIENNA = TimeZone("Europe/Vienna")
NOON = datetime(2026, 12, 23, 11, 0, tzinfo=UTC)
CHRISTMAS = Freeze(
    number=1,
    app=AppName("shop"),
    since=NOON - timedelta(days=1),
    until=NOON + timedelta(days=1),
    why="Christmas",
)
DECIDED = Plan(metric="purchase", auto_promote=True)
LAST = {"step": 3}


def rules_of(module: object) -> set[str]:
    """Return the rules that a module names: what is yielded with a reason, and what is given as `rule`."""
    tree = ast.parse(Path(str(module.__file__)).read_text())  # type: ignore[attr-defined]
    yielded = [
        node.value.elts[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple)
    ]
    given = [node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "rule"]
    named = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "LAST_STEP"
    ]
    found = [*yielded, *given, *named]
    return {node.value for node in found if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def rows(part: str = SEEN) -> dict[str, str]:
    """Return what a part of the page says that one sees, by rule, without the signs of its form."""
    found = re.findall(r"^\| ((?:`[a-z0-9 ]+`(?:, )?)+) \| (.*) \|$", part, flags=re.MULTILINE)
    said: defaultdict[str, str] = defaultdict(str)
    for names, words in found:
        for rule in re.findall(r"`([^`]+)`", names):
            said[rule] += words.replace("`", "")
    return dict(said)


def test_every_rule_stands_on_the_page_and_no_other() -> None:
    asked = {"paused", "resumed", "advanced", "promoted", "aborted"}
    there = set().union(*(rules_of(module) for module in (rollout_decision, freeze, schedule)), asked, {"split over"})
    assert set(rows()) == there
    assert rules_of(rollouts) <= asked
    for rule in rules_of(bandit_decision):
        assert f"`{rule}`" in OF_BANDITS


def guard(event: str) -> Guard:
    """Return what a guardrail says of 30 visitors beside 120 of the control, at a tenth of the weight."""
    counts = Affected(
        cells=tuple(
            AffectedCell(event=event, phase=1, variant=variant, visitors=visitors)
            for variant, visitors in (("test", 30), ("master", 120))
        )
    )
    return next(
        each for each in guards_of(split(1000), TEST, counts) if each.name == {ERROR: "errors", SLOW: "latency"}[event]
    )


def breached(of: Guard) -> Guard:
    return replace(of, log_e=rollout_decision.BREACHED)


def looked(comparison: Comparison | Inconclusive, aim: Aim = Aim.BETTER, visitors: int = 90) -> str:
    """Return why a look at the metric says what it does."""
    rule = Rule(aim=aim)
    look = Look(at=0, visitors=visitors, comparison=comparison)
    return because("test", variant_verdict("test", [look], rule), rule)


def compared(low: float, difference: float, high: float, p: float) -> Comparison:
    return Comparison(
        difference=difference,
        se=0.01,
        control_mean=0.1,
        low=low,
        high=high,
        log_e=0.0,
        p=p,
        alpha=0.05,
        visitors=2000,
        used=(1,),
        left_out=(),
    )


NOT_YET, BETTER, WORSE = (
    compared(-0.01, 0.01, 0.03, 0.4),
    compared(0.01, 0.03, 0.05, 0.0041),
    compared(-0.05, -0.03, -0.01, 0.0041),
)
FEW = Inconclusive(reason=Reason.FEW_MATURE)


def held(freezes: tuple[Freeze, ...] = (), *, at: datetime = NOON, doubtful: bool = False) -> Seen:
    hours = None if freezes else Hours("Mon-Fri 09:00-17:00")
    return replace(PASSED, hold=hold(AppName("shop"), hours, VIENNA, freezes, at, doubtful=doubtful))


@pytest.mark.parametrize(
    ("rule", "of", "seen"),
    [
        ("hard stop", rollout(), replace(PASSED, hard_stop=True, canary=Answers(failed=5, other=2))),
        ("health lost", rollout(), replace(PASSED, unhealthy_seconds=5.0)),
        ("crash loop", rollout(), replace(PASSED, crashes=3)),
        ("guardrail", rollout(), replace(PASSED, guards=(breached(guard(ERROR)),))),
        ("guardrail", rollout(), replace(PASSED, guards=(breached(guard(SLOW)),))),
        (
            "guardrail",
            rollout(),
            replace(
                PASSED,
                guards=(
                    Guard(
                        name="refunds",
                        log_e=rollout_decision.BREACHED,
                        p=0.0041,
                        figures="+0.03 beside 0.1 of the control",
                    ),
                ),
            ),
        ),
        ("metric", rollout(DECIDED), replace(PASSED, finding=Finding.ROLL_BACK, because=looked(WORSE))),
        ("paused", rollout(state=RolloutState.PAUSED), PASSED),
        ("other weights", rollout(), replace(PASSED, phase=2)),
        ("freeze", rollout(), held((CHRISTMAS,))),
        ("outside hours", rollout(), held(at=NOON + timedelta(hours=9))),
        ("clock was set", rollout(), held((CHRISTMAS,), doubtful=True)),
        ("sample ratio", rollout(), replace(PASSED, alarm=True, ratio_p=0.0004)),
        (
            "both fail",
            rollout(),
            replace(PASSED, canary_lately=Answers(failed=30, other=10), control_lately=Answers(failed=40, other=10)),
        ),
        ("not enough data", rollout(), replace(PASSED, visitors=12)),
        ("too soon", rollout(), replace(PASSED, step_seconds=60)),
        ("no verdict", rollout(DECIDED, **LAST), replace(PASSED, seconds=8 * DAY, because=looked(FEW))),
        ("no verdict", rollout(DECIDED, **LAST), replace(PASSED, seconds=8 * DAY, because=looked(NOT_YET))),
        (
            "no verdict",
            rollout(replace(DECIDED, goal=Goal.NOT_WORSE), **LAST),
            replace(PASSED, because=looked(NOT_YET, Aim.NOT_WORSE)),
        ),
        (
            "before 7 days",
            rollout(DECIDED, **LAST),
            replace(PASSED, seconds=4 * DAY, finding=Finding.SHIP, because=looked(BETTER)),
        ),
        ("last step", rollout(step=4), PASSED),
        ("step passed", rollout(), PASSED),
        ("fit for everybody", rollout(Plan(auto_promote=True), **LAST), PASSED),
        (
            "fit for everybody",
            rollout(DECIDED, **LAST),
            replace(PASSED, seconds=8 * DAY, finding=Finding.SHIP, because=looked(BETTER)),
        ),
    ],
)
def test_what_the_page_says_that_one_sees_of_a_rule_is_what_it_says(rule: str, of: Rollout, seen: Seen) -> None:
    action = decide(of, seen)
    assert action.rule == rule
    assert action.reason.replace("`", "") in rows()[rule]


@pytest.mark.parametrize(
    ("rule", "of", "seen"),
    [
        ("chances", TWO, shares(*EVEN)),
        ("small change", TWO, shares(arm(MASTER, 5000, 0.48), arm(TEST, 5000, 0.52))),
        ("not enough data", TWO, shares(*EVEN, lacks=Reason.FEW_VISITORS.value)),
        ("not enough data", TWO, shares(*EVEN, lacks=Reason.FEW_CONVERSIONS.value)),
        ("paused", replace(TWO, state=RolloutState.PAUSED), shares(*EVEN)),
        ("other weights", TWO, shares(*EVEN, phase=2)),
    ],
)
def test_so_is_what_it_says_of_bandits(rule: str, of: Bandit, seen: BanditSeen) -> None:
    action = bandit_decision.decide(of, seen)
    assert action.rule == rule
    assert action.reason.replace("`", "") in rows(OF_BANDITS)[rule]
