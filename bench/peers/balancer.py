"""Ours: HAProxy with the configuration and the maps that the platform renders, and a split that runs."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from balancer.domain.routing import RouteTable
from balancer.proxy.installed import find_executable
from balancer.proxy.listener import listen, open_edge_log
from balancer.proxy.render import render
from contract.proxies import app_route
from peers.peer import BRANCHES, SPLIT, Peer, running

# Four phases, as a ramp to one half leaves them: cookies of every phase are looked up.
_PHASES = tuple({"master": 10_000 - test, "test": test} for test in (500, 2000, 3500, 5000))


@contextlib.contextmanager
def balancer(directory: Path, core: int, ports: Mapping[str, int]) -> Iterator[Peer]:
    """Give our data plane in front of the apps at `ports`."""
    shop = app_route("shop", {branch: [ports[branch]] for branch in BRANCHES}, split=SPLIT, weights=_PHASES)
    place = directory / "balancer"
    for name, text in render(RouteTable(apps=(shop,)), maxconn=4000).files().items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (site,) = listen("127.0.0.1", 0)
    edge = open_edge_log(directory / "edge")
    (log,) = (directory / "edge").glob("*.log")
    environment = {**os.environ, "BALANCER_WEB_FD": str(site.fileno()), "BALANCER_EDGE_FD": str(edge)}
    command = [find_executable("haproxy"), "-W", "-f", "haproxy.cfg"]
    with (
        site,
        running(
            "balancer",
            command,
            port=site.getsockname()[1],
            core=core,
            directory=place,
            environment=environment,
            exposures=log,
            keep=(site.fileno(), edge),
        ) as peer,
    ):
        yield peer
    os.close(edge)
