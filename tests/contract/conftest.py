"""The engines of the ledger, as tests of their contract are given them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clickhouses import has_chdb
from contract.ledger_engines import ClickHouse, Embedded, closing
from entries import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["duckdb", "clickhouse", *(["chdb"] if has_chdb() else [])])
def site(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Embedded | ClickHouse]:
    if request.param == "duckdb":
        with closing(Embedded(tmp_path, clock)) as embedded:
            yield embedded
        return
    servers = request.getfixturevalue("shards" if request.param == "clickhouse" else "chdb")
    with closing(ClickHouse(servers, clock)) as house:
        yield house
