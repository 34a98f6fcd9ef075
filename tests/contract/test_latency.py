"""Slow answers, as the real HAProxy notes them: of visitors of a split, in an app that has a latency objective."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from balancer.domain.entry import Batch
from balancer.domain.routing import RouteTable
from balancer.proxy.accesslog import read_line
from contract.proxies import Proxy, app_route, haproxy
from waiting import eventually

pytestmark = pytest.mark.anyio
OBJECTIVE_MILLISECONDS = 150
LATE_SECONDS = 0.3
DEADLINE_SECONDS = 60


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer `/late…` late, `/body…` at once with a late body, `…/fail` with 500."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        if path.startswith(b"/late"):
            await asyncio.sleep(LATE_SECONDS)
        status = b"500 Sorry" if path.endswith(b"/fail") else b"200 OK"
        event = b"Balancer-Event: last\r\n" if path == b"/last" else b""
        writer.write(b"HTTP/1.1 " + status + b"\r\n" + event + b"Content-Length: 2\r\nConnection: close\r\n\r\n")
        await writer.drain()
        if path.startswith(b"/body"):
            await asyncio.sleep(LATE_SECONDS)
        writer.write(b"ok")
        await writer.drain()
    writer.close()


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        branches = {"master": [port], "test": [port]}
        shop = app_route("shop", branches, split="s7", weights=({"master": 0, "test": 10_000},))
        table = RouteTable(
            apps=(
                replace(shop, slow_after_milliseconds=OBJECTIVE_MILLISECONDS),
                app_route("other", branches, split="s8", weights=({"master": 0, "test": 10_000},)),
                replace(app_route("blog", branches), slow_after_milliseconds=OBJECTIVE_MILLISECONDS),
            )
        )
        async with haproxy(tmp_path, table) as started:
            yield started


def cookie(number: int, flag: int = 1, split: str = "s7") -> str:
    return f"{uuid.UUID(int=number)}.{split}.test.1.{flag}.1700000000000"


async def ask(proxy: Proxy, path: str, sent: str = "", host: str = "shop") -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        of_visitor = f"Cookie: balancer={sent}\r\n" if sent else ""
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}.localhost\r\n{of_visitor}Connection: close\r\n\r\n".encode())
        await reader.read()
        writer.close()


async def noted(proxy: Proxy) -> dict[str, list[tuple[str, float | None]]]:
    """Return what the ledger reads of the log, by app, once the last line is there."""
    await ask(proxy, "/last", cookie(99))
    await eventually(lambda: any(b'"last"' in line for line in proxy.edge_bytes()), DEADLINE_SECONDS)
    batch = Batch()
    for line in proxy.edge_bytes():
        read_line(line, batch)
    found: dict[str, list[tuple[str, float | None]]] = {}
    for entry in batch.entries:
        if entry.visitor != str(uuid.UUID(int=99)):
            found.setdefault(entry.app, []).append((entry.name, entry.value))
    return found


@pytest.mark.parametrize(
    ("path", "sent", "names"),
    [
        ("/late", cookie(1), ["$slow"]),
        ("/late", cookie(2, flag=0), ["$exposure", "$slow"]),
        ("/late", "", ["$slow"]),
        ("/late/fail", cookie(3), ["$error", "$slow"]),
        ("/late", cookie(4, split="s6"), ["$exposure", "$slow"]),
    ],
    ids=["counted", "exposed", "new", "failed", "of another split"],
)
async def test_an_answer_that_begins_late_is_noted_with_its_assignment(
    proxy: Proxy, path: str, sent: str, names: list[str]
) -> None:
    await ask(proxy, path, sent)
    found = (await noted(proxy)).get("shop", [])
    assert [name for name, _ in found] == names
    for value in (value for name, value in found if name == "$slow"):
        assert value is not None
        assert LATE_SECONDS * 1000 - 5 <= value < 60_000


@pytest.mark.parametrize("path", ["/body", "/"], ids=["slow body", "quick"])
async def test_an_answer_that_begins_in_time_is_not_noted(proxy: Proxy, path: str) -> None:
    """Of a few: where other things hold the machine up for so long, one of them may begin late all the same."""
    tries = range(1, 6)
    for number in tries:
        await ask(proxy, path, cookie(number))
    assert len((await noted(proxy)).get("shop", [])) < len(tries)


async def test_without_an_objective_or_a_split_nothing_is_noted(proxy: Proxy) -> None:
    await ask(proxy, "/late", cookie(1, split="s8"), "other")
    await ask(proxy, "/late", cookie(1), "blog")
    assert await noted(proxy) == {}
