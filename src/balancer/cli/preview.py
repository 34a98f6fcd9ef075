"""`balancer preview`: links that show a branch to those who test it."""

from typing import Annotated

import typer

from balancer.cli import output
from balancer.cli.target import AppArgument, AsJson, connect
from balancer.errors import BranchNotFound


def preview(
    name: AppArgument,
    branch: Annotated[
        str | None, typer.Argument(metavar="[BRANCH]", help="One branch alone.", show_default="all live ones")
    ] = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="End all links that were given out before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print links that show a branch on the app's own host, and count nobody.

    Example: [bold]balancer preview shop test[/].
    """
    with connect() as client:
        found = [each for each in client.previews(name, fresh=rotate) if branch in (None, each.branch)]
    if not found:
        raise BranchNotFound(f"{name} has no live branch {branch}; `balancer branches list {name}` shows which it has")
    if as_json:
        output.print_json(found)
        return
    for each in found:
        output.plain(f"{each.branch}: {each.link}")
    output.plain("\nWho opens a link sees that branch until the browser is closed, or until ?balancer=off.")
    output.plain(f"For one request: the header X-Balancer-Branch: {found[0].header}")
