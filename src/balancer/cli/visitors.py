"""`balancer visitors`: what is known of one."""

from typing import Annotated

import typer

from balancer.cli import output
from balancer.cli.target import AsJson, connect
from balancer.errors import InvalidInput

app = typer.Typer(name="visitors", help="Visitors: take one out of the ledger.", no_args_is_help=True)


@app.command()
def erase(
    name: Annotated[
        str | None, typer.Argument(metavar="APP", help="Name of the app, unless --all.", show_default=False)
    ] = None,
    visitor: Annotated[
        str | None, typer.Argument(metavar="ID", help="The id of the visitor.", show_default=False)
    ] = None,
    everywhere: Annotated[bool, typer.Option("--all", help="Of all apps.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take all that is known of a visitor out of the ledger, for good.

    Example: [bold]balancer visitors erase shop 0b9f7ab4-6c1e-4bd8-9d2c-0f5f43f2b2aa[/].
    """
    # With --all there is one argument, which then is the visitor.
    app_name, who = (None, name) if everywhere and visitor is None else (name, visitor)
    if who is None or (app_name is None) != everywhere:
        raise InvalidInput("name an app and a visitor, or --all and a visitor")
    where = "all apps" if app_name is None else app_name
    if not yes and not typer.confirm(f"Erase the visitor {who} of {where}, for good?", err=True):
        raise typer.Exit(1)
    with connect() as client:
        erased = client.erase_visitor(app_name, who)
    if as_json:
        output.print_json(erased)
    else:
        output.plain(f"{erased.events} rows are erased; what is still to be read of before now will not be taken in.")
