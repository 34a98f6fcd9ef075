"""What the audit log keeps of what was sent."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.audit import summary

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
NAMES = st.sampled_from(["name", "weights", "config", "brief", "url", "command", "branches", "visitor", "x"])


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"weights": {"master": 90, "test": 10}, "control": None}, "weights master=90 test=10"),
        ({"brief": {"metric": "purchase", "hypothesis": "Ada says", "aa": False}}, "metric purchase"),
        ({"config": {"KEY": "secret", "OLD": None}}, "set KEY, unset OLD"),
        ({"url": "https://token:secret@git.example:8443/shop.git?key=secret"}, "url https://git.example:8443/shop.git"),
        ({"url": "git@git.example:shop.git"}, "url git.example:shop.git"),
        ({"command": ["psql", "postgres://secret"]}, "command psql"),
        ({"later": True, "fresh": False}, "later"),
        ({"visitor": "abc", "secret": "abc", "address": "https://hooks.example/secret"}, ""),
        ({"name": "a\nb\x1b[31m"}, "name a?b?[31m"),
        ({"name": "x" * 1000}, f"name {'x' * 294}…"),
    ],
)
def test_only_what_is_no_secret_is_said(sent: dict[str, Any], said: str) -> None:
    assert summary(sent) == said


@given(st.dictionaries(NAMES, JSON, max_size=5))
def test_whatever_is_sent_is_one_short_printable_line(sent: dict[str, Any]) -> None:
    said = summary(sent)
    assert said.isprintable()
    assert len(said) <= 300


@given(
    st.dictionaries(st.text(), JSON, max_size=3),
    st.sampled_from(["input", "value", "text", "key", "secret", "visitor"]),
)
def test_a_field_that_is_not_known_leaves_not_even_its_name(sent: dict[str, Any], name: str) -> None:
    assert summary({name: sent}) == ""
