"""`balancer open`: the dashboard, in a browser that is signed in."""

import webbrowser
from typing import Annotated
from urllib.parse import quote

import typer

from balancer.cli import output
from balancer.cli.target import AsJson, connect
from balancer.domain.app import AppName


def open_(
    app: Annotated[
        str | None, typer.Argument(metavar="[APP]", help="The page of one app.", show_default="every app")
    ] = None,
    print_only: Annotated[bool, typer.Option("--print", help="Only print the address.")] = False,
    as_json: AsJson = False,
) -> None:
    """Open the dashboard in a browser, signed in. Example: [bold]balancer open shop[/].

    The address signs in once, within a minute; after that it is worth nothing.
    """
    with connect() as client:
        page = f"/apps/{client.app(AppName(app)).name}" if app else "/"
        address = f"{client.sign_in_link()}&next={quote(page, safe='')}"
    if as_json:
        output.print_json({"url": address})
        return
    if print_only or not webbrowser.open(address):
        if not print_only:
            output.labelled("No browser could be opened here.", "yellow", " Within a minute, open:", to=output.errors)
        output.plain(address)
