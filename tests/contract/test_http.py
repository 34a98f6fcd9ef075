"""HTTP/1.1 as it should be, for new and for counted visitors of a split, and for an app without one."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from contract.sites import COUNTED, NEW, OF_NO_SPLIT, VISITORS, Site, Visitor, site
from waiting import eventually

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("visitor", VISITORS, ids=[visitor.name for visitor in VISITORS]),
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for the module, so that its tests share a HAProxy."""
    return "asyncio"


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[Site]:
    async with site(tmp_path_factory.mktemp("http")) as started:
        yield started


@pytest.fixture
def at(shared: Site) -> Iterator[Site]:
    yield shared
    shared.begin()


async def test_the_three_visitors_are_who_they_are_meant_to_be(at: Site, visitor: Visitor) -> None:
    answer = await at.ask(visitor.request("GET /who"))
    told = [value for key, value in at.upstream.last("/who").headers if key.startswith("x-balancer-")]
    assert answer.body == b"/who"
    assert (answer.header("set-cookie") is not None) == (visitor is NEW)
    if visitor is COUNTED:
        assert told == COUNTED.cookie.split(".")[:3]
    assert len(told) == (0 if visitor is OF_NO_SPLIT else 3)


async def test_a_chunked_body_and_its_trailers_reach_the_app(at: Site, visitor: Visitor) -> None:
    body = b"3\r\none\r\n4;a=b\r\n-two\r\n0\r\nX-Sum: 7\r\n\r\n"
    lines = "Transfer-Encoding: chunked", "Trailer: X-Sum"
    assert (await at.ask(visitor.request("POST /body", *lines, body=body))).status == 200
    seen = at.upstream.last("/body")
    assert (seen.body, seen.trailers) == (b"one-two", (("x-sum", "7"),))


async def test_a_chunked_answer_and_its_trailers_reach_the_client(at: Site, visitor: Visitor) -> None:
    answer = await at.ask(visitor.request("GET /trailers", "TE: trailers"))
    assert (answer.body, answer.trailers) == (b"onetwo", (("x-sum", "7"),))


async def test_a_body_is_sent_once_the_app_has_said_continue(at: Site, visitor: Visitor) -> None:
    client = await at.connect()
    await client.send(visitor.request("POST /continue", "Expect: 100-continue", "Content-Length: 5"))
    assert (await client.answer()).status == 100
    await client.send(b"hello")
    assert (await client.answer()).status == 200
    assert at.upstream.last("/continue").body == b"hello"


async def test_an_app_may_refuse_a_body_before_it_is_sent(at: Site, visitor: Visitor) -> None:
    request = visitor.request("POST /refused", "Expect: 100-continue", "Content-Length: 5")
    assert (await at.ask(request)).status == 417


async def test_early_hints_arrive_before_the_answer(at: Site, visitor: Visitor) -> None:
    client = await at.connect()
    await client.send(visitor.request("GET /hints"))
    hints = await client.answer()
    assert (hints.status, hints.header("link")) == (103, "</a.css>; rel=preload")
    assert (await client.answer()).status == 200


async def test_an_answer_to_head_has_its_length_and_no_body(at: Site, visitor: Visitor) -> None:
    client = await at.connect()
    await client.send(visitor.request("HEAD /twelve-bytes"))
    answer = await client.answer(to="HEAD")
    assert (answer.status, answer.header("content-length")) == (200, "13")
    await client.send(visitor.request("GET /next", "Connection: close"))
    assert (await client.answer()).body == b"/next", "nothing came in between"
    assert await client.rest() == b""


async def test_not_modified_has_its_etag_and_no_body(at: Site, visitor: Visitor) -> None:
    client = await at.connect()
    await client.send(visitor.request("GET /not-modified", 'If-None-Match: "7"'))
    answer = await client.answer()
    assert (answer.status, answer.header("etag")) == (304, '"7"')
    assert at.upstream.last("/not-modified").all("if-none-match") == ['"7"']
    await client.send(visitor.request("GET /next", "Connection: close"))
    assert (await client.answer()).body == b"/next", "nothing came in between"
    assert await client.rest() == b""


async def test_an_event_arrives_while_the_stream_is_still_open(at: Site, visitor: Visitor) -> None:
    client = await at.connect()
    await client.send(visitor.request("GET /events", "Accept: text/event-stream"))
    assert (await client.head())[0] == 200
    assert await client.chunk() == b"data: one\n\n"
    assert at.upstream.waiting == 1, "the app has not ended its answer"
    at.upstream.go.set()
    assert await client.chunk() == b"data: two\n\n"
    assert await client.chunk() == b""


async def test_a_websocket_goes_both_ways(at: Site, visitor: Visitor) -> None:
    client = await at.connect()
    upgrade = "Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"
    await client.send(visitor.request("GET /websocket", *upgrade, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
    answer = await client.answer()
    assert (answer.status, answer.header("upgrade")) == (101, "websocket")
    assert answer.header("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    for message in (b"\x81\x05hello", bytes(range(256)) * 300):
        await client.send(message)
        async with asyncio.timeout(20):
            assert await client.reader.readexactly(len(message)) == message


async def test_pipelined_requests_are_answered_in_their_order(at: Site, visitor: Visitor) -> None:
    client = await at.connect()
    await client.send(b"".join(visitor.request(f"GET /{number}") for number in range(5)))
    assert [(await client.answer()).body for _ in range(5)] == [f"/{number}".encode() for number in range(5)]


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("/large-head", [f"X-Large: {'x' * 65_536}"]),
        ("/large-head", [f"Cookie: session={'x' * 65_536}"]),
        ("/large-head", [f"X-{number}: {'x' * 20}" for number in range(2500)]),
        (f"/{'x' * 65_536}", []),
    ],
    ids=["one line", "cookie", "many lines", "path"],
)
async def test_a_head_of_64_kb_is_refused_whole_and_the_next_client_served(
    at: Site, visitor: Visitor, path: str, lines: list[str]
) -> None:
    for _ in range(10):  # a refusal that a reset overtakes would be lost now and then
        client = await at.connect()
        await client.send(visitor.request(f"GET {path}", *lines))
        refused = await client.answer()
        assert (refused.status, refused.body[-15:]) == (400, b"</body></html>\n")
    assert at.upstream.requests == []
    assert (await at.ask(visitor.request("GET /next"))).body == b"/next"


async def test_an_answer_with_a_head_of_64_kb_is_a_failure_of_the_app(at: Site, visitor: Visitor) -> None:
    assert (await at.ask(visitor.request("GET /large"))).status == 502
    assert (await at.ask(visitor.request("GET /next"))).body == b"/next"


async def test_a_client_that_ends_its_half_of_the_connection_counts_as_gone(at: Site, visitor: Visitor) -> None:
    """It looks like one that has left."""
    client = await at.connect()
    await client.send(visitor.request("GET /hold"))
    client.writer.write_eof()
    assert (await client.answer()).status == 400
    await eventually(lambda: at.upstream.waiting == 0, 30)
