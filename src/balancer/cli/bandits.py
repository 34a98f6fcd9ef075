"""`balancer bandit`: visitors are shared among branches by what those earn."""

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table

from balancer.cli import output, progress
from balancer.cli import watch as watching
from balancer.cli.steering import Decisions, Watch
from balancer.cli.target import AppArgument, AsJson, connect
from balancer.domain.metric import parse_duration
from balancer.domain.rollout import ENDED
from balancer.domain.weights import percent
from balancer.services.bandit_decisions import BanditDecision
from balancer.wire.bandits import BanditBody, BanditStandingBody, NewBandit

app = typer.Typer(
    name="bandit",
    help="Bandits: share visitors by what branches earn, for those who want earnings more than knowledge.",
    no_args_is_help=True,
)
_ENDED = {state.value for state in ENDED}
_SHOWN_DECISIONS = 5


@app.command()
def start(
    name: AppArgument,
    branches: Annotated[
        list[str], typer.Argument(metavar="BRANCHES", help="The branches beside what visitors see.", show_default=False)
    ],
    metric: Annotated[str, typer.Option(help="The metric, or the event, that is to be earned.", show_default=False)],
    step_time: Annotated[str, typer.Option(help="How long weights last at least: 90s, 10m, 2h, 1d.")] = "1h",
    as_json: AsJson = False,
) -> None:
    """Begin a bandit. Example: [bold]balancer bandit start shop test blue --metric purchase[/]."""
    new = NewBandit(branches=branches, metric=metric, step_seconds=parse_duration(step_time))
    with connect() as client:
        found = client.start_bandit(name, new)
    _tell(found, as_json=as_json)
    if not as_json:
        output.plain("It is there to earn, not to know: `balancer split start` compares.")
        output.plain(f"See how it goes with: balancer bandit status {name} --watch")


@app.command()
def pause(name: AppArgument, as_json: AsJson = False) -> None:
    """Leave the weights as they are; guardrails stay armed. Example: [bold]balancer bandit pause shop[/]."""
    with connect() as client:
        _tell(client.change_bandit(name, "pause"), as_json=as_json)


@app.command()
def resume(name: AppArgument, as_json: AsJson = False) -> None:
    """Go on, with the weights that it has set itself last. Example: [bold]balancer bandit resume shop[/]."""
    with connect() as client:
        _tell(client.change_bandit(name, "resume"), as_json=as_json)


@app.command()
def abort(name: AppArgument, as_json: AsJson = False) -> None:
    """End it, and its split: everyone sees the control again. Example: [bold]balancer bandit abort shop[/]."""
    with connect() as client:
        _tell(client.abort_bandit(name), as_json=as_json)


