"""Watching goes on while the daemon is away, and ends with what is watched."""

import io
import json
from collections.abc import Callable

import pytest
from rich.console import Console

from balancer.cli import output, watch
from balancer.errors import DaemonUnreachable


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_SECONDS", 0.0)


def answering(*answers: str | None) -> Callable[[], str]:
    """Return what answers so one time after the other; None: no daemon does."""
    left = iter(answers)

    def ask() -> str:
        answer = next(left)
        if answer is None:
            raise DaemonUnreachable("http://127.0.0.1:9090")
        return answer

    return ask


def over(found: str) -> bool:
    return found == "done"


def test_it_goes_on_while_no_daemon_answers_and_ends_when_it_is_over() -> None:
    found = watch.looks(answering("1", None, None, "2", "done", "never"), over)
    assert [(look.found, look.away) for look in found] == [
        ("1", False),
        ("1", True),
        ("1", True),
        ("2", False),
        ("done", False),
    ]


def test_where_no_daemon_answers_the_first_time_that_is_an_error() -> None:
    with pytest.raises(DaemonUnreachable):
        list(watch.looks(answering(None), over))


def test_what_is_shown_says_that_no_daemon_answers_beside_how_it_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(output, "console", screen)
    watch.show(watch.looks(answering("running", None, "done"), over), str)
    assert isinstance(screen.file, io.StringIO)
    first, _, rest = screen.file.getvalue().partition("No daemon answers")
    assert "running" in first
    assert "No daemon answers" not in rest.rpartition("done")[2]


def test_where_there_is_no_terminal_it_is_printed_as_soon_as_there_are_news(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(output, "console", Console(file=pipe, width=100))
    printed: list[str] = []

    def ask() -> str:
        printed.append(pipe.getvalue())
        return next(answers)

    answers = iter(("step 1, 1 s", "step 1, 2 s", "step 2, 3 s", "done"))
    watch.show(watch.looks(ask, over), str, lambda found: found.partition(",")[0])
    assert pipe.getvalue().splitlines() == ["step 1, 1 s", "step 2, 3 s", "done"]
    assert printed[1] == "step 1, 1 s\n", "nobody waits for the end to read the beginning"


def test_changes_are_lines_of_json_and_what_is_the_same_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    watch.print_changes(watch.looks(answering("1", "1", None, "1", "done"), over))
    assert list(map(json.loads, capsys.readouterr().out.splitlines())) == ["1", "done"]
