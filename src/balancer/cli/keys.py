"""`balancer keys`: who may push over ssh."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from balancer.cli import output
from balancer.cli.target import AsJson, connect
from balancer.errors import InvalidInput

app = typer.Typer(name="keys", help="Keys: who may push over ssh.", no_args_is_help=True)
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="Name of the key.", show_default=False)]
# 64 KB: the largest RSA key has 3.
_LIMIT_CHARACTERS = 65_536


@app.command()
def add(
    key: KeyArgument,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The .pub file; - for standard input.")],
    as_json: AsJson = False,
) -> None:
    """Let a key push. Example: [bold]balancer keys add ada@laptop ~/.ssh/id_ed25519.pub[/]."""
    with connect() as client:
        added = client.add_key(key, _text(file))
    if as_json:
        output.print_json(added)
    else:
        output.plain(f"{added.name} may push now: {added.fingerprint}")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the keys that may push. Example: [bold]balancer keys list[/]."""
    with connect() as client:
        found = client.keys()
    if as_json:
        output.print_json(found)
    elif not found:
        output.plain("No key may push; add one with: balancer keys add NAME ~/.ssh/id_ed25519.pub")
    else:
        rows = [(each.name, each.fingerprint, output.ago(each.created_at)) for each in found]
        output.table("Key", "Fingerprint", "Added", rows=rows)


@app.command()
def remove(key: KeyArgument, as_json: AsJson = False) -> None:
    """Let a key push no longer. Example: [bold]balancer keys remove ada@laptop[/]."""
    with connect() as client:
        client.remove_key(key)
    if as_json:
        output.print_json({"removed": key})
    else:
        output.plain(f"{key} may push no longer.")


def _text(file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read(_LIMIT_CHARACTERS)
        with Path(file).expanduser().open() as opened:
            return opened.read(_LIMIT_CHARACTERS)
    except (OSError, UnicodeDecodeError) as reason:
        raise InvalidInput(f"{file} cannot be read: {reason}") from reason
