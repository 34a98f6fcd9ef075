"""`make bench-proxy`: what a request costs, ours beside nginx, Caddy, Envoy and HAProxy without a split.

In one run, in turns: the proxy on one core; load and backend on the other. Medians of the rounds. The last line is
JSON; the figures are of this machine and this run.
"""

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from browsing import Browser
from peers.backend import apps
from peers.balancer import balancer
from peers.caddy import caddy
from peers.cookies import cookie
from peers.cores import busy_seconds, cpu_seconds, two_cores
from peers.delay import Delay, half_load
from peers.envoy import envoy
from peers.events import ledger_rate, send_beacons
from peers.haproxy import haproxy
from peers.load import load, request
from peers.nginx import nginx, nginx_all
from peers.peer import HOST, SPLIT, Peer
from waiting import until

console = Console(width=120)
_PEERS: dict[str, Callable[[Path, int, Mapping[str, int]], contextlib.AbstractContextManager[Peer]]] = {
    "balancer": balancer,
    "nginx": nginx,
    "nginx_all": nginx_all,
    "caddy": caddy,
    "envoy": envoy,
    "haproxy": haproxy,
}
# 1,000 visitors in turns: both variants, and what a proxy remembers of one has gone when they come again.
_VISITORS = 1000
# 32: enough to keep the proxy's core busy, few enough for it to answer within 2 ms.
_CONNECTIONS = 32
_KINDS: dict[str, list[str]] = {
    "returning": [request(cookie(number, "1")) for number in range(_VISITORS)],
    "new": [request(None)],
    "exposure": [request(cookie(number, "0")) for number in range(_VISITORS)],
    "known": [request(cookie(number, "1", "s3")) for number in range(_VISITORS)],
}


class Costs:
    """What requests of a kind have cost at a proxy, round by round."""

    def __init__(self) -> None:
        self.cpu_us: list[float] = []
        self.per_second: list[float] = []

    @property
    def cpu(self) -> float:
        """The median of the CPU time of a request, in µs."""
        return statistics.median(self.cpu_us)

    @property
    def throughput(self) -> float:
        """The median of the answers a second."""
        return statistics.median(self.per_second)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2, help="of load a turn")
    parser.add_argument("--only", nargs="+", choices=_PEERS, default=list(_PEERS), help="compare only these")
    options = parser.parse_args()
    ours, other = two_cores()
    os.sched_setaffinity(0, {other})
    with tempfile.TemporaryDirectory(prefix="balancer-bench-") as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        ports = stack.enter_context(apps(directory, other))
        peers = {each: stack.enter_context(_PEERS[each](directory, ours, ports)) for each in options.only}
        for peer in peers.values():
            check(peer)
        busy, began = busy_seconds(ours), time.monotonic()
        used = sum(cpu_seconds(peer.pid) for peer in peers.values())
        costs = compare(peers, options.rounds, options.seconds, other, directory)
        used = sum(cpu_seconds(peer.pid) for peer in peers.values()) - used
        others = max(0.0, busy_seconds(ours) - busy - used) / (time.monotonic() - began)
        show(costs)
        console.print(f"Other work on the proxy's core took {others:.0%} of it; above a few, run it again.")
        figures: dict[str, object] = {
            "cpu_us": {peer: round(costs[peer, "returning"].cpu, 2) for peer in peers},
            "per_second": {peer: round(costs[peer, "returning"].throughput) for peer in peers},
            "others_share": round(others, 3),
        }
        if "balancer" in peers:
            figures |= of_ours(
                peers["balancer"], peers.get("haproxy"), ports["master"], costs, options.seconds, other, directory
            )
    print(json.dumps(figures))


