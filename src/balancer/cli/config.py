"""`balancer config`: config vars of an app."""

from typing import Annotated

import typer

from balancer.cli import output
from balancer.cli.target import AppArgument, AsJson, connect
from balancer.errors import InvalidInput

app = typer.Typer(help="Config vars: the environment of an app, from its next release on.", no_args_is_help=True)


@app.command("list")
def list_(name: AppArgument, as_json: AsJson = False) -> None:
    """List the config vars. Example: [bold]balancer config list shop[/]."""
    with connect() as client:
        found = client.config(name)
    _show(found, as_json=as_json)


@app.command("set")
def set_(
    name: AppArgument,
    pairs: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Set config vars. Example: [bold]balancer config set shop DATABASE_URL=postgres://db/shop[/]."""
    changes: dict[str, str | None] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidInput(f"{pair!r} is no config var: write KEY=VALUE")
        changes[key] = value
    with connect() as client:
        found = client.set_config(name, changes)
    _show(found, as_json=as_json)
    if not as_json:
        output.errors.print("The next push will run with them.")


@app.command()
def unset(
    name: AppArgument,
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Remove config vars. Example: [bold]balancer config unset shop DATABASE_URL[/]."""
    with connect() as client:
        found = client.set_config(name, dict.fromkeys(keys))
    _show(found, as_json=as_json)


def _show(config: dict[str, str | None], *, as_json: bool) -> None:
    if as_json:
        output.print_json(config)
    elif not config:
        output.plain("There are no config vars; set one with: balancer config set APP KEY=VALUE")
    for key, value in () if as_json else config.items():
        output.plain(f"{key}={value}")
