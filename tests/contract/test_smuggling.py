"""Requests that HAProxy and an app might read differently: refused, or provably one request.

Invariant: whatever is sent, the app reads exactly the requests that HAProxy routed.
"""

from collections.abc import AsyncIterator, Iterator

import pytest

from contract.sites import COUNTED, VISITORS, Site, Visitor, site

pytestmark = pytest.mark.anyio
EACH_VISITOR = pytest.mark.parametrize("visitor", VISITORS, ids=[visitor.name for visitor in VISITORS])
CHUNKED = "Transfer-Encoding: chunked"
EMPTY = b"0\r\n\r\n"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for the module, so that its tests share a HAProxy."""
    return "asyncio"


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[Site]:
    async with site(tmp_path_factory.mktemp("smuggling")) as started:
        yield started


@pytest.fixture
def at(shared: Site) -> Iterator[Site]:
    yield shared
    shared.begin()


def smuggled(visitor: Visitor) -> bytes:
    """Return the request that is to arrive as one of its own."""
    return visitor.request("GET /smuggled")


async def refused(at: Site, data: bytes, *, status: int = 400) -> None:
    """Expect one answer, then the end of the connection, and nothing at the app; the next client is served."""
    client = await at.connect()
    await client.send(data)
    assert (await client.answer()).status == status
    assert await client.rest() == b"", "one answer, however many requests were in it"
    assert (await at.ask(COUNTED.request("GET /next"))).status == 200
    assert at.upstream.paths() == ["/next"]


LENGTHS = {
    "two that differ": ["Content-Length: 0", "Content-Length: 60"],
    "a list that differs": ["Content-Length: 0, 60"],
    "plus": ["Content-Length: +60"],
    "minus": ["Content-Length: -60"],
    "hexadecimal": ["Content-Length: 0x3c"],
    "two numbers": ["Content-Length: 6 0"],
    "empty": ["Content-Length:"],
    "beyond 64 bits": ["Content-Length: 18446744073709551676"],
    "a no-break space": ["Content-Length: \xa060"],
    "a space before the colon": ["Content-Length : 60"],
    "a vertical tab": ["Content-Length: \x0b60"],
    "a NUL": ["Content-Length: 60\0"],
}


@EACH_VISITOR
@pytest.mark.parametrize("lines", LENGTHS.values(), ids=list(LENGTHS))
async def test_a_length_that_is_none_or_not_one_is_refused(at: Site, visitor: Visitor, lines: list[str]) -> None:
    await refused(at, visitor.request("POST /a", *lines, body=smuggled(visitor)))


ENCODINGS = {
    "a space before the colon": ["Transfer-Encoding : chunked"],
    "a tab before the colon": ["Transfer-Encoding\t: chunked"],
    "another word": ["Transfer-Encoding: xchunked"],
    "not the last one": ["Transfer-Encoding: chunked, identity"],
    "two lines, it is the first": [CHUNKED, "Transfer-Encoding: identity"],
    "twice": [CHUNKED, CHUNKED],
    "a vertical tab before": ["Transfer-Encoding: \x0bchunked"],
    "a vertical tab behind": ["Transfer-Encoding: chunked\x0b"],
    "a NUL behind": ["Transfer-Encoding: chunked\0"],
    "a carriage return behind": ["Transfer-Encoding: chunked\r"],
    "a carriage return instead of a line's end": ["X: y\rTransfer-Encoding: chunked"],
    "quotes": ['Transfer-Encoding: "chunked"'],
    "a parameter": ["Transfer-Encoding: chunked;a=b"],
    "nothing": ["Transfer-Encoding:"],
    "a name with a NUL": ["Transfer-Encoding\0: chunked"],
}


@EACH_VISITOR
@pytest.mark.parametrize("length", [[], ["Content-Length: 5"]], ids=["alone", "with a length"])
@pytest.mark.parametrize("lines", ENCODINGS.values(), ids=list(ENCODINGS))
async def test_an_encoding_that_is_not_chunked_alone_is_refused(
    at: Site, visitor: Visitor, lines: list[str], length: list[str]
) -> None:
    await refused(at, visitor.request("POST /a", *length, *lines, body=EMPTY + smuggled(visitor)))


UNKNOWN = {
    "after another one": ["Transfer-Encoding: identity, chunked"],
    "after a known one": ["Transfer-Encoding: gzip, chunked"],
    "after nothing": ["Transfer-Encoding: ,chunked"],
    "in a line before": ["Transfer-Encoding: identity", CHUNKED],
}


@EACH_VISITOR
@pytest.mark.parametrize("length", [[], ["Content-Length: 5"]], ids=["alone", "with a length"])
@pytest.mark.parametrize("lines", UNKNOWN.values(), ids=list(UNKNOWN))
async def test_chunked_after_another_encoding_is_refused_as_one_that_nobody_knows(
    at: Site, visitor: Visitor, lines: list[str], length: list[str]
) -> None:
    await refused(at, visitor.request("POST /a", *length, *lines, body=EMPTY + smuggled(visitor)), status=422)


CHUNKS = {
    "no number": b"xyz\r\nabc\r\n",
    "a prefix": b"0x3\r\nabc\r\n",
    "minus": b"-3\r\nabc\r\n",
    "beyond 64 bits": b"10000000000000003\r\nabc\r\n",
    "more digits than there are": b"ffffffffffffffff1\r\nabc\r\n",
    "more data than said": b"3\r\nabcdef\r\n",
    "a bare line feed in an extension": b"3;a\nb\r\nabc\r\n",
}


@EACH_VISITOR
@pytest.mark.parametrize("chunk", CHUNKS.values(), ids=list(CHUNKS))
async def test_a_chunk_that_is_none_is_refused(at: Site, visitor: Visitor, chunk: bytes) -> None:
    await refused(at, visitor.request("POST /a", CHUNKED, body=chunk + EMPTY + smuggled(visitor)))


@EACH_VISITOR
@pytest.mark.parametrize("lines", [["Content-Length: 6", CHUNKED], [CHUNKED, "Content-Length: 6"]])
async def test_beside_chunked_a_length_is_dropped_and_the_connection_ends(
    at: Site, visitor: Visitor, lines: list[str]
) -> None:
    """What RFC 9112, 6.3, asks for at least. HAProxy's parser has no way to refuse it, and shows no rule the length."""
    client = await at.connect()
    await client.send(visitor.request("POST /a", *lines, body=EMPTY + smuggled(visitor)))
    answer = await client.answer()
    assert (answer.body, answer.header("connection")) == (b"/a", "close")
    assert await client.rest() == b""
    assert at.upstream.paths() == ["/a"]
    seen = at.upstream.last("/a")
    assert (seen.all("content-length"), seen.all("transfer-encoding")) == ([], ["chunked"])
    assert b"smuggled" not in at.upstream.raw


