"""Beginning: what a new split or rollout does to visitors, told before it begins.

Invariant: what is told is what the proxy and the platform do. No visitor has a branch of a split that is yet to begin,
so everybody is given one when they come next; who has one keeps it, whatever the weights become.
"""

from collections.abc import Mapping

from balancer.domain.app import BranchName
from balancer.domain.audience import EVERYONE, describe
from balancer.domain.rollout import Goal, Plan
from balancer.domain.rollout_decision import STEP_VISITORS
from balancer.domain.split import Brief
from balancer.domain.weights import WHOLE, percent, shares

_KEEPS = "by a cookie"


def split_begins(
    weights: Mapping[BranchName, int], control: BranchName, served: BranchName | None, brief: Brief
) -> list[str]:
    """Return sentences that say what a split does that begins with these weights; `served` is what everybody sees."""
    said = [f"Visitors are shared so: {shares(weights)}."]
    if served is not None:
        said[0] += f" Until now everyone sees {served}."
    said.append(
        f"Everybody is given a branch when they come next, also who was there before, and keeps it, {_KEEPS}. "
        f"{control} is the control, with which the others are compared."
    )
    if brief.twin is not None:
        said.append(f"{brief.twin} is made of {control} as it is now, and goes when the split ends.")
    if brief.aa:
        said.append(
            "Nothing is to differ between them, so nothing should be found: what is found is wrong with the measuring. "
            "Push nothing to them meanwhile."
        )
    if served is not None and served not in weights:
        said.append(f"{served} takes no part: who is given a branch sees it no more while the split runs.")
    if brief.audience != EVERYONE:
        said.append(f"Only for some: {describe(brief.audience)}. Nobody else is given a branch.")
    if brief.held_out:
        said.append(f"{percent(brief.held_out)} of all visitors are left alone, and are in no figure.")
    if brief.metric is None:
        said.append("No metric decides: every event is shown, and there will be no verdict.")
    else:
        said.append(f"{brief.metric} decides, as it is declared now, and cannot be exchanged while the split runs.")
    if brief.decide_at is not None:
        said.append(
            f"Nothing of its result is shown before {brief.decide_at:%Y-%m-%d %H:%M %Z}; one look decides then."
        )
    return said


def rollout_begins(branch: BranchName, control: BranchName, plan: Plan, default: BranchName | None) -> list[str]:
    """Return sentences that say what a rollout does; `control` is what everybody sees."""
    first, *others = plan.steps
    rest = f", {control} the others" if first < WHOLE else ""
    said = [
        f"{branch} gets {percent(first)} of the visitors{rest}. Until now everyone sees {control}.",
        f"Everybody is given a branch when they come next, also who was there before, and keeps it, {_KEEPS}.",
    ]
    if others:
        listed = ", ".join(percent(step) for step in others)
        said.append(
            f"Then it gets {listed} of those who are new, step by step: a step needs its time and {STEP_VISITORS} "
            f"visitors of {branch}, and nothing that speaks against it."
        )
    said.append(
        f"Where it does harm it is stopped by itself, and everyone sees {control}: more visitors with errors or slow "
        "answers than the control has, no healthy instance, a guardrail metric that got worse."
    )
    said.append(_decided(branch, plan))
    if plan.hours is not None:
        said.append(f"It takes steps by itself {plan.hours} alone; it is watched at all hours.")
    if plan.auto_promote:
        said.append(
            f"In the end its release becomes that of {default or 'the default branch'} by itself, where git can do so "
            "without a merge."
        )
    else:
        said.append(f"At its last step it waits until somebody gives everybody {branch}.")
    return said


def _decided(branch: BranchName, plan: Plan) -> str:
    if plan.metric is None:
        return "No metric decides: it goes on as long as nothing speaks against it."
    if plan.goal is Goal.NOT_WORSE:
        worse = percent(round(plan.margin * WHOLE))
        return f"Everybody gets it once {plan.metric} is shown not to be worse by {worse} or more than in the control."
    return (
        f"Everybody gets it once {plan.metric} is shown to be better in {branch} than in the control, after 7 days at "
        "the earliest."
    )
