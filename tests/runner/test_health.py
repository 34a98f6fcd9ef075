"""The request that decides healthy, asked of real servers on the loopback."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import chain, repeat

import pytest

import reserved
from balancer.errors import PortStolen
from balancer.runner import health
from balancer.runner.health import Probes
from balancer.runner.listeners import sockets_of
from waiting import eventually

pytestmark = pytest.mark.anyio
BREAKS_OFF, IS_SILENT = 0, -1


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask more often, so that these tests are quick."""
    monkeypatch.setattr(health, "_QUICK_PAUSE", 0.02)


class App:
    """An app that answers as told, the last answer again and again; it keeps what it was asked."""

    def __init__(self, answers: Iterable[int]) -> None:
        *first, last = answers
        self._answers = chain(first, repeat(last))
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                self.asked.append(head)
                answer = next(self._answers)
                if answer == BREAKS_OFF:
                    break
                if answer == IS_SILENT:
                    await reader.read()
                writer.write(f"HTTP/1.1 {answer} X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".encode())
        except (asyncio.IncompleteReadError, ConnectionError):  # whoever asked has gone
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening(*answers: int, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[tuple[App, int]]:
    """Give an app and its port."""
    app = App(answers)
    server = await asyncio.start_server(app.serve, host, port)
    try:
        yield app, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def probes(port: int, path: str | None = None) -> Probes:
    """Return the probes of an instance of the shop."""
    return Probes(port=port, path=path, host="shop.localhost", sockets=lambda: sockets_of([os.getpid()]))


async def healthy(asked: Probes, *, within: float = 30) -> bool:
    """Tell whether it becomes healthy."""
    try:
        await asyncio.wait_for(asked.until_healthy(), within)
    except TimeoutError:
        return False
    return True


async def stays_unhealthy(asked: Probes, app: App) -> bool:
    """Tell whether it is not healthy although it has answered more often than is needed for that."""
    waiting = asyncio.ensure_future(asked.until_healthy())
    await eventually(lambda: len(app.asked) > 3 or waiting.done(), 30)
    is_healthy = waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return not is_healthy


async def test_two_good_answers_in_a_row_are_healthy() -> None:
    async with listening(200) as (app, port):
        assert await healthy(probes(port))
        assert len(app.asked) == 2


async def test_one_good_answer_between_two_bad_ones_is_not() -> None:
    async with listening(200, 500, 200, 503, 200, 200) as (app, port):
        assert await healthy(probes(port))
        assert len(app.asked) == 6


@pytest.mark.parametrize("status", [200, 204, 301, 401, 404, 418, 499])
async def test_without_a_path_any_answer_below_500_of_the_first_page_is_good(status: int) -> None:
    async with listening(status) as (app, port):
        assert await healthy(probes(port))
        assert app.asked[0].startswith("GET / HTTP/1.1\r\n")


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_without_a_path_an_answer_of_500_or_more_is_bad(status: int) -> None:
    async with listening(status) as (app, port):
        asked = probes(port)
        assert await stays_unhealthy(asked, app)
        assert asked.last == f"GET http://127.0.0.1:{port}/ was answered {status}"


@pytest.mark.parametrize(("status", "good"), [(200, True), (204, True), (302, True), (400, False), (404, False)])
async def test_with_a_path_2xx_and_3xx_of_that_page_are_good(status: int, good: bool) -> None:
    async with listening(status) as (app, port):
        asked = probes(port, "/up?deep=1")
        assert await (healthy(asked) if good else stays_unhealthy(asked, app))
        assert app.asked[0].startswith("GET /up?deep=1 HTTP/1.1\r\n")


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with listening(302) as (app, port):
        assert await healthy(probes(port, "/up"))
        assert all("GET /up " in head for head in app.asked)


async def test_the_app_is_asked_under_its_own_host() -> None:
    async with listening(200) as (app, port):
        assert await healthy(probes(port))
        assert "host: shop.localhost\r\n" in app.asked[0].lower()
        assert "user-agent: balancer-health\r\n" in app.asked[0].lower()


async def test_a_port_that_nobody_listens_on_is_asked_again_until_somebody_does() -> None:
    (port,) = reserved.ports(1)
    asked = probes(port)
    assert asked.last == "it was never asked"
    waiting = asyncio.ensure_future(asked.until_healthy())
    await eventually(lambda: "nothing listens on the port that PORT named" in asked.last, 30)
    async with listening(200, port=port):
        await asyncio.wait_for(waiting, 30)


async def test_an_app_that_breaks_off_says_so() -> None:
    async with listening(BREAKS_OFF) as (app, port):
        asked = probes(port)
        assert await stays_unhealthy(asked, app)
        assert asked.last == f"GET http://127.0.0.1:{port}/ brought no answer: the connection was closed"


async def test_an_app_that_is_silent_is_given_up_on_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_PROBE_TIMEOUT_SECONDS", 1)
    async with listening(IS_SILENT, 200) as (app, port):
        asked = probes(port)
        waiting = asyncio.ensure_future(asked.until_healthy())
        await eventually(lambda: "brought no answer: none came within 1 s" in asked.last, 30)
        await asyncio.wait_for(waiting, 30)
        assert len(app.asked) == 3


async def test_a_proxy_of_the_company_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with listening(200) as (_, port):
        assert await healthy(probes(port))


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1")],
)
async def test_an_app_may_listen_on_either_loopback_or_on_everything(host: str, address: str) -> None:
    async with listening(200, host=host) as (_, port):
        found = await asyncio.wait_for(probes(port).until_healthy(), 30)
    assert found == address or (host, found) == ("::", "::1")  # asyncio binds `::` for IPv6 alone


async def test_an_answer_of_somebody_else_on_the_port_is_no_health() -> None:
    async with listening(200) as (app, port):
        asked = Probes(port=port, path=None, host="shop.localhost", sockets=frozenset)
        with pytest.raises(PortStolen, match=f"another process listens on the port {port}"):
            await asyncio.wait_for(asked.until_healthy(), 30)
        assert app.asked == []


async def test_an_app_on_one_loopback_is_healthy_there_whoever_has_the_other() -> None:
    async with listening(200, host="::1") as (_, port):
        stranger = f"import socket; s = socket.create_server(('127.0.0.1', {port})); print(1); input()"
        child = subprocess.Popen([sys.executable, "-uc", stranger], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with child:
            assert child.stdout
            child.stdout.readline()
            assert await asyncio.wait_for(probes(port).until_healthy(), 30) == "::1"
            child.kill()


async def test_to_wait_for_a_port_that_nobody_listens_on_costs_next_to_nothing() -> None:
    (port,) = reserved.ports(1)
    used = time.process_time()
    assert not await healthy(probes(port), within=1)
    assert time.process_time() - used < 0.1