HEADS = {
    "a NUL in a value": "GET /a HTTP/1.1\r\nHost: HOST\r\nX: a\0b\r\n\r\n",
    "a NUL in a name": "GET /a HTTP/1.1\r\nHost: HOST\r\nX\0: a\r\n\r\n",
    "a NUL in the path": "GET /a\0b HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "a carriage return in a value": "GET /a HTTP/1.1\r\nHost: HOST\r\nX: a\rb\r\n\r\n",
    "a first header that is a continuation": "GET /a HTTP/1.1\r\n Host: HOST\r\n\r\n",
    "a header without a colon": "GET /a HTTP/1.1\r\nHost: HOST\r\nX\r\n\r\n",
    "a header without a name": "GET /a HTTP/1.1\r\nHost: HOST\r\n: a\r\n\r\n",
    "garbage": "\x16\x03\x01\x02\x00\x01\r\n\r\n",
    "a method that is none": "G@T /a HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "HTTP/0.9": "GET /a\r\n\r\n",
    "a version that is none": "GET /a HTTP/11\r\nHost: HOST\r\n\r\n",
    "another protocol": "GET /a ICAP/1.1\r\nHost: HOST\r\n\r\n",
    "a path with eight bits": "GET /\xe4 HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "a path that is none": "GET a HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "no host": "GET /a HTTP/1.1\r\n\r\n",
    "no host in HTTP/1.0": "GET /a HTTP/1.0\r\n\r\n",
    "no host but in the path": "GET http://HOST/a HTTP/1.1\r\n\r\n",
    "another host in the path": "GET http://master--blog.localhost/a HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "an empty host": "GET /a HTTP/1.1\r\nHost:\r\n\r\n",
    "two hosts": "GET /a HTTP/1.1\r\nHost: HOST\r\nHost: master--blog.localhost\r\n\r\n",
    "two hosts in one": "GET /a HTTP/1.1\r\nHost: HOST, master--blog.localhost\r\n\r\n",
    "two hosts with a space": "GET /a HTTP/1.1\r\nHost: HOST master--blog.localhost\r\n\r\n",
    "a host that goes on in the next line": "GET /a HTTP/1.1\r\nHost: HOST\r\n Transfer-Encoding: chunked\r\n\r\n",
    "a user before the host": "GET /a HTTP/1.1\r\nHost: a@HOST\r\n\r\n",
    "a host behind the host's colon": "GET /a HTTP/1.1\r\nHost: HOST:@evil.example\r\n\r\n",
    "a port that is none": "GET /a HTTP/1.1\r\nHost: HOST:80x\r\n\r\n",
    "a path behind the host": "GET /a HTTP/1.1\r\nHost: HOST/b\r\n\r\n",
    "an encoding in HTTP/1.0": "POST /a HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a tunnel": "CONNECT HOST:80 HTTP/1.1\r\nHost: HOST:80\r\n\r\n",
}


