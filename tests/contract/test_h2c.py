"""HTTP/2 without TLS, by prior knowledge: the same site as over HTTP/1.1, and no way around its rules."""

from collections.abc import AsyncIterator

import pytest

from contract.h2c import H2Client, Stream
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
    async with site(tmp_path_factory.mktemp("h2c")) as started:
        yield started


@pytest.fixture
async def at(shared: Site) -> AsyncIterator[Site]:
    yield shared
    shared.begin()


@pytest.fixture
async def client(at: Site) -> AsyncIterator[H2Client]:
    connected = await H2Client.connect(at.proxy.port)
    yield connected
    connected.close()


def of(visitor: Visitor, *more: tuple[str, str]) -> list[tuple[str, str]]:
    """Return the headers of a visitor."""
    return [*([("cookie", f"balancer={visitor.cookie}")] if visitor.cookie else []), *more]


async def test_a_page_and_what_the_app_is_told(at: Site, client: H2Client, visitor: Visitor) -> None:
    forged = ("x-forwarded-for", "192.0.2.1"), ("x-balancer-visitor", "somebody"), ("x_forwarded_for", "192.0.2.1")
    answer = await client.answer(await client.request("GET", "/a", visitor.host, *of(visitor, *forged)))
    assert (answer.status, answer.body) == (200, b"/a")
    assert ("set-cookie" in answer.headers) == (visitor is NEW)
    seen = at.upstream.last("/a")
    assert (seen.all("host"), seen.all("x-forwarded-for")) == ([visitor.host], ["127.0.0.1"])
    assert seen.all("x_forwarded_for") == []
    assert len(seen.all("x-balancer-visitor")) == (0 if visitor is OF_NO_SPLIT else 1)
    assert "somebody" not in seen.all("x-balancer-visitor")
    if visitor is COUNTED:
        assert seen.all("x-balancer-visitor") == [visitor.cookie.split(".")[0]]


async def test_streams_of_one_connection_do_not_wait_for_each_other(
    at: Site, client: H2Client, visitor: Visitor
) -> None:
    held = await client.request("GET", "/hold", visitor.host, *of(visitor))
    await eventually(lambda: at.upstream.waiting == 1, 30)
    others = [await client.request("GET", f"/{number}", visitor.host, *of(visitor)) for number in range(20)]
    assert [(await client.answer(each)).body for each in others] == [f"/{number}".encode() for number in range(20)]
    at.upstream.go.set()
    assert (await client.answer(held)).body == b"/hold"


async def test_a_body_and_its_trailers_reach_the_app(at: Site, client: H2Client, visitor: Visitor) -> None:
    stream = await client.request("POST", "/body", visitor.host, *of(visitor), end=False)
    await client.send(stream, b"one-", end=False)
    await client.send(stream, b"two", end=False)
    await client.trailers(stream, ("x-sum", "7"))
    assert (await client.answer(stream)).status == 200
    seen = at.upstream.last("/body")
    assert (seen.body, seen.trailers) == (b"one-two", (("x-sum", "7"),))


async def test_trailers_of_an_answer_reach_the_client(at: Site, client: H2Client, visitor: Visitor) -> None:
    answer = await client.answer(await client.request("GET", "/trailers", visitor.host, *of(visitor)))
    assert (answer.body, answer.trailers) == (b"onetwo", {"x-sum": "7"})


async def test_head_and_not_modified_have_no_body(at: Site, client: H2Client, visitor: Visitor) -> None:
    head = await client.answer(await client.request("HEAD", "/twelve-bytes", visitor.host, *of(visitor)))
    assert (head.status, head.headers["content-length"], head.body) == (200, ["13"], b"")
    same = await client.answer(await client.request("GET", "/not-modified", visitor.host, *of(visitor)))
    assert (same.status, same.headers["etag"], same.body) == (304, ['"7"'], b"")


async def test_an_event_arrives_while_the_stream_is_still_open(at: Site, client: H2Client, visitor: Visitor) -> None:
    accept = ("accept", "text/event-stream")
    stream = client.streams[await client.request("GET", "/events", visitor.host, *of(visitor, accept))]
    while stream.body != b"data: one\n\n":
        assert await client.more()
    assert at.upstream.waiting == 1
    assert not stream.ended
    at.upstream.go.set()
    while not stream.ended:
        assert await client.more()
    assert stream.body == b"data: one\n\ndata: two\n\n"


async def test_a_stream_that_is_broken_off_ends_its_request_at_the_app(
    at: Site, client: H2Client, visitor: Visitor
) -> None:
    stream = await client.request("GET", "/hold", visitor.host, *of(visitor))
    await eventually(lambda: at.upstream.waiting == 1, 30)
    await client.reset(stream)
    await eventually(lambda: at.upstream.waiting == 0, 30)
    answer = await client.answer(await client.request("GET", "/next", visitor.host, *of(visitor)))
    assert answer.body == b"/next"


