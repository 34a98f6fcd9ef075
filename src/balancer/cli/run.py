"""`balancer run`: a command run once in the environment of what is live."""

import base64
import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Annotated

import typer

from balancer.cli import output
from balancer.cli.target import AppArgument, AsJson, connect
from balancer.errors import BalancerError, Unavailable

_CHUNK_BYTES = 65_536


def run(
    name: AppArgument,
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", show_default=False)],
    branch: Annotated[str | None, typer.Option(help="Another branch than the default one.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0.001, help="Seconds after which it is killed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a command once, as the live release would. Example: [bold]balancer run shop -- python manage.py migrate[/].

    It has the release's tree and config vars, gets what is piped in, and ends when this command does. Its exit status
    is ours; 124 where it took longer than --timeout.
    """
    with_input = not sys.stdin.isatty()
    said = {"stdout": b"", "stderr": b""}
    status = None
    with connect() as client:
        for step in client.run(name, command, branch=branch, with_input=with_input, timeout_seconds=timeout):
            if step.id is not None and with_input:
                threading.Thread(target=_feed, args=(name, step.id), daemon=True).start()
            for stream, text in (("stdout", step.stdout), ("stderr", step.stderr)):
                if text is None:
                    continue
                if as_json:
                    said[stream] += base64.b64decode(text)
                else:
                    _write(stream, base64.b64decode(text))
            status = step.status
    if status is None:
        raise Unavailable("the daemon broke off, and has ended the command")
    if as_json:
        texts = {stream: chunk.decode(errors="replace") for stream, chunk in said.items()}
        output.print_json({"status": status, **texts})
    raise typer.Exit(status)


def _write(stream: str, chunk: bytes) -> None:
    to = sys.stdout.buffer if stream == "stdout" else sys.stderr.buffer
    to.write(chunk)
    to.flush()


def _feed(name: str, number: str) -> None:
    """Pass standard input on; a command that has ended wants no more of it."""
    with contextlib.suppress(BalancerError), connect() as client:
        client.feed(name, number, _input())


def _input() -> Iterator[bytes]:
    # Not by sys.stdin: a thread that waits there holds a lock that Python wants when it ends.
    while chunk := os.read(0, _CHUNK_BYTES):
        yield chunk