@app.command()
def promote(
    name: AppArgument,
    branch: Annotated[str, typer.Argument(metavar="BRANCH", help="The branch to give them.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Give a branch to everybody, and make it the default branch's release.

    Example: [bold]balancer bandit promote shop test[/].
    """
    with connect() as client:
        progress.show(client, name, client.promote_bandit(name, branch), as_json=as_json)


@app.command()
def status(
    name: AppArgument,
    watch: Watch = False,
    decisions: Decisions = False,
    as_json: AsJson = False,
) -> None:
    """Show the branches with their weights and their chances to be best.

    Example: [bold]balancer bandit status shop --watch[/]. With --watch and --json it prints an object a line, whenever
    something has changed. With --watch it fails where the bandit was rolled back or aborted.
    """
    with connect() as client:
        if decisions:
            found = client.bandit_decisions(name)
            if as_json:
                output.print_json(found)
            else:
                _show_decisions(found)
        elif not watch:
            standing = client.bandit(name)
            if as_json:
                output.print_json(standing)
            else:
                output.console.print(_standing(standing, client.bandit_decisions(name)))
        elif as_json:
            looks = watching.looks(lambda: client.bandit(name), lambda found: found.bandit.state in _ENDED)
            watching.exit_as_it_ended(watching.print_changes(looks).bandit.state)
        else:
            end, _ = watching.show(
                watching.looks(
                    lambda: (client.bandit(name), client.bandit_decisions(name)),
                    lambda found: found[0].bandit.state in _ENDED,
                ),
                lambda found: _standing(*found),
                lambda found: (found[0].bandit.state, found[0].weights, found[1]),
            )
            watching.exit_as_it_ended(end.bandit.state)


def _tell(found: BanditBody, *, as_json: bool) -> None:
    if as_json:
        output.print_json(found)
    else:
        arms = ", ".join((found.control, *found.branches))
        output.plain(f"{found.app}: the bandit of {arms} on {found.metric} is {found.state} (split {found.split})")


def _standing(found: BanditStandingBody, decisions: list[BanditDecision]) -> Group:
    """Return how a bandit stands: its branches, and below them what it waits for and what was decided last."""
    bandit, seen, action = found.bandit, found.seen, found.action
    below = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    below.add_column(style="bold")
    below.add_column(overflow="fold")
    rows = [
        ("State", f"{bandit.state}: it earns, it does not prove"),
        (
            "Lasted" if bandit.state in _ENDED else "Goes on",
            f"{output.lasting(bandit.seconds)}; these weights {output.lasting(bandit.weights_seconds)}",
        ),
    ]
    if seen is not None:
        counted = "everybody, with what they have done so far" if seen.young_too else "those whose time is over"
        rows.append(("Counted", counted))
        rows.append(("Sample ratio", f"{'ALARM' if seen.alarm else 'as intended'} (p {seen.ratio_p:.2g})"))
    if bandit.reason:
        rows.append(("Why", output.commands_apart(bandit.reason)))
    elif action is not None:
        rows.append((action.what.value.capitalize(), f"{action.rule}: {action.reason}"))
    latest = decisions[-_SHOWN_DECISIONS:]
    rows += [(f"{_at(each)} UTC", f"{each.action.what.value}: {each.action.reason}") for each in latest]
    for label, text in rows:
        below.add_row(output.escaped(label), output.escaped(text))
    return Group(_arms(found), below)


def _arms(found: BanditStandingBody) -> Table:
    """Return the branches, each with its weight and its chance to be best."""
    bandit = found.bandit
    shown = Table(
        title=f"{bandit.app}: bandit on {output.escaped(bandit.metric)}, split {bandit.split}",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for column in ("Branch", "Weight", "Best", bandit.metric, "Visitors here", ""):
        shown.add_column(output.escaped(column), justify="left" if column in ("Branch", "") else "right")
    seen = {arm.branch: arm for arm in found.seen.arms} if found.seen else {}
    out = {each.branch: each.reason for each in bandit.out}
    for branch in (bandit.control, *bandit.branches):
        arm = seen.get(branch)
        mean = "–" if arm is None or arm.mean is None else f"{arm.mean:.4g} ± {arm.se or 0.0:.2g}"
        note = f"out: {out[branch]}" if branch in out else "control" if branch == bandit.control else ""
        shown.add_row(
            output.escaped(branch),
            found.weight(branch),
            "–" if arm is None or arm.chance is None else f"{arm.chance:.1%}",
            mean,
            "–" if arm is None else str(arm.visitors),
            output.escaped(note),
        )
    return shown


def _show_decisions(decisions: Iterable[BanditDecision]) -> None:
    output.table(
        *("At (UTC)", "Phase>", "Decided", "By rule", "Weights", "Why"),
        rows=[
            (
                _at(each),
                each.phase,
                each.action.what.value,
                each.action.rule,
                ", ".join(f"{branch} {percent(weight)}" for branch, weight in each.action.weights),
                each.action.reason,
            )
            for each in decisions
        ],
    )


def _at(decision: BanditDecision) -> str:
    return decision.at[:19].replace("T", " ")
