"""The platform's log: one JSON object a line, whatever happens."""

import io
import json
import logging
import os
import re
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from balancer import logs

log = logs.named("deploy")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Give what is written between `logs.start` and the end of the test."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    written = io.StringIO()
    logs.start(written, "INFO")
    yield written
    logging.captureWarnings(capture=False)
    root.handlers[:] = before
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def only(stream: io.StringIO) -> dict[str, object]:
    (line,) = lines(stream)
    return line


def test_a_line_has_its_time_level_log_message_and_then_the_facts(stream: io.StringIO) -> None:
    log.info("release.live", app="shop", release=3)
    line = only(stream)
    assert list(line) == ["at", "level", "log", "message", "app", "release"]
    assert list(line.values())[1:] == ["INFO", "deploy", "release.live", "shop", 3]


def test_times_are_utc_with_milliseconds(stream: io.StringIO) -> None:
    before = datetime.now(UTC)
    log.info("release.live")
    at = str(only(stream)["at"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", at)
    assert abs(datetime.fromisoformat(at) - before).total_seconds() < 5


def test_what_is_below_the_level_is_not_written(stream: io.StringIO) -> None:
    log.debug("detail")
    log.info("a")
    log.warning("b")
    log.error("c")
    assert [line["level"] for line in lines(stream)] == ["INFO", "WARNING", "ERROR"]


def test_an_exception_comes_out_with_its_traceback(stream: io.StringIO) -> None:
    try:
        raise ValueError("too small")
    except ValueError as error:
        log.error("deploy.failed", error=error)
    text = str(only(stream)["error"])
    assert text.startswith("Traceback")
    assert text.endswith("ValueError: too small")
    assert "test_logs.py" in text


def test_other_libraries_records_become_lines_too(stream: io.StringIO) -> None:
    try:
        raise KeyError("x")
    except KeyError:
        logging.getLogger("uvicorn.error").exception("request %s failed", "/a\nb")
    line = only(stream)
    assert (line["log"], line["message"]) == ("uvicorn.error", "request /a\nb failed")
    assert str(line["error"]).endswith("KeyError: 'x'")


def test_warnings_become_lines_too(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old thing", stacklevel=1)
    assert "old thing" in str(only(stream)["message"])


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (Path("/srv/balancer"), "/srv/balancer"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00+00:00"),
        ("line\nbreak", "line\nbreak"),
        ("käse", "käse"),
        (None, None),
        ([1, "a"], [1, "a"]),
        (os.fsdecode(b"\xff"), "\udcff"),
        (float("nan"), "nan"),
        ({("a", "b"): 1}, "{('a', 'b'): 1}"),
    ],
)
def test_whatever_a_fact_is_the_line_is_json(stream: io.StringIO, fact: object, expected: object) -> None:
    log.info("a", fact=fact)
    line = only(stream)
    assert line["message"] == "a"
    assert line["fact"] == expected


def test_a_fact_that_cannot_even_be_shown_does_not_harm_the_caller(stream: io.StringIO) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    circle: list[object] = []
    circle.append(circle)
    log.info("a", circle=circle)
    log.info("b", broken=Broken())
    assert [line["message"] for line in lines(stream)] == ["a", "b"]


def test_a_fact_cannot_take_the_place_of_what_every_line_has(stream: io.StringIO) -> None:
    log.info("a", level="none", message="other", at=1)
    line = only(stream)
    assert (line["level"], line["message"]) == ("INFO", "a")
    assert (line["level_"], line["message_"], line["at_"]) == ("none", "other", 1)


def test_a_percent_sign_in_a_message_is_only_that(stream: io.StringIO) -> None:
    log.info("100 %s")
    assert only(stream)["message"] == "100 %s"


def test_start_may_be_called_again(stream: io.StringIO) -> None:
    again = io.StringIO()
    logs.start(again, "INFO")
    log.info("a")
    assert (lines(stream), len(lines(again))) == ([], 1)
