"""`balancer rollout`: a branch that is given to more and more visitors while nothing speaks against it."""

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.table import Table

from balancer.cli import output, progress
from balancer.cli import watch as watching
from balancer.cli.steering import (
    Decisions,
    Margin,
    Metric,
    Mode,
    OpenHours,
    Steps,
    StepTime,
    Watch,
)
from balancer.cli.target import AppArgument, AsJson, connect
from balancer.domain.rollout import Goal, RolloutState
from balancer.domain.rollout_decision import STEP_VISITORS
from balancer.domain.weights import WHOLE, percent
from balancer.errors import InvalidInput
from balancer.services.decisions import Decision
from balancer.wire.rollout_words import MARGIN, STEP_TIME, STEPS, plan_body
from balancer.wire.rollouts import NewRollout, RolloutBody, StandingBody

app = typer.Typer(
    name="rollout", help="Rollouts: give a branch to more and more visitors, and stop by itself.", no_args_is_help=True
)
_ENDED = {RolloutState.DONE.value, RolloutState.ABORTED.value, RolloutState.ROLLED_BACK.value}
_SHOWN_DECISIONS = 5


@app.command()
def start(
    name: AppArgument,
    branch: Annotated[str, typer.Argument(metavar="BRANCH", help="The branch to give them.", show_default=False)],
    steps: Steps = STEPS,
    metric: Metric = None,
    mode: Mode = "superiority",
    margin: Margin = MARGIN,
    auto_promote: Annotated[
        bool, typer.Option("--auto-promote", help="Make it the default branch's release in the end.")
    ] = False,
    step_time: StepTime = STEP_TIME,
    hours: OpenHours = None,
    as_json: AsJson = False,
) -> None:
    """Begin a rollout. Example: [bold]balancer rollout start shop test --steps 1,5,25,50,100 --auto-promote[/]."""
    chosen = plan_body(steps, metric, mode, margin, step_time, hours, auto_promote=auto_promote)
    new = NewRollout(branch=branch, **chosen.model_dump())
    with connect() as client:
        found = client.start_rollout(name, new)
    _tell(found, as_json=as_json)
    if not as_json:
        output.plain(f"See how it goes with: balancer rollout status {name} --watch")


@app.command()
def pause(name: AppArgument, as_json: AsJson = False) -> None:
    """Take no further step; a rollback stays armed. Example: [bold]balancer rollout pause shop[/]."""
    with connect() as client:
        _tell(client.change_rollout(name, "pause"), as_json=as_json)


@app.command()
def resume(name: AppArgument, as_json: AsJson = False) -> None:
    """Go on, with the weights of the present step. Example: [bold]balancer rollout resume shop[/]."""
    with connect() as client:
        _tell(client.change_rollout(name, "resume"), as_json=as_json)


@app.command()
def advance(name: AppArgument, as_json: AsJson = False) -> None:
    """Take the next step now, whatever it lacks. Example: [bold]balancer rollout advance shop[/]."""
    with connect() as client:
        _tell(client.change_rollout(name, "advance"), as_json=as_json)


@app.command()
def abort(name: AppArgument, as_json: AsJson = False) -> None:
    """End it, and its split: everyone sees the control again. Example: [bold]balancer rollout abort shop[/]."""
    with connect() as client:
        _tell(client.abort_rollout(name), as_json=as_json)


@app.command()
def promote(name: AppArgument, as_json: AsJson = False) -> None:
    """Give the branch to everybody now, and make it the default branch's release, whatever it lacks.

    Example: [bold]balancer rollout promote shop[/].
    """
    with connect() as client:
        progress.show(client, name, client.promote_rollout(name), as_json=as_json)


@app.command()
def status(
    name: AppArgument,
    watch: Watch = False,
    decisions: Decisions = False,
    as_json: AsJson = False,
) -> None:
    """Show how the rollout stands, and what it waits for. Example: [bold]balancer rollout status shop --watch[/].

    With --watch and --json it prints an object a line, whenever something has changed. With --watch it fails where the
    rollout was rolled back or aborted.
    """
    if watch and decisions:
        raise InvalidInput("--watch shows what is decided as it goes; leave --decisions out")
    with connect() as client:
        if decisions:
            kept = client.rollout_decisions(name)
            output.print_json(kept) if as_json else _show_decisions(kept)
        elif not watch:
            found = client.rollout(name)
            output.print_json(found) if as_json else output.console.print(
                _standing(found, client.rollout_decisions(name))
            )
        elif as_json:
            looks = watching.looks(lambda: client.rollout(name), lambda found: found.rollout.state in _ENDED)
            watching.exit_as_it_ended(watching.print_changes(looks).rollout.state)
        else:
            end, _ = watching.show(
                watching.looks(
                    lambda: (client.rollout(name), client.rollout_decisions(name)),
                    lambda found: found[0].rollout.state in _ENDED,
                ),
                lambda found: _standing(*found),
                lambda found: (found[0].rollout.state, found[0].rollout.step, found[1]),
            )
            watching.exit_as_it_ended(end.rollout.state)


