"""Whoever has a branch keeps it, whatever happens to HAProxy meanwhile.

Visitors with kept cookies go on visiting while weights change, HAProxy is reloaded, killed and asked to end. A request
that breaks while HAProxy goes down tells nothing; every answer that comes must be of the visitor's branch.
"""

import asyncio
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from balancer import processes
from balancer.domain.routing import RouteTable
from contract.proxies import Proxy, app_route, haproxy, swift_instances
from pipelining import Pipeline
from waiting import eventually

pytestmark = pytest.mark.anyio
VISITS = 100_000
VISITORS = 500
SECONDS = 240
_INSTANCE = re.compile(rb"\r\nx-instance: (\w+)", re.IGNORECASE)
_COOKIE = re.compile(rb"\r\nset-cookie: balancer=([^;]+)", re.IGNORECASE)
_RAMP = ({"master": 95, "test": 5}, {"master": 80, "test": 20}, {"master": 50, "test": 50}, {"master": 99, "test": 1})


class Visitors(threading.Thread):
    """Visitors who come again and again, each with the cookie that was set last."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._pipeline = Pipeline(port)
        self._cookies: dict[int, str] = {}
        self.branches: dict[int, str] = {}
        self.visits = 0
        self.sent = 0
        self.switched: list[str] = []
        self.failed: Counter[int] = Counter()
        self.stopping = threading.Event()

    def run(self) -> None:
        deadline = time.monotonic() + SECONDS
        while not self.stopping.is_set() and time.monotonic() < deadline:
            for start in range(0, VISITORS, 100):
                self._visit(range(start, start + 100))
        self._pipeline.close()

    async def have_visited(self, times: int) -> None:
        """Return once there were so many visits, or no more will come."""
        await eventually(lambda: self.visits >= times or not self.is_alive(), SECONDS)

    def _visit(self, numbers: Sequence[int]) -> None:
        requests = [self._request(number) for number in numbers]
        self.sent += len(requests)
        for number, answer in zip(numbers, self._pipeline.ask(requests), strict=False):
            instance = answer.first(_INSTANCE)
            if answer.status != 200 or not instance:
                self.failed[answer.status] += 1
                continue
            branch = self.branches.setdefault(number, instance)
            if instance != branch:
                self.switched.append(f"{self._cookies.get(number)}: {branch} -> {instance}")
            self._cookies[number] = answer.first(_COOKIE) or self._cookies.get(number, "")
            self.visits += 1

    def _request(self, number: int) -> bytes:
        cookie = self._cookies.get(number)
        sent = f"Cookie: balancer={cookie}\r\n" if cookie else ""
        return f"GET / HTTP/1.1\r\nHost: shop.localhost\r\n{sent}\r\n".encode()


def table(ports: Mapping[str, int], changes: int, other_apps: int) -> RouteTable:
    """Return the routes after so many changes of weights; another app more is another skeleton, so a reload."""
    weights = [{branch: weight * 100 for branch, weight in _RAMP[n % len(_RAMP)].items()} for n in range(changes + 1)]
    shop = app_route("shop", {branch: [port] for branch, port in ports.items()}, split="s7", weights=weights)
    others = tuple(app_route(f"blog{n}", {"master": [ports["master"]]}) for n in range(other_apps))
    return RouteTable(apps=(shop, *others))


async def _kill(proxy: Proxy, number: signal.Signals) -> None:
    """Send a signal to HAProxy's master, and wait until another one is there."""
    directory = str(proxy.haproxy.directory)
    before = processes.find("BALANCER_PROXY", directory)
    assert before
    os.kill(before.pid, number)
    await eventually(lambda: (now := processes.find("BALANCER_PROXY", directory)) and now.pid != before.pid, 30)


async def test_a_hundred_thousand_visits_with_a_cookie_see_the_branch_that_the_first_one_saw(tmp_path: Path) -> None:
    reloads = 0
    with swift_instances(tmp_path, "master", "test") as swift:
        async with haproxy(tmp_path, table(swift, 0, 0)) as proxy:
            visitors = Visitors(proxy.port)
            visitors.start()
            try:
                for step in range(12):
                    await visitors.have_visited(VISITS * step // 12)
                    if step % 3 == 2:
                        await _kill(proxy, signal.SIGKILL if step % 2 else signal.SIGTERM)
                    reloads += step % 3 == 1
                    await proxy.haproxy.apply(table(swift, step, reloads))
                await visitors.have_visited(VISITS)
            finally:
                visitors.stopping.set()
                await asyncio.to_thread(visitors.join, 30)
    shares = Counter(visitors.branches.values())
    lost = visitors.sent - visitors.visits
    print(f"\n{visitors.visits:,} visits of {len(visitors.branches)} visitors, {dict(shares)}; {lost} broke off")
    print(f"12 changes of weights, {reloads} reloads, 2 × kill -9, 2 × SIGTERM: {len(visitors.switched)} switched")
    assert visitors.switched == []
    assert visitors.visits >= VISITS
    assert len(visitors.branches) == VISITORS
    assert set(shares) == {"master", "test"}
    assert not visitors.failed
    assert lost < VISITS / 100
