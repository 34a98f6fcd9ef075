"""Which daemon a command speaks to, and with which token."""

import os
from functools import cache
from typing import Annotated

import typer

from balancer import config
from balancer.client import Client
from balancer.config import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Tail = Annotated[bool, typer.Option("--tail", help="Then go on with what the app prints, until Ctrl-C.")]
TailMeanwhile = Annotated[bool, typer.Option("--tail", help="Meanwhile show what the app prints.")]
DuringFreeze = Annotated[bool, typer.Option("--during-freeze", help="Also in a freeze: an emergency.")]
AppArgument = Annotated[str, typer.Argument(metavar="APP", help="Name of the app.", show_default=False)]


class _Target:
    """What --url and --token said."""

    url: str | None = None
    token: str | None = None


def choose(url: str | None, token: str | None) -> None:
    """Note what the command line says; without it the settings and the token file of this machine count."""
    _Target.url, _Target.token = url, token


def connect() -> Client:
    """Return a client of the daemon that is meant."""
    settings = _settings()
    url = _Target.url or f"http://{settings.admin_host}:{settings.admin_port}"
    return Client(url, _Target.token or _local_token(settings))


@cache
def _settings() -> Settings:
    return config.load({})


def _local_token(settings: Settings) -> str | None:
    path = settings.token_file
    return path.read_text().strip() if os.access(path, os.R_OK) else None