def _tell(found: RolloutBody, *, as_json: bool) -> None:
    if as_json:
        output.print_json(found)
    else:
        output.plain(f"{found.branch} of {found.app}: {found.state}, {found.steps} (split {found.split})")
        for warning in found.unseen:
            output.plain(warning[0].upper() + warning[1:])
        if found.hold:
            output.plain(f"By itself it takes no further step just now: {found.hold.reason}")


def _standing(found: StandingBody, decisions: list[Decision]) -> Table:
    """Return how a rollout stands, as a table of two columns."""
    rollout, seen, action = found.rollout, found.seen, found.action
    shown = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    shown.add_column(style="bold")
    shown.add_column(overflow="fold")
    rows = [
        ("Rollout", f"{rollout.branch} of {rollout.app}, split {rollout.split}"),
        ("State", rollout.state),
        ("Steps", rollout.steps),
        (
            "Lasted" if rollout.state in _ENDED else "Goes on",
            f"{output.lasting(rollout.seconds)}; this step {output.lasting(rollout.step_seconds)}",
        ),
    ]
    if found.release is not None and found.commit is not None:
        by = f" by {found.author}" if found.author else ""
        rows.insert(1, ("Release", f"{found.release}, {found.commit[:7]} “{found.subject}”{by}"))
    if rollout.state not in _ENDED:
        rows.append(("In the end", _in_the_end(rollout)))
    if rollout.plan.hours:
        rows.append(("Hours", rollout.plan.hours))
    if rollout.hold:
        rows.append(("Held", rollout.hold.reason))
    if seen is not None:
        rows.append(("Visitors", f"{seen.visitors} in this step, which needs {STEP_VISITORS}"))
        answers = seen.canary
        rows.append(("Answers", f"{answers.failed + answers.other}, of which {answers.failed} were 5xx"))
        rows.append(("Sample ratio", f"{'ALARM' if seen.alarm else 'as intended'} (p {seen.ratio_p:.2g})"))
        rows += [("Guardrail", str(guard)) for guard in seen.guards]
        rows += [("Guardrail", warning) for warning in seen.unseen]
        if rollout.plan.metric:
            rows.append((rollout.plan.metric, seen.because))
    if rollout.reason:
        stopped = rollout.state == RolloutState.ROLLED_BACK.value and decisions
        rule = f"{decisions[-1].action.rule}: " if stopped else ""
        rows.append(("Why", output.commands_apart(f"{rule}{rollout.reason}")))
        if stopped and found.release is not None:
            rows.append(("Next", _after_a_rollback(rollout)))
    elif action is not None:
        rows.append((action.what.value.capitalize(), f"{action.rule}: {action.reason}"))
    for decision in decisions[-_SHOWN_DECISIONS:]:
        rows.append(
            (f"{decision.at[:19].replace('T', ' ')} UTC", f"{decision.action.what.value}: {decision.action.reason}")
        )
    for label, text in rows:
        shown.add_row(output.escaped(label), output.escaped(text))
    return shown


def _in_the_end(rollout: RolloutBody) -> str:
    """Return what gives everybody the branch, and who does it."""
    plan = rollout.plan
    who = (
        "it is promoted by itself"
        if plan.auto_promote
        else f"somebody promotes it: balancer rollout promote {rollout.app}"
    )
    if plan.metric is None:
        return who
    worse = f"is shown not to be worse by {percent(round(plan.margin * WHOLE))} or more"
    shown = "is shown to be better than the control's" if plan.mode == Goal.BETTER.value else worse
    return f"when {plan.metric} {shown}, {who}"


def _after_a_rollback(rollout: RolloutBody) -> str:
    return (
        f"nobody is given it; balancer logs {rollout.app} --branch {rollout.branch} has what it printed. Push what "
        f"mends it, or end what is left: balancer rollout abort {rollout.app}"
    )


def _show_decisions(decisions: Iterable[Decision]) -> None:
    output.table(
        *("At (UTC)", "Step>", "Decided", "By rule", "Why"),
        rows=[
            (
                each.at[:19].replace("T", " "),
                each.step + 1,
                each.action.what.value,
                each.action.rule,
                each.action.reason,
            )
            for each in decisions
        ],
    )
