"""When lines were noticed: marks that are appended, and found from the end."""

from datetime import timedelta
from pathlib import Path

import pytest

from balancer.runner.log_times import LogTimes, TimeMark
from values import START


def mark(position: int) -> TimeMark:
    return TimeMark(position, START + timedelta(milliseconds=position))


@pytest.fixture
def times(tmp_path: Path) -> LogTimes:
    return LogTimes(tmp_path / "web.1.log")


def test_where_nobody_has_looked_there_are_no_marks(times: LogTimes) -> None:
    assert (times.first(), times.last(), times.after(0)) == (None, None, [])


def test_the_index_lies_beside_its_log(times: LogTimes) -> None:
    assert times.path.name == "web.1.log.times"


@pytest.mark.parametrize("count", [1, 2, 1023, 1024, 1025, 5000])
def test_marks_after_a_position_are_found_however_many_there_are(times: LogTimes, count: int) -> None:
    times.begin([mark(0)])
    for position in range(1, count):
        times.append(mark(position))
    assert (times.first(), times.last()) == (mark(0), mark(count - 1))
    for position in (-1, 0, count // 2, count - 2, count - 1, count):
        assert times.after(position) == [mark(each) for each in range(max(0, position + 1), count)]


def test_a_torn_mark_at_the_end_is_not_there_and_the_next_one_is(times: LogTimes) -> None:
    times.begin([mark(0), mark(5)])
    with times.path.open("ab") as file:
        file.write(b"torn")
    assert times.last() == mark(5)
    times.append(mark(9))
    assert times.after(0) == [mark(5), mark(9)]


def test_to_begin_replaces_everything(times: LogTimes) -> None:
    times.begin([mark(0), mark(5)])
    times.begin([mark(7)])
    assert (times.first(), times.last()) == (mark(7), mark(7))
    assert [each.name for each in times.path.parent.iterdir()] == ["web.1.log.times"]
