"""`balancer cancel`: break a deploy off."""

from typing import Annotated

import typer

from balancer.cli import output, progress
from balancer.cli.target import AppArgument, AsJson, Tail, connect


def cancel(
    name: AppArgument,
    branch: Annotated[str | None, typer.Argument(help="Whose deploy; else the only one under way.")] = None,
    tail: Tail = False,
    as_json: AsJson = False,
) -> None:
    """Cancel a deploy that is under way. Example: [bold]balancer cancel shop master[/]."""
    with connect() as client:
        cancelled = client.cancel(name, branch)
        if as_json:
            output.print_json(cancelled)
        else:
            output.plain(f"Cancelled the deploy of {cancelled.app} {cancelled.branch}; what was live before still is.")
        progress.follow(client, name, tail=tail, as_json=as_json, branch=cancelled.branch)
