"""`balancer deploy`: what is not pushed is deployed all the same."""

import getpass
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Literal

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from balancer.cli import output, progress
from balancer.cli.pack import pack, pack_commit
from balancer.cli.target import AppArgument, AsJson, DuringFreeze, Tail, connect
from balancer.client import Client
from balancer.domain.remote import RemoteUrl
from balancer.errors import InvalidInput, InvalidName
from balancer.wire.releases import Progress as Step

_CHUNK_BYTES = 256 * 1024


def deploy(
    name: AppArgument,
    source: Annotated[
        str, typer.Option("--from", metavar="DIR|REPO@REF", help="A directory, or a repository.", show_default=False)
    ],
    branch: Annotated[
        str | None, typer.Option(help="The branch to deploy to.", show_default="the default branch")
    ] = None,
    message: Annotated[str | None, typer.Option("--message", "-m", help="What `balancer releases` says of it.")] = None,
    during_freeze: DuringFreeze = False,
    rollout: Annotated[
        Literal["none"] | None, typer.Option(help="none: switch at once, whatever balancer.toml says of a rollout.")
    ] = None,
    tail: Tail = False,
    as_json: AsJson = False,
) -> None:
    """Deploy a directory, or a commit of a repository, without a push. Example: [bold]balancer deploy shop --from .[/].

    REPO@REF is fetched by the platform where REPO is an https, http or ssh URL, and sent from here where it is a
    directory. Example: [bold]balancer deploy shop --from https://git.example/shop.git@v1.2[/].
    """
    with connect() as client:
        steps = _steps(client, name, source, branch, message, rollout, during_freeze=during_freeze)
        progress.show(client, name, steps, as_json=as_json, tail=tail)


def _steps(
    client: Client,
    name: str,
    source: str,
    branch: str | None,
    message: str | None,
    rollout: Literal["none"] | None,
    *,
    during_freeze: bool,
) -> Iterator[Step]:
    if not source:
        raise InvalidInput("--from names nothing: write a directory, or REPO@REF")
    directory, (repository, ref) = Path(source).expanduser(), _at_ref(source)
    if not directory.is_dir() and (remote := _remote(repository)):
        yield from client.deploy_fetch(name, remote, ref or "HEAD", branch, rollout, during_freeze=during_freeze)
        return
    with tempfile.TemporaryFile() as archive, _progress() as shown:
        packing = shown.add_task("Packing", total=None)

        def packed(done: int, total: int) -> None:
            shown.update(packing, completed=done, total=total)

        if directory.is_dir():
            pack(directory, archive, packed)
        elif ref and Path(repository).expanduser().is_dir():
            pack_commit(Path(repository).expanduser(), ref, archive, packed)
        else:
            raise InvalidInput(
                f"{source!r} is neither a directory nor REPO@REF, such as https://git.example/a.git@master"
            )
        size = archive.tell()
        archive.seek(0)
        sent = _read(archive, shown, shown.add_task("Sending", total=size))
        what = message or f"Deployed from {directory.resolve().name if directory.is_dir() else source}"
        steps = client.deploy_archive(
            *(name, sent, size),
            branch=branch,
            message=what,
            author=_user(),
            rollout=rollout,
            during_freeze=during_freeze,
        )
        for step in steps:
            shown.stop()
            yield step


def _at_ref(source: str) -> tuple[str, str | None]:
    """Return what stands before and after the last @, where that is not a part of a URL."""
    repository, at, ref = source.rpartition("@")
    return (
        (repository, ref) if at and (_remote(repository) or Path(repository).expanduser().is_dir()) else (source, None)
    )


def _remote(text: str) -> str | None:
    try:
        return RemoteUrl(text)
    except InvalidName:
        return None


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    return Progress(*columns, console=output.errors, transient=True, disable=not output.errors.is_terminal)


def _read(archive: IO[bytes], shown: Progress, task: TaskID) -> Iterator[bytes]:
    while chunk := archive.read(_CHUNK_BYTES):
        yield chunk
        shown.advance(task, len(chunk))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, in a container say
        return str(os.getuid())
