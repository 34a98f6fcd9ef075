"""The ledger process with ClickHouse as its engine: killed, left without a shard, and asked meanwhile."""

from __future__ import annotations

import asyncio
import functools
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from balancer.domain.ledger_url import LedgerUrl
from balancer.errors import LedgerUnavailable
from balancer.store.engine_choice import URL_VARIABLE
from balancer.store.ledger_client import LedgerClient
from balancer.store.ledger_life import LedgerLife
from clickhouses import Servers
from edge_lines import ASSIGNED_AT, cookie, line
from test_ledgerd import Ledger
from waiting import until

Make = Callable[[str], Ledger]


@pytest.fixture
def make_ledger(tmp_path: Path) -> Iterator[Make]:
    made: list[Ledger] = []

    def make(url: str) -> Ledger:
        made.append(Ledger(tmp_path / f"data-{len(made)}", {URL_VARIABLE: url}))
        return made[-1]

    yield make
    for ledger in made:
        if ledger.process and ledger.process.poll() is None:
            ledger.end(signal.SIGKILL)


def lines(count: int, first: int = 0) -> list[bytes]:
    """Return lines of the edge log, each an exposure with an event whose value is its number; some have an id."""
    return [
        line(
            n=number,
            exposed="1",
            cookie=cookie(number % 700),
            t=ASSIGNED_AT + number,
            event=f"purchase={number}" + (f";id=e{number}" if number % 3 == 0 else ""),
        )
        for number in range(first, first + count)
    ]


def stored(servers: Servers, url: str) -> list[int]:
    """Return the values of the purchases in the tables, in order."""
    database = LedgerUrl.parse(url).database
    found: list[int] = []
    for server in servers.servers:
        found += map(int, server.ask(f"SELECT value FROM {database}.events WHERE name = 'purchase'").split())
    return sorted(found)


def test_killed_at_any_moment_it_has_each_line_once(shards: Servers, make_ledger: Make) -> None:
    url = shards.url()
    ledger = make_ledger(url)
    chance = random.Random(5)
    count = 0
    for _ in range(8):
        ledger.start()
        ledger.write(*lines(2500, count))
        count += 2500
        begun = len(stored(shards, url)) if _grew(shards, url, -1) else 0
        if chance.random() < 0.7:
            ledger.ready()
        if chance.random() < 0.5:
            until(functools.partial(_grew, shards, url, begun), 60)
        ledger.end(signal.SIGKILL)
    ledger.start()
    ledger.caught_up()
    assert stored(shards, url) == list(range(count))
    assert ledger.intake().accepted == count
    assert sum(cell.visitors for cell in ledger.cells().exposed) == 700


def _grew(servers: Servers, url: str, begun: int) -> bool:
    database = LedgerUrl.parse(url).database
    there = all(server.ask(f"EXISTS TABLE {database}.events") == "1\n" for server in servers.servers)
    return there and len(stored(servers, url)) > begun


def test_without_a_shard_it_lives_says_so_and_loses_nothing(shards: Servers, make_ledger: Make) -> None:
    url = shards.url()
    ledger = make_ledger(url)
    ledger.start()
    ledger.write(*lines(500))
    ledger.caught_up()
    shards.servers[1].stop()
    try:
        ledger.write(*lines(500, 500))
        with pytest.raises(LedgerUnavailable, match="shard 2 of the cluster pair"):
            ledger.cells()
        until(lambda: any(each["message"] == "collect.failed" for each in ledger.log()), 30)
        assert ledger.ready().behind_bytes > 0
        ledger.end(signal.SIGKILL)
        ledger.start()  # and it may begin without it
        assert ledger.ready().behind_bytes > 0
        ledger.write(*lines(500, 1000))
        with pytest.raises(LedgerUnavailable, match=str(shards.servers[1].port)):
            ledger.cells()
    finally:
        shards.servers[1].start()
    ledger.caught_up()
    assert stored(shards, url) == list(range(1500))


def test_a_ledger_that_moves_from_the_embedded_engine_reads_on_where_that_was(
    shards: Servers, make_ledger: Make
) -> None:
    embedded = make_ledger("")
    embedded.start()
    embedded.write(*lines(300))
    embedded.caught_up()
    embedded.end(signal.SIGTERM)
    embedded.write(*lines(100, 300))
    url = shards.url()
    for _ in range(2):
        moved = Ledger(embedded.directory, {URL_VARIABLE: url})
        moved.start()
        moved.caught_up()
        assert stored(shards, url) == list(range(300, 400))
        assert moved.intake().lost_lines == 0
        moved.end(signal.SIGTERM)


def test_a_daemon_with_another_engine_replaces_the_running_ledger(
    shards: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    (tmp_path / "edge").mkdir()
    client = LedgerClient(tmp_path / "run" / "ledger.sock")

    async def story() -> None:
        embedded = LedgerLife(tmp_path, client)
        await embedded.begin()
        first = await client.ping()
        url = shards.url()
        elsewhere, again = LedgerLife(tmp_path, client, url), LedgerLife(tmp_path, client, url)
        try:
            await elsewhere.begin()
            second = await client.ping()
            await again.begin()
            third = await client.ping()
        finally:
            await again.end()
        assert first.engine == "embedded"
        assert second.engine == str(LedgerUrl.parse(url))
        assert "p w" not in second.engine
        assert first.pid != second.pid == third.pid

    asyncio.run(story())
