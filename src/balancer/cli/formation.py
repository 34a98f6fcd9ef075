"""`balancer scale`, `restart`, `stop`, `start`, `maintenance`, `pause`, `resume`: what runs, and what visitors get."""

from enum import Enum
from typing import Annotated, Literal

import typer

from balancer.cli import output, progress
from balancer.cli.target import AppArgument, AsJson, Tail, TailMeanwhile, connect
from balancer.errors import InvalidInput


class Switch(Enum):
    """What maintenance is to be."""

    ON = "on"
    OFF = "off"


def scale(
    name: AppArgument,
    counts: Annotated[
        list[str] | None, typer.Argument(metavar="[PROCESS=COUNT...]", help="Else show what there is.")
    ] = None,
    tail: Tail = False,
    as_json: AsJson = False,
) -> None:
    """Have other numbers of instances, or show them. Example: [bold]balancer scale shop web=4 worker=2[/].

    More are started and healthy before visitors reach them, fewer finish what they do. All of it happens or nothing.
    """
    asked = dict(map(_count, counts or []))
    with connect() as client:
        if asked:
            progress.show(client, name, client.scale(name, asked), tail=tail, as_json=as_json)
            return
        found = client.formation(name)
    if as_json:
        output.print_json(found)
    else:
        output.plain(" ".join(f"{process}={count}" for process, count in found.items()) or "web=1")


def restart(
    name: AppArgument,
    branch: Annotated[str | None, typer.Option(help="Only this branch.", show_default="all that are live")] = None,
    process: Annotated[str | None, typer.Option(help="Only this process type.", show_default="all")] = None,
    tail: Tail = False,
    as_json: AsJson = False,
) -> None:
    """Replace instances by new ones of the same release. Example: [bold]balancer restart shop --process worker[/].

    The new ones are healthy before the old ones drain: visitors see nothing of it.
    """
    with connect() as client:
        progress.show(client, name, client.restart(name, branch, process), tail=tail, as_json=as_json, branch=branch)


def stop(name: AppArgument, tail: TailMeanwhile = False, as_json: AsJson = False) -> None:
    """Stop an app: no instance runs, and visitors get a page that says so. Example: [bold]balancer stop shop[/]."""
    with connect() as client:
        if tail:
            progress.show_end(client, connect(), name, client.stop(name), as_json=as_json)
        else:
            progress.show(client, name, client.stop(name), as_json=as_json)


def start(name: AppArgument, tail: Tail = False, as_json: AsJson = False) -> None:
    """Start a stopped app again. Example: [bold]balancer start shop[/]."""
    with connect() as client:
        progress.show(client, name, client.start(name), tail=tail, as_json=as_json)


def maintenance(
    name: AppArgument,
    switch: Annotated[Switch, typer.Argument(metavar="on|off", help="Show the page, or serve.", show_default=False)],
    tail: Tail = False,
    as_json: AsJson = False,
) -> None:
    """Show visitors a maintenance page, or serve them again. Example: [bold]balancer maintenance shop on[/].

    Instances run on; what is pushed meanwhile goes live behind the page.
    """
    _set_mode(name, "maintenance" if switch is Switch.ON else "serving", tail=tail, as_json=as_json)


def pause(name: AppArgument, tail: Tail = False, as_json: AsJson = False) -> None:
    """Hold the requests of visitors, for 30 s at most each. Example: [bold]balancer pause shop[/].

    For what takes a few seconds and must not be seen, such as a switch of databases.
    """
    _set_mode(name, "paused", tail=tail, as_json=as_json)


def resume(name: AppArgument, tail: Tail = False, as_json: AsJson = False) -> None:
    """Serve a paused app again, the requests that were held first. Example: [bold]balancer resume shop[/]."""
    _set_mode(name, "serving", tail=tail, as_json=as_json)


_SAID = {
    "serving": "{} serves.",
    "paused": "{} is paused: requests are held, 30 s at most. Go on with: balancer resume {}",
    "maintenance": "{} shows its maintenance page. Serve again with: balancer maintenance {} off",
}


def _set_mode(name: str, mode: Literal["serving", "paused", "maintenance"], *, tail: bool, as_json: bool) -> None:
    with connect() as client:
        found = client.set_mode(name, mode)
        if as_json:
            output.print_json(found)
        else:
            output.plain(_SAID[mode].format(name, name))
        progress.follow(client, name, tail=tail, as_json=as_json)


def _count(text: str) -> tuple[str, int]:
    process, equals, count = text.partition("=")
    if not equals or not count.isdecimal():
        raise InvalidInput(f"{text!r} says no number of instances: write PROCESS=COUNT, such as web=4")
    return process, int(count)
