"""`balancer apps`: what is served."""

from typing import Annotated

import typer

from balancer.cli import output
from balancer.cli.target import AppArgument, AsJson, connect

app = typer.Typer(help="Apps: create, list, find where to push.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="APP", help="Lower-case letters, digits, -.", show_default=False)],
    default_branch: Annotated[
        str | None,
        typer.Option(help="The branch that visitors see outside a split.", show_default="the first to go live"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create an app, and say where to push it. Example: [bold]balancer apps create shop[/]."""
    with connect() as client:
        made = client.create_app(name, default_branch)
        remote = client.remote(name)
    if as_json:
        output.print_json({**made.model_dump(mode="json"), "remote": remote})
        return
    output.plain(f"The app {made.name} is there. In the repository of its code:\n")
    output.plain(f"    git remote add balancer {remote}")
    output.plain("    git push balancer master      (or any other branch)\n")
    output.plain(f"It will answer on {made.urls[0]}")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the apps. Example: [bold]balancer apps list --json[/]."""
    with connect() as client:
        found = client.apps()
    if as_json:
        output.print_json(found)
    elif not found:
        output.plain("There are no apps yet; make one with: balancer apps create shop")
    else:
        rows = [(each.name, each.default_branch or "nothing live yet", " ".join(each.urls)) for each in found]
        output.table("App", "Default branch", "Answers on", rows=rows)


@app.command()
def remote(name: AppArgument, as_json: AsJson = False) -> None:
    """Print the git remote of an app, with a token.

    Example: [bold]git remote add balancer $(balancer apps remote shop)[/].
    """
    with connect() as client:
        found = client.remote(name)
    if as_json:
        output.print_json({"remote": found})
    else:
        output.plain(found)
