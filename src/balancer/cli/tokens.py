"""`balancer tokens`: who may use the platform, and how much."""

from typing import Annotated

import typer

from balancer.cli import output
from balancer.cli.target import AsJson, connect
from balancer.domain.role import Role

app = typer.Typer(name="tokens", help="Tokens: who may use the platform, and how much.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the token.", show_default=False)]
_MAY = {Role.OPERATOR: "may do everything", Role.READER: "may look at everything, and change nothing"}


@app.command()
def add(
    name: NameArgument,
    role: Annotated[Role, typer.Option(help="What it may do: `reader` looks, and changes nothing.")] = Role.OPERATOR,
    as_json: AsJson = False,
) -> None:
    """Make a token for somebody. Example: [bold]balancer tokens add ada --role reader[/]."""
    with connect() as client:
        added = client.add_token(name, role)
    if as_json:
        output.print_json(added)
    else:
        output.plain(f"{added.name} {_MAY[added.role]} with this token, which is not shown again:")
        output.plain(added.token)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the tokens. Example: [bold]balancer tokens list[/]."""
    with connect() as client:
        found = client.tokens()
    if as_json:
        output.print_json(found)
    else:
        rows = [
            (each.name, each.role.value, output.ago(each.created_at), output.ago(each.used_at) or "never")
            for each in found
        ]
        output.table("Token", "Role", "Made", "Last used", rows=rows)


@app.command()
def remove(name: NameArgument, as_json: AsJson = False) -> None:
    """Take a token back, and sign out whoever is signed in with it. Example: [bold]balancer tokens remove ada[/]."""
    with connect() as client:
        client.remove_token(name)
    if as_json:
        output.print_json({"removed": name})
    else:
        output.plain(f"{name} may do nothing any more.")
