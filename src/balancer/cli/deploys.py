"""`balancer releases`, `rollback`, `ps`, `logs`: what is deployed and what it says."""

from typing import Annotated

import typer

from balancer.cli import output
from balancer.cli.target import AppArgument, AsJson, connect

_COLOURS = {"live": "green", "failed": "red", "building": "yellow", "starting": "yellow", "draining": "cyan"}


def releases(
    name: AppArgument,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many to show.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the releases of an app, newest first. Example: [bold]balancer releases shop[/]."""
    with connect() as client:
        found = client.releases(name, limit)
    if as_json:
        output.print_json(found)
        return
    if not found:
        output.plain(f"{name} has no releases yet; `balancer apps remote {name}` prints where to push")
        return
    rows = [
        (
            each.number,
            each.branch,
            each.commit[:7],
            f"[{_COLOURS.get(each.state, 'default')}]{each.state}[/]",
            output.ago(each.created_at),
            output.escaped(each.author),
            output.escaped((each.reason or "").splitlines()[0] if each.reason else each.subject),
        )
        for each in found
    ]
    output.table("Release>", "Branch", "Commit", "State", "Pushed", "By", "What", rows=rows)


def rollback(
    name: AppArgument,
    release: Annotated[int | None, typer.Argument(help="Number of a release; else the one before.")] = None,
    branch: Annotated[str | None, typer.Option(help="Another branch than the default one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make the release before live again. Example: [bold]balancer rollback shop[/]."""
    with connect() as client:
        for progress in client.rollback(name, branch, release):
            if progress.line is not None and not as_json:
                output.plain(progress.line)
            if progress.release is not None and as_json:
                output.print_json(progress.release)


def ps(name: AppArgument, as_json: AsJson = False) -> None:
    """List the instances of an app. Example: [bold]balancer ps shop[/]."""
    with connect() as client:
        found = client.instances(name)
    if as_json:
        output.print_json(found)
        return
    if not found:
        output.plain(f"{name} has no instances; `balancer apps remote {name}` prints where to push")
        return
    rows = [
        (f"web.{i.index}", i.branch, i.release, i.state, i.port, i.pid if i.running else "waits to be started again")
        for i in found
    ]
    output.table("Instance", "Branch", "Release>", "State", "Port>", "Pid>", rows=rows)


def logs(
    name: AppArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=10_000, help="Lines to begin with.")] = 100,
    branch: Annotated[str | None, typer.Option(help="Only of this branch.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the live instances print. Example: [bold]balancer logs shop -f[/]."""
    with connect() as client:
        for entry in client.logs(name, branch=branch, lines=lines, follow=follow):
            if as_json:
                output.print_json(entry)
            else:
                output.labelled(entry.instance, "cyan", f" | {entry.line}")
