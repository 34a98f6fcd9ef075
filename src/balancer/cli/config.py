"""`balancer config`: config vars of an app."""

from typing import Annotated

import typer

from balancer.cli import output, progress
from balancer.cli.target import AppArgument, AsJson, Tail, connect
from balancer.errors import InvalidInput

app = typer.Typer(
    name="config", help="Config vars: the environment of an app; each change is a release.", no_args_is_help=True
)
Later = Annotated[bool, typer.Option("--later", "--no-restart", help="Only for the next push; nothing starts now.")]


@app.command("list")
def list_(name: AppArgument, as_json: AsJson = False) -> None:
    """List the config vars. Example: [bold]balancer config list shop[/]."""
    with connect() as client:
        found = client.config(name)
    if as_json:
        output.print_json(found)
    elif not found:
        output.plain("There are no config vars; set one with: balancer config set APP KEY=VALUE")
    for key, value in () if as_json else found.items():
        output.plain(f"{key}={value}")


@app.command("set")
def set_(
    name: AppArgument,
    pairs: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", show_default=False)],
    later: Later = False,
    tail: Tail = False,
    as_json: AsJson = False,
) -> None:
    """Set config vars. Example: [bold]balancer config set shop DATABASE_URL=postgres://db/shop[/].

    What is live is started again with them, healthy before the old one drains; if it is not, nothing has changed.
    """
    changes: dict[str, str | None] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidInput(f"{pair!r} is no config var: write KEY=VALUE")
        changes[key] = value
    with connect() as client:
        steps = client.change_config(name, changes, later=later)
        progress.show(client, name, steps, tail=tail, as_json=as_json)


@app.command()
def unset(
    name: AppArgument,
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", show_default=False)],
    later: Later = False,
    tail: Tail = False,
    as_json: AsJson = False,
) -> None:
    """Remove config vars. Example: [bold]balancer config unset shop DATABASE_URL[/]."""
    with connect() as client:
        steps = client.change_config(name, dict.fromkeys(keys), later=later)
        progress.show(client, name, steps, tail=tail, as_json=as_json)
