"""What is ordinary, told by Python, whose regular expressions do the same; tests/contract ask HAProxy."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.proxy.ordinary import ANSWER, request

COOKIE = "00000000-0000-4000-8000-000000000005.s7.test.1.1.1700000000000"
ORDINARY = ["host: shop.localhost", "user-agent: x", "accept: text/html,*/*;q=0.8", "cookie: a=b; balancer=" + COOKIE]


def read(*lines: str, believes: bool = False) -> tuple[str | None, ...] | None:
    """Return host, cookie and key of an ordinary request with these lines, and None of another."""
    found = re.match(request(believes=believes), "\r\n".join([*lines, "", ""]))
    return found.groups() if found else None


def is_ordinary(*lines: str) -> bool:
    return bool(re.match(ANSWER, "\r\n".join([*lines, "", ""])))


def test_host_cookie_and_its_key_are_read() -> None:
    assert read(*ORDINARY) == ("shop.localhost", COOKIE, "s7.test.1.1")


def test_without_our_cookie_there_is_a_host() -> None:
    for cookie in ([], ["cookie: a=b"], ["cookie: xbalancer=1; b=balancer=2"], ["cookie: balancer_consent=1"]):
        assert read("host: shop.localhost:8080", *cookie) == ("shop.localhost", None, None)


@pytest.mark.parametrize(
    "line",
    [
        "host: blog.localhost",
        "cookie: c=d",
        "connection: Upgrade",
        "upgrade: websocket",
        "transfer-encoding: chunked",
        "x-balancer-branch: key.test",
        "x-balancer-visitor: me",
        "x-forwarded-for: 192.0.2.1",
        "forwarded: for=192.0.2.1",
        "x-real-ip: 192.0.2.1",
        "x_forwarded_for: 192.0.2.1",
        "purpose: prefetch",
        "sec-purpose: prefetch",
        "x-moz: prefetch",
        "accept: text/event-stream",
        "accept: application/json, Text/Event-Stream",
        "x-nul: a\x00b",
    ],
)
def test_what_a_rule_of_the_long_way_is_for_is_not_ordinary_wherever_it_stands(line: str) -> None:
    for place in range(len(ORDINARY) + 1):
        assert read(*ORDINARY[:place], line, *ORDINARY[place:]) is None


@pytest.mark.parametrize("line", ["x-forwarded-for: 192.0.2.1", "forwarded: for=192.0.2.1", "x-real-ip: 192.0.2.1"])
def test_what_a_proxy_says_is_ordinary_where_one_is_believed(line: str) -> None:
    assert read(*ORDINARY, line, believes=True) == ("shop.localhost", COOKIE, "s7.test.1.1")


@pytest.mark.parametrize(
    "host", ["", "SHOP.localhost", "shop.localhost:x", "a@b", "[::1]", "shop.localhost, blog.localhost"]
)
def test_a_host_that_no_map_has_is_not_ordinary(host: str) -> None:
    assert read(f"host: {host}", *ORDINARY[1:]) is None


@pytest.mark.parametrize(
    "cookies",
    [
        "balancer=",
        "balancer=x",
        "balancer",
        f"balancer={COOKIE}x",
        f"balancer = {COOKIE}",
        f"balancer={COOKIE.upper()}",
        f"balancer={COOKIE}; balancer={COOKIE}",
        f"balancer=1, balancer={COOKIE}",
        f'a="b; balancer={COOKIE}"',
        f"balancer={COOKIE.replace('.1.1.', '.1.p.')}",
        "balancer_preview=key.test",
        f"balancer={COOKIE}; balancer_preview=key.test",
    ],
)
def test_a_cookie_that_is_not_once_and_whole_there_is_not_ordinary(cookies: str) -> None:
    assert read(*ORDINARY[:3], f"cookie: {cookies}") is None


@given(
    st.lists(
        st.text(st.sampled_from('ab;,= "\r\n\tA0.-'), max_size=12)
        | st.sampled_from(["balancer=", f"balancer={COOKIE}", "; ", ","]),
        max_size=6,
    )
)
def test_of_whatever_cookies_ours_is_read_once_or_not_at_all(parts: list[str]) -> None:
    text = "".join(parts)
    found = read("host: shop.localhost", f"cookie: {text}")
    if found is not None and "\r" not in text:
        ours = [each.strip(" ") for each in re.split("[;,]", text) if re.match(" *balancer[ =]*", each) and "=" in each]
        assert ours == ([f"balancer={COOKIE}"] if found[1] else [])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["server: x", "content-type: text/html", "cache-control: no-cache"], True),
        (["cache-control: private", "content-type: text/html"], True),
        (["content-type: image/png"], True),
        ([], True),
        (["content-type: text/html"], False),
        (["cache-control: public"], False),
        (["cache-control: no-cache", "cache-control: max-age=60, public"], False),
        (["cache-control: no-cache", "balancer-event: purchase=1"], False),
        (["balancer-dimension: plan=pro", "content-type: image/png"], False),
        (["content-type: text/html", "balancer-event: x", "cache-control: no-cache"], False),
    ],
)
def test_an_answer_is_ordinary_if_it_says_nothing_to_us_and_no_shared_cache_would_keep_a_variant(
    lines: list[str], expected: bool
) -> None:
    assert is_ordinary(*lines) == expected
