"""All commands, gathered; the options that belong to every one.

Invariant: a command that is typed loads its own module and what that needs, and no other: to be quick.
"""

from importlib import import_module
from typing import Annotated

import typer

from balancer import __version__
from balancer.cli import target

# Word → the module that has it, and its name there; below the heads that the help has.
_HIDDEN = {"ledger": "serve.ledger", "ssh-serve": "ssh.ssh_serve"}
_PANELS = {
    "Apps": {
        "apps": "apps.app",
        "branches": "branches.app",
        "config": "config.app",
        "keys": "keys.app",
        "source": "source.app",
    },
    "Deploys": {
        "deploy": "deploy.deploy",
        "cancel": "cancel.cancel",
        "releases": "deploys.releases",
        "rollback": "deploys.rollback",
    },
    "What runs": {
        "ps": "deploys.ps",
        "logs": "deploys.logs",
        "scale": "formation.scale",
        "restart": "formation.restart",
        "stop": "formation.stop",
        "start": "formation.start",
        "maintenance": "formation.maintenance",
        "pause": "formation.pause",
        "resume": "formation.resume",
        "run": "run.run",
        "cron": "cron.cron",
    },
    "Splits": {
        "split": "plan.app",
        "rollout": "rollout_plan.app",
        "bandit": "bandits.app",
        "freeze": "freeze.app",
        "metrics": "metrics.app",
        "stats": "stats.stats",
        "preview": "preview.preview",
    },
    "Events": {"events": "events.app", "visitors": "visitors.app"},
    "The platform": {
        "open": "dashboard.open_",
        "serve": "serve.serve",
        "status": "serve.status",
        "upgrade": "upgrade.upgrade",
        "notify": "notify.app",
        "audit": "audit.audit",
        "tokens": "tokens.app",
    },
}


def gathered(word: str = "") -> typer.Typer:
    """Return the command that is called so, as `balancer` has it; all of them where there is none."""
    app = typer.Typer(
        name="balancer",
        help="Continuous deployment with split testing, in front of HAProxy.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    places: dict[str, tuple[str | None, str]] = {each: (None, place) for each, place in _HIDDEN.items()}
    places |= {each: (panel, place) for panel, words in _PANELS.items() for each, place in words.items()}
    for name, (panel, place) in {word: places[word]}.items() if word in places else places.items():
        module, _, attribute = place.partition(".")
        command = getattr(import_module(f"balancer.cli.{module}"), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            app.command(name, hidden=panel is None, rich_help_panel=panel)(command)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"balancer {__version__}")
        raise typer.Exit


def _options(
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
