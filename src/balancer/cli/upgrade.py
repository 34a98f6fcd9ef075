"""`balancer upgrade`: the daemon becomes what is installed now, and HAProxy where that is another version."""

import time
from typing import Annotated

import typer

from balancer.cli import output
from balancer.cli.target import AsJson, connect
from balancer.errors import DaemonUnreachable, Unavailable
from balancer.wire.status import StatusBody

# 1,100 s: 900 s in which the daemon waits for a moment without a deploy, 90 s to finish, and a start.
_DEADLINE_SECONDS, _POLL_SECONDS = 1100.0, 0.2
# 30 s: calls wait in the queue of the listening socket; who is refused for so long is refused for good.
_AWAY_SECONDS = 30.0


def upgrade(
    proxy: Annotated[
        bool, typer.Option("--proxy", help="Let HAProxy execute itself again even if its version is the same.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let the daemon become what is installed now, without a visitor or a pusher noticing.

    Deploys under way are finished first; new ones wait. HAProxy, too, becomes what is installed now, if that is of
    another version than what runs. Example: [bold]balancer upgrade[/]
    """
    with connect() as client:
        before = client.status()
        versions = client.upgrade()
    if not as_json:
        output.plain(f"Balancer {versions.before} finishes its deploys, then becomes {versions.after} …")
    found = _wait_for_another_than(before)
    if proxy:
        with connect() as client:
            client.renew_proxy()
            found = client.status()
    versions_of_proxy = [each.proxy and each.proxy.version for each in (before, found)]
    if as_json:
        told = dict(zip(("before", "after"), versions_of_proxy, strict=True))
        output.print_json({"before": versions.before, "after": found.version, "pid": found.pid, "proxy": told})
        return
    output.plain(f"Balancer {found.version} runs, pid {found.pid}; before it was {versions.before}")
    if found.proxy and (proxy or versions_of_proxy[0] != found.proxy.version):
        was = f"; before it was {versions_of_proxy[0]}" if versions_of_proxy[0] else ""
        output.plain(f"HAProxy {found.proxy.version} runs, worker {found.proxy.worker}{was}")


def _wait_for_another_than(before: StatusBody) -> StatusBody:
    """Return how the platform is once another daemon answers. Raises DaemonUnreachable, Unavailable."""
    answered_at = time.monotonic()
    deadline = answered_at + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        try:
            with connect() as client:
                found = client.status()
        except DaemonUnreachable:
            if time.monotonic() > answered_at + _AWAY_SECONDS:
                raise
        else:
            answered_at = time.monotonic()
            if found.started_at != before.started_at:
                return found
        time.sleep(_POLL_SECONDS)
    raise Unavailable("the daemon was not replaced; its log says what it waits for, and `balancer status` what it is")
