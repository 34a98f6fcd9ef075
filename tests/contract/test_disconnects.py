"""Clients that leave in the middle of anything leave nothing behind: no session, descriptor, or request at an app."""

import asyncio
import itertools
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

import pytest

from balancer.domain.entry import EXPOSURE, Batch
from balancer.proxy import runtime
from balancer.proxy.accesslog import read_line
from contract.sites import NEW, VISITORS, Client, Site, Visitor, site
from waiting import eventually

pytestmark = pytest.mark.anyio
CLIENTS, AT_ONCE = 1000, 50
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


async def half_a_head(client: Client, visitor: Visitor) -> None:
    await client.send(visitor.request("GET /hold")[:-2])


async def half_a_body(client: Client, visitor: Visitor) -> None:
    await client.send(visitor.request("POST /a", "Content-Length: 10", body=b"half"))


async def half_a_chunk(client: Client, visitor: Visitor) -> None:
    await client.send(visitor.request("POST /a", "Transfer-Encoding: chunked", body=b"a\r\nhalf"))


async def half_a_beacon(client: Client, visitor: Visitor) -> None:
    await client.send(visitor.request("POST /_balancer/events", "Content-Length: 20", body=b'{"name": '))


async def waiting_for_an_answer(client: Client, visitor: Visitor) -> None:
    await client.send(visitor.request("GET /hold"))


async def waiting_for_an_answer_to_a_post(client: Client, visitor: Visitor) -> None:
    await client.send(visitor.request("POST /hold", "Content-Length: 4", body=b"body"))


async def in_a_download(client: Client, visitor: Visitor) -> None:
    await client.send(visitor.request("GET /endless"))
    assert (await client.head())[0] == 200
    assert await client.chunk()


async def in_an_event_stream_that_is_silent(client: Client, visitor: Visitor) -> None:
    await client.send(visitor.request("GET /events", "Accept: text/event-stream"))
    assert (await client.head())[0] == 200
    assert await client.chunk()


async def in_a_websocket(client: Client, visitor: Visitor) -> None:
    await client.send(visitor.request("GET /websocket", *UPGRADE))
    assert (await client.head())[0] == 101
    await client.send(b"hello")
    assert await client.reader.readexactly(5) == b"hello"


MOMENTS: tuple[Callable[[Client, Visitor], Coroutine[None, None, None]], ...] = (
    half_a_head,
    half_a_body,
    half_a_chunk,
    half_a_beacon,
    waiting_for_an_answer,
    waiting_for_an_answer_to_a_post,
    in_a_download,
    in_an_event_stream_that_is_silent,
    in_a_websocket,
)
HELD = (waiting_for_an_answer, waiting_for_an_answer_to_a_post, in_an_event_stream_that_is_silent)
LEAVES: tuple[Callable[[Client], None], ...] = (Client.close, Client.reset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What HAProxy and the instance hold."""

    sessions: int
    descriptors: int
    at_the_app: int
    held_by_the_app: int


async def kept(at: Site) -> Kept:
    """Return what is held now; of HAProxy's sessions our own question is one."""
    admin = at.proxy.haproxy.admin
    worker = await runtime.worker(admin)
    return Kept(
        sessions=len((await runtime.ask(admin, "show sess")).splitlines()),
        descriptors=sum(1 for _ in Path(f"/proc/{worker.pid}/fd").iterdir()),
        at_the_app=at.upstream.connections,
        held_by_the_app=at.upstream.waiting,
    )


async def leave_in_the_middle(at: Site, clients: int) -> None:
    """Let clients of all kinds come, `AT_ONCE` at a time, and leave at all moments, half of them by a reset."""
    kinds = itertools.islice(itertools.cycle(itertools.product(MOMENTS, LEAVES, VISITORS)), clients)
    while batch := list(itertools.islice(kinds, AT_ONCE)):
        there = [await at.connect() for _ in batch]
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for client, (moment, _, visitor) in zip(there, batch, strict=True):
                tasks.create_task(moment(client, visitor))
        held = sum(moment in HELD for moment, _, _ in batch)
        await eventually(lambda held=held: at.upstream.waiting == held, 60)  # type: ignore[misc]
        for client, (_, leave, _) in zip(there, batch, strict=True):
            leave(client)
        await eventually(lambda: at.upstream.waiting == 0, 60)
        at.clients.clear()


def said(at: Site) -> Batch:
    """Return what the ledger reads of the edge log."""
    batch = Batch()
    for line in at.proxy.edge_bytes():
        read_line(line, batch)
    return batch


async def test_a_thousand_clients_that_leave_in_the_middle_leave_nothing_behind(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        assert (await at.ask(NEW.request("GET /first"))).status == 200
        at.begin()
        before = await kept(at)
        await leave_in_the_middle(at, CLIENTS)

        async def as_before() -> bool:
            now = await kept(at)
            return (
                now.sessions <= before.sessions
                and now.descriptors <= before.descriptors
                and now.at_the_app <= before.at_the_app
                and now.held_by_the_app == 0
            )

        await eventually(as_before, 60)
        assert said(at).lost == 0
        assert said(at).entries == [], "who left was neither counted nor an error of the app"
        assert (await at.ask(NEW.request("GET /next"))).status == 200

        back = Visitor(name="back", host=NEW.host, cookie=f"{uuid.UUID(int=7)}.s7.test.1.0.1700000000000")
        assert (await at.ask(back.request("GET /back"))).status == 200
        await eventually(lambda: [entry.name for entry in said(at).entries] == [EXPOSURE], 30)
