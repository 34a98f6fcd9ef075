"""Times in the registry."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import StatementError

from balancer.store import tables
from balancer.store.database import default_url, open_database


def stored(directory: Path, time: datetime) -> datetime | None:
    engine = open_database(default_url(directory))
    try:
        with engine.begin() as connection:
            connection.execute(insert(tables.apps).values(name="shop", created_at=time))
            return connection.scalar(select(tables.apps.c.created_at))
    finally:
        engine.dispose()


def test_a_time_comes_back_in_utc_to_the_millisecond(tmp_path: Path) -> None:
    vienna = timezone(timedelta(hours=1))
    back = stored(tmp_path, datetime(2026, 3, 1, 13, 0, 0, 123_999, tzinfo=vienna))
    assert back == datetime(2026, 3, 1, 12, 0, 0, 123_000, tzinfo=UTC)
    assert back.tzinfo is UTC


def test_a_time_before_1970_is_no_special_case(tmp_path: Path) -> None:
    time = datetime(1969, 12, 31, 23, 59, 59, 250_000, tzinfo=UTC)
    assert stored(tmp_path, time) == time


def test_a_time_without_a_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StatementError, match="offset-naive"):
        stored(tmp_path, datetime(2026, 3, 1, 12, 0))  # noqa: DTZ001 - the naive time is what is refused
