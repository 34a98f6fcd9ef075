"""What a command shows while the platform does what it asked for, and afterwards."""

import contextlib
import threading
from collections.abc import Iterable

from balancer.cli import output
from balancer.client import Client
from balancer.errors import BalancerError, Unavailable
from balancer.wire.instances import LogLine
from balancer.wire.releases import Progress

# 10: what an instance says when it starts.
_LINES_BEFORE = 10
# 2 s: a line is shown 0.2 s after it was printed; what an instance says last is the reason to follow its end.
_LAST_WORDS_SECONDS = 2.0


def show(
    client: Client,
    name: str,
    steps: Iterable[Progress],
    *,
    as_json: bool,
    tail: bool = False,
    branch: str | None = None,
) -> None:
    """Print each step, and with --json only what came of them in the end; then, with --tail, what the app prints.

    That is what all of its branches print, unless the change was of one.
    """
    end = None
    for step in steps:
        end = step
        if step.line is not None and not as_json:
            output.plain(step.line)
    if end is None or end.line is not None:
        raise Unavailable("the daemon broke off; see what it has done, and do it again where that is not wanted")
    if as_json:
        output.print_json(
            next(
                v
                for v in (end.release, end.app, end.formation, end.config, end.split, end.rollout, end.bandit)
                if v is not None
            )
        )
    of_one = end.release.branch if end.release and end.release.state == "live" else branch
    follow(client, name, tail=tail, as_json=as_json, branch=of_one)


def follow(client: Client, name: str, *, tail: bool, as_json: bool, branch: str | None = None) -> None:
    """With --tail print what the live instances of an app print, or those of one branch, until Ctrl-C."""
    if tail:
        for entry in client.logs(name, branch=branch, lines=_LINES_BEFORE, follow=True):
            show_line(entry, as_json=as_json)


def show_end(client: Client, beside: Client, name: str, steps: Iterable[Progress], *, as_json: bool) -> None:
    """Print each step, and meanwhile what the instances of the app print, of which none is left in the end.

    `beside` is another client of the same daemon.
    """

    def following() -> None:
        with contextlib.suppress(BalancerError):  # the steps tell what is wrong
            follow(beside, name, tail=True, as_json=as_json)

    thread = threading.Thread(target=following, daemon=True)
    thread.start()
    show(client, name, steps, as_json=as_json)
    thread.join(_LAST_WORDS_SECONDS)


def show_line(entry: LogLine, *, as_json: bool) -> None:
    """Print a line that an instance or a build printed."""
    if as_json:
        output.print_json(entry)
    else:
        time = entry.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        output.plain_labelled(time, entry.instance, output.colour_of(entry.instance), f" | {entry.line}")
