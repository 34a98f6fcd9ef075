"""The rules against malformed requests come first, but for ordinary ones; what they do is tested in tests/contract."""

import re

import pytest

from balancer.proxy.frontend import FRONTEND
from balancer.proxy.malformed import HOST, MALFORMED
from balancer.proxy.short_way import SHORT_WAY


def test_they_are_the_first_rules_of_the_long_way_so_that_nobody_gets_past_them() -> None:
    _, long_way = FRONTEND.split(SHORT_WAY.splitlines()[-1])
    first, *rules = [line for line in long_way.splitlines(keepends=True) if line.startswith("  http-request ")]
    assert "del-header" in first, "names that are ours to a CGI"
    assert "".join(rules).startswith(MALFORMED)


def test_a_tunnel_is_refused_before_the_short_way() -> None:
    assert MALFORMED.splitlines()[0] == SHORT_WAY.splitlines()[0]


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("shop.localhost", True),
        ("SHOP.localhost.", True),
        ("test--shop.localhost:8080", True),
        ("shop.localhost:", True),
        ("my_shop.lan", True),
        ("192.0.2.7:80", True),
        ("[2001:db8::1]:80", True),
        ("[::ffff:192.0.2.7]", True),
        ("", False),
        (":80", False),
        ("shop.localhost, blog.localhost", False),
        ("shop.localhost:80x", False),
        ("shop.localhost:123456", False),
        ("shop.localhost:@evil.example", False),
        ("a@shop.localhost", False),
        ("shop.localhost/a", False),
        ("sh\u00f6p.localhost", False),
        ("shop.localhost\n", False),
        ("2001:db8::1", False),
    ],
)
def test_a_host_is_a_name_or_an_address_with_or_without_a_port(host: str, is_one: bool) -> None:
    # \\Z, because Python's $ lets a line feed follow; HAProxy's regular expressions never see one.
    assert bool(re.search(HOST.replace("$", r"\Z"), host, re.IGNORECASE)) == is_one
