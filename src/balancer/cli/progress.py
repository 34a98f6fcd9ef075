"""What a command shows while the platform does what it asked for, and afterwards."""

from collections.abc import Iterable

from balancer.cli import output
from balancer.client import Client
from balancer.errors import Unavailable
from balancer.wire.releases import Progress

# 10: what an instance says when it starts.
_LINES_BEFORE = 10


def show(client: Client, name: str, steps: Iterable[Progress], *, as_json: bool, tail: bool = False) -> None:
    """Print each step, and with --json only what came of them in the end; then, with --tail, what the app prints."""
    end = None
    for step in steps:
        end = step
        if step.line is not None and not as_json:
            output.plain(step.line)
    if end is None or end.line is not None:
        raise Unavailable("the daemon broke off; see what it has done, and do it again where that is not wanted")
    if as_json:
        output.print_json(
            next(v for v in (end.release, end.app, end.formation, end.config, end.split) if v is not None)
        )
    if tail:
        show_logs(client, name, as_json=as_json)


def show_logs(client: Client, name: str, *, as_json: bool) -> None:
    """Print what the instances of an app print, until Ctrl-C."""
    for entry in client.logs(name, branch=None, lines=_LINES_BEFORE, follow=True):
        if as_json:
            output.print_json(entry)
        else:
            output.labelled(entry.instance, "cyan", f" | {entry.line}")
