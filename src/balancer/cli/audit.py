"""`balancer audit`: who changed what."""

from typing import Annotated

import typer

from balancer.cli import output
from balancer.cli.target import AsJson, connect


def audit(
    name: Annotated[
        str | None, typer.Argument(metavar="APP", help="Only of this app, also one that is gone.", show_default=False)
    ] = None,
    since: Annotated[str | None, typer.Option(help="A date, or how long ago at most, such as 7d.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many at most, 10,000 at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List who changed what, the newest first. Example: [bold]balancer audit shop --since 7d[/]."""
    with connect() as client:
        found = client.audit(name, since, limit)
    if as_json:
        output.print_json(found)
    elif not found:
        output.plain("Nothing was changed.")
    else:
        rows = [
            (
                each.at.strftime("%Y-%m-%d %H:%M:%S"),
                output.escaped(each.who),
                output.escaped(each.words),
                output.escaped(each.rest),
                each.outcome,
            )
            for each in found
        ]
        output.table("When (UTC)", "Who", "What", "With", "Outcome", rows=rows)