async def test_a_websocket_goes_both_ways(at: Site, client: H2Client, visitor: Visitor) -> None:
    """RFC 8441; towards the app it is a websocket of HTTP/1.1."""
    await client.more()
    socket = of(visitor, ("sec-websocket-version", "13"))
    number = await client.request("CONNECT", "/websocket", visitor.host, *socket, end=False, protocol="websocket")
    stream = client.streams[number]
    while not stream.status:
        assert await client.more()
    assert stream.status == 200
    await client.send(number, b"hello", end=False)
    while stream.body != b"hello":
        assert await client.more()


@pytest.mark.parametrize(
    "headers",
    [
        [("x-large", "x" * 65_536)],
        [("cookie", "session=" + "x" * 65_536)],
        [(f"x-{number}", "x" * 20) for number in range(2500)],
    ],
    ids=["one line", "cookie", "many lines"],
)
async def test_headers_of_64_kb_are_refused_and_the_next_client_served(
    at: Site, client: H2Client, visitor: Visitor, headers: list[tuple[str, str]]
) -> None:
    assert refused(await client.answer(await client.request("GET", "/a", visitor.host, *of(visitor, *headers))), client)
    assert at.upstream.requests == []
    assert (await at.ask(visitor.request("GET /next"))).body == b"/next"


def refused(answer: Stream, client: H2Client) -> bool:
    """Whether the request was answered with an error of its own, or its stream or connection broken off."""
    return answer.status == 400 or bool(answer.reset) or bool(client.gone)


HEADERS = {
    "an encoding": [("transfer-encoding", "chunked")],
    "a connection": [("connection", "upgrade"), ("upgrade", "h2c")],
    "a line in a value": [("x", "a\r\ntransfer-encoding: chunked")],
    "a line in a name": [("x: a\r\nb", "a")],
    "a line feed in a value": [("x", "a\nb")],
    "a NUL in a value": [("x", "a\0b")],
    "an upper-case name": [("X-Upper", "a")],
    "a colon in a name": [("x:y", "a")],
    "two lengths": [("content-length", "0"), ("content-length", "60")],
    "a length that is none": [("content-length", "+0")],
    "a late pseudo-header": [("x", "y"), (":path", "/smuggled")],
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=list(HEADERS))
async def test_a_head_that_would_be_two_requests_in_http_1_is_refused(
    at: Site, client: H2Client, visitor: Visitor, headers: list[tuple[str, str]]
) -> None:
    answer = await client.answer(await client.request("POST", "/a", visitor.host, *of(visitor, *headers)))
    assert refused(answer, client)
    assert at.upstream.requests == []


PATHS = {
    "a line": "/a HTTP/1.1\r\nHost: x\r\n\r\nGET /smuggled",
    "a space": "/a b",
    "a NUL": "/a\0b",
    "nothing": "",
    "no slash": "a",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=list(PATHS))
async def test_a_path_that_is_none_is_refused(at: Site, client: H2Client, visitor: Visitor, path: str) -> None:
    assert refused(await client.answer(await client.request("GET", path, visitor.host, *of(visitor))), client)
    assert at.upstream.requests == []


async def test_more_body_than_its_length_does_not_reach_the_app_as_a_request(
    at: Site, client: H2Client, visitor: Visitor
) -> None:
    length = of(visitor, ("content-length", "1"))
    stream = await client.request("POST", "/a", visitor.host, *length, end=False)
    await client.send(stream, b"a" + visitor.request("GET /smuggled"))
    assert refused(await client.answer(stream), client)
    assert b"smuggled" not in at.upstream.raw


async def test_a_length_without_a_body_does_not_reach_the_app(at: Site, client: H2Client, visitor: Visitor) -> None:
    """An app that believed it would take the next visitor's request for the body."""
    length = of(visitor, ("content-length", "60"))
    assert (await client.answer(await client.request("POST", "/a", visitor.host, *length))).status == 200
    assert at.upstream.last("/a").all("content-length") == []
    assert (await client.answer(await client.request("GET", "/next", visitor.host, *of(visitor)))).body == b"/next"


async def test_another_host_beside_the_authority_does_not_lead_there(
    at: Site, client: H2Client, visitor: Visitor
) -> None:
    other = ("host", "master--blog.localhost")
    answer = await client.answer(await client.request("GET", "/a", visitor.host, *of(visitor, other)))
    if not refused(answer, client):
        assert at.upstream.last("/a").all("host") == [visitor.host]


async def test_a_tunnel_is_refused(at: Site, client: H2Client, visitor: Visitor) -> None:
    stream = await client.request("CONNECT", None, f"{visitor.host}:80", *of(visitor), end=False)
    assert refused(await client.answer(stream), client)
    assert at.upstream.requests == []
