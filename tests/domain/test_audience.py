"""Audiences: what they may name, and nothing that would break a map."""

import pytest

from balancer.domain.audience import Audience, HeaderCondition, HeaderName, describe, parse_header
from balancer.errors import InvalidName, InvalidSplit


def test_a_condition_is_a_header_and_its_values() -> None:
    found = parse_header("CF-IPCountry=de, at")
    assert (found.name, found.values) == ("cf-ipcountry", ("de", "at"))
    assert parse_header("x-formula=a=b").values == ("a=b",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x-beta", "write NAME=VALUE"),
        ("x-beta=", "must have 1 to 100 printable characters"),
        ("x-beta=a,,b", "must have 1 to 100 printable characters"),
        ("x-beta=a\nb", "must have 1 to 100 printable characters"),
        ("x-beta=\u00fc", "must have 1 to 100 printable characters"),
        ("x-beta=" + ",".join("a" * 51), "from 1 to 50 values"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidSplit, match=why):
        parse_header(text)


@pytest.mark.parametrize("name", ["", "x beta", "x:beta", "-x", "x" * 61, "x\n"])
def test_what_is_no_name_of_a_header_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        HeaderName(name)


@pytest.mark.parametrize("path", ["", "checkout", "/a b", "/a\n", "/\u00fc", "/" + "x" * 201])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidSplit, match="must begin with /"):
        Audience(path=path)


def test_a_header_is_named_once() -> None:
    twice = HeaderCondition(name=HeaderName("x-beta"), values=("1",))
    with pytest.raises(InvalidSplit, match="named twice"):
        Audience(headers=(twice, twice))


def test_an_audience_is_told_in_words() -> None:
    country = HeaderCondition(name=HeaderName("CF-IPCountry"), values=("de", "at"))
    assert describe(Audience(path="/shop", headers=(country,))) == "paths that begin with /shop, cf-ipcountry de or at"
    assert describe(Audience()) == "everyone"
