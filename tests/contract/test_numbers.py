"""The real HAProxy numbers the lines of its edge log: each worker from 0 on, without a gap."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from balancer.domain.entry import Batch
from balancer.domain.routing import RouteTable
from balancer.proxy.accesslog import read_line
from contract.proxies import app_route
from contract.sites import NEW, Site, Visitor, site
from waiting import eventually

pytestmark = pytest.mark.anyio
EVENT = b'{"name": "a"}'


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as started:
        yield started


def back(number: int, flag: int = 0) -> Visitor:
    """Return a visitor who comes back, for the first time or as one who was counted."""
    cookie = f"{uuid.UUID(int=number + 1)}.s7.test.1.{flag}.1700000000000"
    return replace(NEW, name="back", cookie=cookie)


def numbers(at: Site) -> dict[object, list[object]]:
    """Return the numbers of the lines by their worker, in their order."""
    found: dict[object, list[object]] = {}
    for line in at.proxy.edge_lines():
        found.setdefault(line["p"], []).append(line["n"])
    return found


async def beacon(at: Site) -> None:
    length = f"Content-Length: {len(EVENT)}"
    assert (await at.ask(back(1, 1).request("POST /_balancer/events", length, body=EVENT))).status == 204


async def no_request(at: Site) -> None:
    assert (await at.ask(b"GET / HTTP/1.1\r\nHost: a\r\n: none\r\n\r\n")).status == 400


async def two_lengths(at: Site) -> None:
    assert (await at.ask(NEW.request("POST /", "Content-Length: 1", "Content-Length: 2"))).status == 400


async def a_host_that_is_none(at: Site) -> None:
    assert (await at.ask(b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n")).status == 400


async def an_exposure(at: Site) -> None:
    assert (await at.ask(back(2).request("GET /"))).status == 200


async def one_who_was_counted(at: Site) -> None:
    assert (await at.ask(back(3, 1).request("GET /"))).status == 200


async def a_host_that_is_unknown(at: Site) -> None:
    assert (await at.ask(b"GET / HTTP/1.1\r\nHost: unknown\r\n\r\n")).status == 404


async def one_who_leaves_in_a_beacon(at: Site) -> None:
    client = await at.connect()
    await client.send(back(4).request("POST /_balancer/events", "Content-Length: 90", body=EVENT))
    client.reset()


WRITTEN = (beacon, no_request, two_lengths, a_host_that_is_none, an_exposure)
SILENT = (one_who_was_counted, a_host_that_is_unknown)


async def test_lines_of_a_worker_have_the_numbers_from_0_on_and_requests_without_a_line_have_none(at: Site) -> None:
    for round_ in range(1, 11):
        for each in (*WRITTEN, *SILENT):
            await each(at)
        await eventually(lambda: len(at.proxy.edge_lines()) == round_ * len(WRITTEN), 30)  # noqa: B023 # waited for
    (of_one,) = numbers(at).values()
    assert of_one == list(range(10 * len(WRITTEN)))


async def test_they_do_too_when_many_come_at_once_and_leave_in_the_middle(at: Site) -> None:
    await asyncio.gather(*[each(at) for each in (*WRITTEN, *SILENT, one_who_leaves_in_a_beacon) * 40])
    await beacon(at)
    await eventually(lambda: len(at.proxy.edge_lines()) > 40 * len(WRITTEN), 30)
    (of_one,) = numbers(at).values()
    assert of_one == list(range(len(of_one)))


async def test_a_new_worker_begins_anew_and_the_old_one_goes_on_with_its_own(at: Site) -> None:
    old = await at.connect()
    length = f"Content-Length: {len(EVENT)}"
    began = back(5, 1).request("POST /_balancer/events", length, body=EVENT)
    await beacon(at)
    await old.send(began[:-1])
    more = tuple(app_route(name, {"master": [at.upstream.port]}) for name in ("shop", "more"))
    await at.proxy.haproxy.apply(RouteTable(apps=more))
    await beacon(at)
    await old.send(began[-1:])
    assert (await old.answer()).status == 204
    await at.proxy.haproxy.renew()
    await beacon(at)
    await eventually(lambda: len(at.proxy.edge_lines()) == 4, 30)
    assert sorted(numbers(at).values()) == [[0], [0], [0, 1]]


async def test_the_ledger_misses_none_of_what_was_written(at: Site) -> None:
    await asyncio.gather(*[each(at) for each in WRITTEN * 20])
    await at.proxy.haproxy.renew()
    await asyncio.gather(*[each(at) for each in WRITTEN * 20])
    await eventually(lambda: len(at.proxy.edge_lines()) == 40 * len(WRITTEN), 30)
    batch = Batch()
    for line in at.proxy.edge_bytes():
        read_line(line, batch)
    assert (batch.lost, len(batch.expected)) == (0, 2)
