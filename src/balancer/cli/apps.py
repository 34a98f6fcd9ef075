"""`balancer apps`: what is served."""

from typing import Annotated

import typer

from balancer.cli import output, progress
from balancer.cli.target import AppArgument, AsJson, connect

app = typer.Typer(name="apps", help="Apps: create, list, delete, find where to push.", no_args_is_help=True)


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
        rows = [
            (each.name, each.default_branch or "nothing live yet", each.mode, " ".join(each.urls)) for each in found
        ]
        output.table("App", "Default branch", "Mode", "Answers on", rows=rows)


@app.command()
def delete(
    name: AppArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete an app: its releases, repository and config vars. Example: [bold]balancer apps delete shop[/]."""
    if not yes and not typer.confirm(f"Delete {name}, with its releases, repository and config vars?", err=True):
        raise typer.Exit(1)
    with connect() as client:
        progress.show(client, name, client.delete_app(name), as_json=as_json)


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
