"""The clock of whoever looks."""

from fastapi import Request

from balancer.api.pages.viewers_clock import clock_of


def of(cookie: str) -> str | None:
    request = Request({"type": "http", "headers": [(b"cookie", cookie.encode())]})
    return clock_of(request)


def test_it_is_what_the_cookie_says() -> None:
    assert of("a=b; balancer-zone=Asia/Tokyo") == "Asia/Tokyo"


def test_what_is_no_time_zone_is_nobodys() -> None:
    assert of("") is None
    assert of("balancer-zone=") is None
    assert of("balancer-zone=../../etc/passwd") is None
    assert of("balancer-zone=Nowhere/Atall") is None
