"""How things look: text for people, and with --json nothing but JSON."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from balancer.cli import output
from balancer.domain.app import Commit
from balancer.domain.merge import Merge
from balancer.errors import AppNotFound, InvalidInput, SplitRunning
from balancer.wire.body import ErrorBody
from balancer.wire.instances import LogLine
from balancer.wire.splits import PhaseBody
from values import MASTER, TEST

# What rich would take for a style, an emoji, a link or a number to colour.
ODD = "[red]a[/] :key: [link=http://x]b[/link] 12:00 'c' \\[d] \\"


def test_text_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    output.plain(ODD)
    output.labelled("web.1", "cyan", f" | {ODD}")
    assert capsys.readouterr() == (f"{ODD}\nweb.1 | {ODD}\n", "")


def test_what_was_escaped_is_shown_as_it_is_among_styles(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(f"[bold]{output.escaped('[red]fix[/] :bug:')}[/]")
    assert capsys.readouterr().out == "[red]fix[/] :bug:\n"


def test_a_long_line_is_not_folded(capsys: pytest.CaptureFixture[str]) -> None:
    output.plain("x " * 500)
    assert capsys.readouterr().out.count("\n") == 1


def test_a_table_that_no_terminal_shows_is_not_folded_and_not_made_wider() -> None:
    lines = "from balancer.cli import output; output.table('What', 'Why', rows=[('a', 'word ' * 500), ('b', 'end')])"
    here = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    shown = subprocess.run([sys.executable, "-c", lines], env=here, capture_output=True, text=True, check=True).stdout
    assert shown.count("\n") == 3
    assert max(map(len, shown.splitlines())) < 2510


def test_what_is_to_be_typed_stands_on_lines_of_its_own() -> None:
    merge = Merge(default=MASTER, winner=TEST, commit=Commit("c0ffee" + "0" * 34))
    said, *commands = output.commands_apart(f"promoted; {merge}").splitlines()
    assert (said.startswith("promoted; master has"), said.endswith("until you have merged:")) == (True, True)
    assert tuple(commands) == merge.commands
    assert output.commands_apart("it harmed: 5 && 6") == "it harmed: 5 && 6"


def test_a_table_has_heads_rows_and_empty_cells(capsys: pytest.CaptureFixture[str]) -> None:
    output.table("Name", "Count>", rows=[("shop", 5), ("blog", None), ("long", 1234)], title="[bold]All[/]")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["All", "Name  Count", "shop      5", "blog", "long   1234"]


def test_a_cell_that_was_escaped_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    output.table("What", rows=[(output.escaped("[red]fix[/] :bug:"),)])
    assert "[red]fix[/] :bug:" in capsys.readouterr().out


def test_json_is_one_line_of_what_the_api_says(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    output.print_json([PhaseBody(number=1, weights={"grün": 50.0}, started_at=moment)])
    shown = capsys.readouterr().out
    assert shown == '[{"number": 1, "weights": {"grün": 50.0}, "started_at": "2026-03-01T00:00:00Z"}]\n'


def test_json_of_a_line_that_was_printed_keeps_it(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json(LogLine(at=datetime(2026, 3, 1, tzinfo=UTC), instance="master.1 web.1", line=ODD))
    assert json.loads(capsys.readouterr().out)["line"] == ODD


def test_an_error_is_said_on_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["balancer", "apps", "remote", "none"])
    assert output.fail(AppNotFound("none")) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: no app is called 'none'; `balancer apps list` shows those there are\n"


def test_an_error_whose_message_has_brackets_is_said_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["balancer"])
    assert output.fail(InvalidInput(ODD)) == 2
    assert capsys.readouterr().err == f"error: {ODD}\n"


def test_with_json_an_error_is_json_on_standard_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["balancer", "split", "start", "shop", "--json"])
    error = SplitRunning("shop", "s1")
    assert output.fail(error) == 4
    out, err = capsys.readouterr()
    assert ErrorBody.model_validate_json(out) == ErrorBody.of(error)
    assert err == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s ago"),
        (0, "0 s ago"),
        (59, "59 s ago"),
        (60, "1 minute ago"),
        (3599, "59 minutes ago"),
        (3600, "1 hour ago"),
        (86_399, "23 hours ago"),
        (86_400, "1 day ago"),
        (1_000_000, "11 days ago"),
    ],
)
def test_how_long_ago_something_was_is_said_in_one_unit(seconds: int, text: str) -> None:
    assert output.ago(datetime.now(UTC) - timedelta(seconds=seconds + 0.3)) == text


def test_what_never_was_is_not_said() -> None:
    assert output.ago(None) == ""
