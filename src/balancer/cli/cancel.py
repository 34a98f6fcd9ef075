"""`balancer cancel`: break a deploy off."""

from typing import Annotated

import typer

from balancer.cli import output
from balancer.cli.target import AppArgument, AsJson, connect


def cancel(
    name: AppArgument,
    branch: Annotated[str | None, typer.Argument(help="Whose deploy; else the only one under way.")] = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a deploy that is under way. Example: [bold]balancer cancel shop master[/]."""
    with connect() as client:
        cancelled = client.cancel(name, branch)
    if as_json:
        output.print_json(cancelled)
    else:
        output.plain(f"Cancelled the deploy of {cancelled.app} {cancelled.branch}; what was live before still is.")