def of_ours(
    peer: Peer,
    bare: Peer | None,
    app: int,
    costs: Mapping[tuple[str, str], Costs],
    seconds: int,
    core: int,
    directory: Path,
) -> dict[str, object]:
    """Measure what only ours does, print it, and return the figures."""
    returning = costs["balancer", "returning"]
    ports = {"ours": peer.port, "no proxy": app} | ({"haproxy": bare.port} if bare else {})
    delays: dict[str, list[Delay]] = {name: [] for name in ports}
    for name in list(ports) * 3:
        seen = half_load(ports[name], returning.throughput, core=core, directory=directory, seconds=seconds)
        delays[name].append(seen)
    p99 = {name: statistics.median(each.p99_ms for each in seen) for name, seen in delays.items()}
    rate = statistics.median(each.per_second for each in delays["ours"])
    times = ", ".join(f"{name} {time:.2f} ms" for name, time in p99.items())
    console.print(f"At half load ({rate:,.0f} requests a second), p99: {times}")
    beacons = [send_beacons(peer, core=core, directory=directory, seconds=seconds) for _ in range(3)]
    events, lost = statistics.median(each.per_second for each in beacons), sum(each.lost for each in beacons)
    event_cpu = statistics.median(each.cpu_us for each in beacons)
    console.print(f"Events at the edge: {events:,.0f} a second, {event_cpu:.1f} µs of the core each; {lost} lost")
    assert peer.exposures is not None
    taken = ledger_rate(peer.exposures, directory)
    console.print(f"The ledger takes {taken:,.0f} lines of the edge log in a second of CPU time")
    ratios = {kind: round(costs["balancer", kind].cpu / returning.cpu, 2) for kind in _KINDS if kind != "returning"}
    return {
        "new_visitor_ratio": max(ratios["new"], ratios["exposure"]),
        "ratios": ratios,
        "p99_added_ms": round(p99["ours"] - p99["no proxy"], 3),
        "p99_ms": p99,
        "events_per_s": round(events),
        "events_per_cpu_s": round(1e6 / event_cpu),
        "events_lost": lost,
        "ledger_events_per_s": round(taken),
    }


def check(peer: Peer) -> None:
    """Make sure that a proxy does the work that it is measured at."""
    told = Browser(peer.port, HOST, cookie(1, "1")).get()
    assert told.status == 200, f"{peer.name}: {told}"
    words = told.body.split()
    # Envoy tells the machine's own address for a client on loopback.
    assert words[-4].count(".") == 3, f"{peer.name} does not say where a request came from: {words}"
    assert words[-3:-1] == ["http", HOST], f"{peer.name} does not say where a request came from: {words}"
    if peer.exposures is None:
        return
    for number in range(20):
        mine = cookie(number, "1")
        visitor, _, variant, *_ = mine.split(".")
        answer = Browser(peer.port, HOST, mine).get()
        assert answer.body.split()[:4] == [variant, visitor, SPLIT, variant], f"{peer.name}: {answer.body}"
        assert answer.headers["Set-Cookie"] is None, f"{peer.name} sets the cookie of one who was counted"
    seen = set()
    for _ in range(40):
        new = Browser(peer.port, HOST)
        variant, visitor, *_ = new.get().body.split()
        assert new.cookie.startswith(f"{visitor}.{SPLIT}.{variant}."), f"{peer.name}: {new.cookie}"
        assert new.cookie.split(".")[4] == "0"
        seen.add(variant)
    assert len(seen) == 2, f"{peer.name} gives all visitors one variant"
    before = _exposures(peer.exposures)
    returned = Browser(peer.port, HOST, cookie(3, "0"))
    answer = returned.get()
    assert answer.body.split()[0] == "test"
    assert returned.cookie == cookie(3, "1"), f"{peer.name}: {answer.headers['Set-Cookie']}"
    exposures = peer.exposures
    until(lambda: _exposures(exposures) == before + 1, 15)  # Envoy writes each 10 s


def _exposures(log: Path) -> int:
    """Return how many lines name a visitor."""
    visitor = str(uuid.UUID(cookie(3, "0").split(".")[0]))
    return log.read_text().count(visitor) if log.exists() else 0


def compare(
    peers: Mapping[str, Peer], rounds: int, seconds: int, core: int, directory: Path
) -> dict[tuple[str, str], Costs]:
    """Return the costs by proxy and kind of request, measured in turns."""
    turns = [(peer, "returning") for peer in peers]
    turns += [("balancer", kind) for kind in _KINDS if kind != "returning" and "balancer" in peers]
    costs = {turn: Costs() for turn in turns}
    for peer, kind in track(turns * rounds, "in turns", console=console, transient=True):
        one = peers[peer]
        before = cpu_seconds(one.pid)
        seen = load(one.port, _KINDS[kind], core=core, directory=directory, seconds=seconds, connections=_CONNECTIONS)
        used = cpu_seconds(one.pid) - before
        assert not seen.errors, f"{peer}: {seen}"
        costs[peer, kind].cpu_us.append(used / seen.requests * 1e6)
        costs[peer, kind].per_second.append(seen.per_second)
    return costs


def show(costs: Mapping[tuple[str, str], Costs]) -> None:
    """Print the table."""
    table = Table("Proxy", "Request", "CPU µs", "from – to", "a second", "ours / this")
    base = costs["balancer", "returning"].cpu if ("balancer", "returning") in costs else 0
    for (peer, kind), cost in costs.items():
        spread = f"{min(cost.cpu_us):.1f} – {max(cost.cpu_us):.1f}"
        table.add_row(peer, kind, f"{cost.cpu:.1f}", spread, f"{cost.throughput:,.0f}", f"{base / cost.cpu:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
