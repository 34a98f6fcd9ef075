"""All commands, gathered; the options that belong to every one."""

from typing import Annotated

import typer

from balancer import __version__
from balancer.cli import apps, config, deploys, serve, splits, stats, target

app = typer.Typer(
    name="balancer",
    help="Continuous deployment with split testing, in front of HAProxy.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve.serve)
app.command(hidden=True)(serve.ledger)
app.command()(serve.status)
app.add_typer(apps.app, name="apps")
app.add_typer(config.app, name="config")
app.command()(deploys.releases)
app.command()(deploys.rollback)
app.command()(deploys.ps)
app.command()(deploys.logs)
app.add_typer(splits.app, name="split")
app.command()(stats.stats)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"balancer {__version__}")
        raise typer.Exit


@app.callback()
def options(
    url: Annotated[
        str | None,
        typer.Option(envvar="BALANCER_URL", help="The admin API to speak to.", show_default="http://127.0.0.1:9090"),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="BALANCER_TOKEN", help="The token to use.", show_default="that of the data directory on this machine"
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Push a branch, and it is live. Push two, share visitors between them, and see which one wins."""
    target.choose(url, token)
