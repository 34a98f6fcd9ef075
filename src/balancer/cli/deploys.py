"""`balancer releases`, `rollback`, `ps`, `logs`: what is deployed and what it says."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from balancer.cli import output, progress
from balancer.cli.target import AppArgument, AsJson, Tail, connect
from balancer.wire.instances import InstanceBody

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
    tail: Tail = False,
    as_json: AsJson = False,
) -> None:
    """Make the release before live again, with its config vars. Example: [bold]balancer rollback shop[/]."""
    with connect() as client:
        progress.show(client, name, client.rollback(name, branch, release), tail=tail, as_json=as_json)


def ps(name: AppArgument, as_json: AsJson = False) -> None:
    """List the instances of an app. Example: [bold]balancer ps shop[/]."""
    with connect() as client:
        found = client.instances(name)
        mode = client.app(name).mode
    if as_json:
        output.print_json(found)
        return
    if mode != "serving":
        output.errors.print(f"{name}: {mode}")
    if not found:
        stopped, new = f"`balancer start {name}` starts it", f"`balancer apps remote {name}` prints where to push"
        output.plain(f"{name} has no instances; {stopped if mode == 'stopped' else new}")
        return
    rows = [
        (
            f"{i.type}.{i.index}",
            i.branch,
            i.release,
            i.state,
            output.lasting(i.up_seconds),
            i.restarts or "",
            i.port,
            i.pid if i.running else _waits(i),
        )
        for i in found
    ]
    output.table("Instance", "Branch", "Release>", "State", "Up", "Restarts>", "Port>", "Pid>", rows=rows)


def _waits(instance: InstanceBody) -> str:
    if instance.next_start_at is None:
        return "waits to be started"
    seconds = max(0, round((instance.next_start_at - datetime.now(UTC)).total_seconds()))
    times = f"{instance.ends} times" if instance.ends > 1 else "once"
    return f"ended {times}, next start in {seconds} s"


def logs(
    name: AppArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=10_000, help="Lines to begin with.")] = 100,
    branch: Annotated[str | None, typer.Option(help="Only of this branch.")] = None,
    release: Annotated[int | None, typer.Option(min=1, help="Of this release, whatever became of it.")] = None,
    process: Annotated[str | None, typer.Option(help="Only of this process: web, worker, build.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the live instances print. Example: [bold]balancer logs shop -f[/].

    With --release also what failed and what is over, and what its build printed.
    """
    only = {"branch": branch, "process": process}
    with connect() as client:
        for entry in client.logs(name, **only, release=release, lines=lines, follow=follow):
            progress.show_line(entry, as_json=as_json)
