"""Texts in ClickHouse's SQL, read back by a real server."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from balancer.store.clickhouse_text import in_list, integers, quoted
from clickhouses import Servers

TEXTS = st.text(st.characters(codec="utf-8"))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXTS, max_size=5))
@example(["'", "\\", "\\'", "' OR 1 = 1 --", "\0x", "\n\t\b", "{x:String}", "$1", "?", "é😀\u2028", ""])
def test_a_literal_is_its_text_whatever_it_holds(shards: Servers, texts: list[str]) -> None:
    sql = f"SELECT {in_list(texts)} AS many, {', '.join(map(quoted, [*texts, 'end']))} FORMAT JSONCompact"
    ((many, *each),) = json.loads(shards.servers[0].ask(sql))["data"]
    assert many == texts
    assert each == [*texts, "end"]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_integers_are_what_they_were(shards: Servers, numbers: list[int]) -> None:
    said = json.loads(shards.servers[0].ask(f"SELECT {integers(numbers)} AS many FORMAT JSONCompact"))
    assert [int(number) for number in said["data"][0][0]] == numbers


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(UnicodeEncodeError):
        quoted("\ud800")
