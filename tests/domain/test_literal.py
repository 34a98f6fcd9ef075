"""Literals: what somebody wrote is shown to them as they wrote it."""

import tomllib

import pytest

from balancer.domain.literal import literal


@pytest.mark.parametrize("text", ["true", "false", "7", "0.5", '"two"', "inf", "nan", '[1, "a", true]', '"Größe"'])
def test_what_toml_says_is_shown_as_toml_says_it(text: str) -> None:
    assert literal(tomllib.loads(f"key = {text}")["key"]) == text


def test_what_json_alone_has_is_shown_as_json_says_it() -> None:
    assert literal(None) == "null"
    assert literal({"web": None}) == '{"web": null}'


def test_a_date_is_a_text_and_what_is_long_is_cut() -> None:
    assert literal(tomllib.loads("key = 2026-11-26")["key"]) == '"2026-11-26"'
    long = literal("x" * 1000)
    assert len(long) == 80
    assert long.endswith("x…")
