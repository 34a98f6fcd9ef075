"""`balancer branches`: what is live of an app."""

from typing import Annotated

import typer

from balancer.cli import output, progress
from balancer.cli.target import AppArgument, AsJson, Tail, connect
from balancer.wire.releases import BranchBody

app = typer.Typer(name="branches", help="Branches: list, take down, choose the default one.", no_args_is_help=True)
BranchArgument = Annotated[str, typer.Argument(metavar="BRANCH", help="Name of the branch.", show_default=False)]


@app.command("list")
def list_(name: AppArgument, as_json: AsJson = False) -> None:
    """List the live branches. Example: [bold]balancer branches list shop[/]."""
    with connect() as client:
        found = client.branches(name)
    if as_json:
        output.print_json(found)
        return
    if not found:
        output.plain(f"{name} has no live branch; `balancer apps remote {name}` prints where to push")
        return
    rows = [
        (
            each.branch,
            each.release,
            each.commit[:7],
            "default" if each.default else "",
            "" if each.weight is None else f"{each.weight:g} %",
            each.url,
        )
        for each in found
    ]
    output.table("Branch", "Release>", "Commit", "Default", "In the split", "Answers on", rows=rows)
    if winner := next((each for each in found if each.promoted), None):
        default = next((each.branch for each in found if each.default), "the default branch")
        _tell_of_winner(name, winner, default)


def _tell_of_winner(app: str, winner: BranchBody, default: str) -> None:
    seen = f"Visitors see {winner.branch}, which has won a split, in the place of {default}"
    if not winner.merge:
        output.plain(f"{seen} until it is its release, in moments; where it stays so: balancer split promote {app}")
        return
    output.plain(f"{seen} until you have merged, in a clone whose remote is called balancer:")
    for command in winner.merge:
        output.plain(f"    {command}")


@app.command()
def delete(name: AppArgument, branch: BranchArgument, tail: Tail = False, as_json: AsJson = False) -> None:
    """Take a branch down: its requests finish, its visitors see the control.

    Example: [bold]balancer branches delete shop test[/].
    """
    with connect() as client:
        progress.show(client, name, client.delete_branch(name, branch), tail=tail, as_json=as_json)


@app.command()
def default(name: AppArgument, branch: BranchArgument, tail: Tail = False, as_json: AsJson = False) -> None:
    """Make a live branch the one that visitors see outside a split.

    Example: [bold]balancer branches default shop main[/].
    """
    with connect() as client:
        changed = client.set_default_branch(name, branch)
        if as_json:
            output.print_json(changed)
        else:
            output.plain(f"Visitors of {changed.name} see {changed.default_branch} now: {' '.join(changed.urls)}")
        progress.follow(client, name, tail=tail, as_json=as_json, branch=branch)
