"""The engines of the ledger, as tests of their contract are given them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clickhouses import Servers, chdb_server, has_chdb, two_shards
from contract.ledger_engines import ClickHouse, Embedded, closing
from entries import Clock


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with two_shards(tmp_path_factory.mktemp("shards")) as servers:
        yield servers


@pytest.fixture(scope="session")
def chdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with chdb_server(tmp_path_factory.mktemp("chdb")) as servers:
        yield servers


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
