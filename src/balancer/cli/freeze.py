"""`balancer freeze`: times in which what visitors see stays as it is."""

from typing import Annotated

import typer

from balancer.cli import output
from balancer.cli.target import AsJson, connect
from balancer.wire.freezes import FreezeBody, NewFreeze

app = typer.Typer(name="freeze", help="Freezes: times in which what visitors see stays as it is.", no_args_is_help=True)


@app.command()
def add(
    until: Annotated[str, typer.Option(metavar="DATE", help="When it ends; a date belongs to it.")],
    why: Annotated[str, typer.Option(help="What a refused push says.")],
    name: Annotated[str | None, typer.Argument(metavar="[APP]", help="All apps where none is named.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="When it begins.", show_default="now")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Freeze an app, or all: no push to the default branch, no step of a rollout by itself.

    Example: [bold]balancer freeze add shop --from 2026-12-20 --until 2027-01-02 --why "Christmas"[/].

    Dates are in the time zone of the app, or of the platform: 2026-12-20, 2026-12-20T18:00, or with …Z or …+01:00.
    """
    with connect() as client:
        added = client.add_freeze(NewFreeze(app=name, since=since, until=until, why=why))
    if as_json:
        output.print_json(added)
        return
    output.plain(f"Freeze {added.number} of {added.app or 'all apps'}: {added.shown} ({added.timezone})")
    output.plain(f"Take it back with: balancer freeze remove {added.number}")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the freezes there are. Example: [bold]balancer freeze list[/]."""
    with connect() as client:
        found = client.freezes()
    if as_json:
        output.print_json(found)
    elif not found:
        output.plain("Nothing is frozen.")
    else:
        rows = [(each.number, each.app or "all", each.shown, _state(each), output.escaped(each.why)) for each in found]
        output.table("Freeze>", "App", "From and until", "State", "Why", rows=rows)


@app.command()
def remove(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="That of the list.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Take a freeze back. Example: [bold]balancer freeze remove 1[/]."""
    with connect() as client:
        client.remove_freeze(number)
    if as_json:
        output.print_json({"removed": number})
    else:
        output.plain(f"Freeze {number} is gone; what it held goes on by itself.")


def _state(freeze: FreezeBody) -> str:
    if freeze.in_force:
        return "holds now"
    return "over" if output.is_past(freeze.until) else "to come"