@EACH_VISITOR
@pytest.mark.parametrize("head", HEADS.values(), ids=list(HEADS))
async def test_a_head_that_is_none_is_refused(at: Site, visitor: Visitor, head: str) -> None:
    first, _, rest = head.partition("\r\n")
    cookie = f"Cookie: balancer={visitor.cookie}\r\n" if visitor.cookie and "Host:" in rest else ""
    whole = f"{first}\r\n{rest[:-2]}{cookie}\r\n" if rest.endswith("\r\n\r\n") and cookie else head
    await refused(at, whole.replace("HOST", visitor.host).encode("latin-1") + smuggled(visitor))


@EACH_VISITOR
async def test_a_get_with_a_body_in_http_1_0_is_refused(at: Site, visitor: Visitor) -> None:
    request = visitor.request("GET /a", "Content-Length: 1", body=b"a").replace(b"HTTP/1.1", b"HTTP/1.0")
    await refused(at, request + smuggled(visitor), status=413)


LENIENT = {
    "bare line feeds": ("GET /a HTTP/1.1\nHost: HOST\nX: y\n\n", "y"),
    "a value that goes on in the next line": ("GET /a HTTP/1.1\r\nHost: HOST\r\nX: a\r\n b\r\n\r\n", "a   b"),
    "spaces in the first line": ("GET  /a  HTTP/1.1\r\nHost: HOST\r\nX: y\r\n\r\n", "y"),
    "an empty line before": ("\r\nGET /a HTTP/1.1\r\nHost: HOST\r\nX: y\r\n\r\n", "y"),
    "the same host in the path": ("GET http://HOST/a HTTP/1.1\r\nHost: HOST\r\nX: y\r\n\r\n", "y"),
    "the same host twice": ("GET /a HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\nX: y\r\n\r\n", "y"),
    "the same length twice": ("GET /a HTTP/1.1\r\nHost: HOST\r\nX: y\r\nContent-Length: 0, 0\r\n\r\n", "y"),
}


@EACH_VISITOR
@pytest.mark.parametrize(("head", "value"), LENIENT.values(), ids=list(LENIENT))
async def test_what_the_rfc_lets_pass_reaches_the_app_as_one_plain_request(
    at: Site, visitor: Visitor, head: str, value: str
) -> None:
    """RFC 9112: 2.2 lets a bare line feed end a line, 3 spaces stand in the first one, 5.2 a fold become spaces."""
    assert (await at.ask(head.replace("HOST", visitor.host).encode())).status == 200
    assert [(seen.all("host"), seen.all("x")) for seen in at.upstream.requests] == [([visitor.host], [value])]
    lines = bytes(at.upstream.raw).split(b"\r\n")
    assert not any(b"\n" in line or b"\r" in line for line in lines)
    assert len(at.upstream.last(at.upstream.paths()[0]).all("content-length")) <= 1


@EACH_VISITOR
@pytest.mark.parametrize("line", ["Content-Length: LENGTH", CHUNKED])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST"])
async def test_a_request_in_a_body_stays_a_body(at: Site, visitor: Visitor, method: str, line: str) -> None:
    body = smuggled(visitor)
    sent = f"{len(body):x}\r\n".encode() + body + b"\r\n" + EMPTY if line == CHUNKED else body
    request = visitor.request(f"{method} /a", line.replace("LENGTH", str(len(body))), body=sent)
    assert (await at.ask(request, to=method)).status == 200
    assert [(seen.path, seen.body) for seen in at.upstream.requests] == [("/a", body)]


@EACH_VISITOR
async def test_an_app_is_not_offered_another_protocol_that_would_get_past_the_rules(at: Site, visitor: Visitor) -> None:
    offer = "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"
    assert (await at.ask(visitor.request("GET /a", *offer))).status == 200
    assert at.upstream.last("/a").all("upgrade") == []


@EACH_VISITOR
async def test_no_header_of_ours_can_be_named_as_one_to_be_dropped(at: Site, visitor: Visitor) -> None:
    names = "Connection: close, X-Forwarded-For, X-Balancer-Visitor"
    assert (await at.ask(visitor.request("GET /a", names))).status == 200
    assert "x-" not in ",".join(at.upstream.last("/a").all("connection")).lower()
