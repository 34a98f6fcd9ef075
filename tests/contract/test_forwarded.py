"""What apps are told of a client: by HAProxy, or by a trusted proxy before it, and never by the client."""

from collections.abc import AsyncIterator, Iterator

import pytest

from contract.sites import NEW, VISITORS, Answer, Site, Visitor, site
from contract.upstreams import Request

pytestmark = pytest.mark.anyio
EACH_VISITOR = pytest.mark.parametrize("visitor", VISITORS, ids=[visitor.name for visitor in VISITORS])
# Clients choose their address in 127.0.0.0/8; these two networks and ::1 are those of proxies.
TRUSTED = ("127.0.1.0/24", "127.0.2.7", "::1")
PROXY, CLIENT = "127.0.1.9", "127.0.0.3"
SAYS = ("X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.example")
FORGED = (
    *SAYS,
    "X-Forwarded-For: 192.0.2.2",
    "X-Forwarded-Port: 443",
    "X-Forwarded-Prefix: /admin",
    "X-Forwarded-Ssl: on",
    "Forwarded: for=192.0.2.1;proto=https;host=shop.example",
    "X-Real-IP: 192.0.2.1",
    "X_Forwarded_For: 192.0.2.1",
    "X-Forwarded_Proto: https",
    "X_Balancer_Visitor: somebody",
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for the module, so that its tests share a HAProxy."""
    return "asyncio"


@pytest.fixture(scope="module")
async def untrusting(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[Site]:
    async with site(tmp_path_factory.mktemp("untrusting")) as started:
        yield started


@pytest.fixture(scope="module")
async def trusting(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[Site]:
    async with site(tmp_path_factory.mktemp("trusting"), host="", trusted_proxies=TRUSTED) as started:
        yield started


@pytest.fixture
def alone(untrusting: Site) -> Iterator[Site]:
    """A site that trusts nobody."""
    yield untrusting
    untrusting.begin()


@pytest.fixture
def behind(trusting: Site) -> Iterator[Site]:
    """A site behind proxies."""
    yield trusting
    trusting.begin()


async def send(at: Site, source: str, visitor: Visitor, *lines: str) -> tuple[Request, Answer]:
    """Send a request from an address; return what the app read, and the answer."""
    host = "::1" if ":" in source else "127.0.0.1"
    client = await at.connect(host=host, source=source)
    await client.send(visitor.request("GET /a", *lines))
    answer = await client.answer()
    return at.upstream.last("/a"), answer


def told(seen: Request) -> tuple[list[str], ...]:
    """Return what the app was told of address, scheme and host."""
    return tuple(seen.all(f"x-forwarded-{what}") for what in ("for", "proto", "host"))


@EACH_VISITOR
async def test_where_nobody_is_trusted_every_claim_of_a_client_is_dropped(alone: Site, visitor: Visitor) -> None:
    seen, answer = await send(alone, PROXY, visitor, *FORGED)
    assert told(seen) == ([PROXY], ["http"], [visitor.host])
    names = {name for name, _ in seen.headers if "forwarded" in name or "_" in name or "real" in name}
    assert names == {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}
    assert "secure" not in (answer.header("set-cookie") or "").lower()


@EACH_VISITOR
@pytest.mark.parametrize("source", [CLIENT, "127.0.2.6"])
async def test_who_is_not_a_proxy_is_not_believed_beside_one_that_is(
    behind: Site, visitor: Visitor, source: str
) -> None:
    seen, answer = await send(behind, source, visitor, *FORGED)
    assert told(seen) == ([source], ["http"], [visitor.host])
    assert not {"forwarded", "x-real-ip", "x-forwarded-port", "x-forwarded-ssl"} & dict(seen.headers).keys()
    assert "secure" not in (answer.header("set-cookie") or "").lower()


@EACH_VISITOR
@pytest.mark.parametrize("source", [PROXY, "127.0.2.7", "::1"])
async def test_a_trusted_proxy_is_believed_and_comes_last_in_the_chain(
    behind: Site, visitor: Visitor, source: str
) -> None:
    seen, _ = await send(behind, source, visitor, *SAYS)
    assert told(seen) == ([f"192.0.2.1, {source}"], ["https"], ["shop.example"])


@EACH_VISITOR
async def test_of_a_trusted_proxy_that_says_nothing_apps_are_told_what_we_see(behind: Site, visitor: Visitor) -> None:
    seen, answer = await send(behind, PROXY, visitor)
    assert told(seen) == ([PROXY], ["http"], [visitor.host])
    assert "secure" not in (answer.header("set-cookie") or "").lower()


@pytest.mark.parametrize(
    ("lines", "chain"),
    [
        (["2001:db8::1, 192.0.2.1"], "2001:db8::1, 192.0.2.1"),
        (["192.0.2.1", "192.0.2.2"], "192.0.2.1, 192.0.2.2"),
        (["192.0.2.1", "192.0.2.2, 192.0.2.3", "192.0.2.4"], "192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4"),
        (["1", "2", "3", "4"], "1, 2, 3, 4"),
        (["0", "1", "2", "3", "4"], "1, 2, 3, 4"),
    ],
)
async def test_a_chain_in_several_lines_becomes_one_line(behind: Site, lines: list[str], chain: str) -> None:
    """Some servers read only the first line of a header, some only the last."""
    seen, _ = await send(behind, PROXY, NEW, *[f"X-Forwarded-For: {line}" for line in lines])
    assert seen.all("x-forwarded-for") == [f"{chain}, {PROXY}"]


@pytest.mark.parametrize(
    ("said", "scheme"),
    [
        (["https"], "https"),
        (["HTTPS"], "https"),
        (["http"], "http"),
        (["wss"], "http"),
        (["https, http"], "http"),
        (["https", "http"], "http"),
        (["http", "https"], "https"),
        (["javascript"], "http"),
        ([""], "http"),
    ],
)
async def test_a_scheme_is_http_or_https_and_decides_whether_the_cookie_is_secure(
    behind: Site, said: list[str], scheme: str
) -> None:
    seen, answer = await send(behind, PROXY, NEW, *[f"X-Forwarded-Proto: {value}" for value in said])
    assert seen.all("x-forwarded-proto") == [scheme]
    cookie = answer.header("set-cookie") or ""
    assert cookie.endswith("; SameSite=Lax; Secure" if scheme == "https" else "; SameSite=Lax")


async def test_the_host_that_a_request_is_for_is_the_one_it_is_routed_by(behind: Site) -> None:
    """A proxy that says another host does not lead to another app."""
    await send(behind, PROXY, NEW, "X-Forwarded-Host: blog.localhost")
    assert behind.upstream.last("/a").all("x-balancer-split") == ["s7"]
