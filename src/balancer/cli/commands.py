"""All commands, gathered; the options that belong to every one."""

from typing import Annotated

import typer

from balancer import __version__
from balancer.cli import (
    apps,
    audit,
    bandits,
    branches,
    cancel,
    config,
    cron,
    dashboard,
    deploy,
    deploys,
    events,
    formation,
    freeze,
    keys,
    metrics,
    notify,
    plan,
    preview,
    rollout_plan,
    rollouts,
    run,
    serve,
    source,
    splits,
    ssh,
    stats,
    target,
    tokens,
    upgrade,
    visitors,
)

app = typer.Typer(
    name="balancer",
    help="Continuous deployment with split testing, in front of HAProxy.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(hidden=True)(serve.ledger)
app.command(hidden=True)(ssh.ssh_serve)

splits.app.command()(plan.plan)
rollouts.app.command()(rollout_plan.plan)

_PANELS = {
    "Apps": (apps.app, branches.app, config.app, keys.app, source.app),
    "Deploys": (deploy.deploy, cancel.cancel, deploys.releases, deploys.rollback),
    "What runs": (
        *(deploys.ps, deploys.logs, formation.scale, formation.restart, formation.stop, formation.start),
        *(formation.maintenance, formation.pause, formation.resume, run.run, cron.cron),
    ),
    "Splits": (splits.app, rollouts.app, bandits.app, freeze.app, metrics.app, stats.stats, preview.preview),
    "Events": (events.app, visitors.app),
    "The platform": (serve.serve, serve.status, upgrade.upgrade, notify.app, audit.audit, tokens.app),
}
app.command("open", rich_help_panel="The platform")(dashboard.open_)
for title, commands in _PANELS.items():
    for command in commands:
        if isinstance(command, typer.Typer):
            app.add_typer(command, rich_help_panel=title)
        else:
            app.command(rich_help_panel=title)(command)


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
