"""`balancer source`: an app follows a repository elsewhere."""

from typing import Annotated

import typer

from balancer.cli import output, progress
from balancer.cli.target import AppArgument, AsJson, DuringFreeze, Tail, connect
from balancer.wire.arrivals import SourceBody

app = typer.Typer(
    name="source", help="Sources: deploy what is pushed to GitHub, GitLab, Gitea or Forgejo.", no_args_is_help=True
)


@app.command("set")
def set_(
    name: AppArgument,
    url: Annotated[str, typer.Argument(metavar="URL", help="https, http or ssh.", show_default=False)],
    branch: Annotated[
        list[str] | None, typer.Option(help="A branch to follow; may be repeated.", show_default="all")
    ] = None,
    tail: Tail = False,
    as_json: AsJson = False,
) -> None:
    """Let an app follow a repository, and say what to enter there.

    Example: [bold]balancer source set shop https://git.example/shop.git --branch master[/].
    """
    with connect() as client:
        found = client.set_source(name, url, branch or [])
        _show(found, as_json=as_json)
        progress.follow(client, name, tail=tail, as_json=as_json)


@app.command()
def show(name: AppArgument, as_json: AsJson = False) -> None:
    """Show what an app follows. Example: [bold]balancer source show shop[/]."""
    with connect() as client:
        found = client.source(name)
    _show(found, as_json=as_json)


@app.command()
def remove(name: AppArgument, as_json: AsJson = False) -> None:
    """Follow no longer; what is live stays. Example: [bold]balancer source remove shop[/]."""
    with connect() as client:
        client.remove_source(name)
    if as_json:
        output.print_json({"removed": name})
    else:
        output.plain(f"{name} follows nothing any more.")


@app.command()
def pull(
    name: AppArgument,
    branch: Annotated[str | None, typer.Option(help="The branch to fetch.", show_default="the default branch")] = None,
    during_freeze: DuringFreeze = False,
    tail: Tail = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a branch now, and deploy what is new. Example: [bold]balancer source pull shop[/]."""
    with connect() as client:
        steps = client.pull_source(name, branch, during_freeze=during_freeze)
        progress.show(client, name, steps, as_json=as_json, tail=tail)


def _show(source: SourceBody, *, as_json: bool) -> None:
    if as_json:
        output.print_json(source)
        return
    output.plain(f"{source.app} follows {', '.join(source.branches) or 'every branch'} of {source.url}")
    output.plain("Enter at the provider, as a webhook for pushes:\n")
    output.plain(f"    URL      {source.hook}")
    output.plain(f"    secret   {source.secret}")
    output.plain("    content  application/json\n")
    output.plain("Where the provider cannot reach this address, put a proxy with TLS before it.")
