"""A Procfile: every line is a process, but two."""

from pathlib import Path

import pytest

from balancer.domain.manifest import WEB, ProcessType
from balancer.errors import InvalidManifest
from balancer.runner.procfile import Procfile, read_procfile


def read(directory: Path, text: str | bytes) -> Procfile:
    path = directory / "Procfile"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_procfile(path)


def test_every_line_is_a_process_but_the_command_for_before_the_switch(tmp_path: Path) -> None:
    found = read(tmp_path, "web: serve\nworker: work --fast\nrelease: migrate\nclock_2: tick: tock\n")
    assert dict(found.processes) == {WEB: "serve", "worker": "work --fast", "clock_2": "tick: tock"}
    assert (found.release, found.static) == ("migrate", None)


def test_a_directory_is_served_beside_workers(tmp_path: Path) -> None:
    found = read(tmp_path, "static: public\nworker: work\n")
    assert (found.static, dict(found.processes)) == ("public", {ProcessType("worker"): "work"})


def test_ends_of_lines_and_the_mark_of_another_system_do_not_matter(tmp_path: Path) -> None:
    found = read(tmp_path, b"\xef\xbb\xbfweb: serve\r\n\r\n# a comment\r\nworker: work\r\n")
    assert dict(found.processes) == {WEB: "serve", "worker": "work"}


def test_a_process_may_be_called_cron(tmp_path: Path) -> None:
    assert read(tmp_path, "web: serve\ncron: supercronic crontab\n").processes[ProcessType("cron")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("web: a\nworker: b\n\nweb: c\n", "Procfile: `web` stands in line 1 and in line 4; keep one"),
        ("web: a\ndomains: a.example\n", "Procfile, line 2: `domains` is no process; say it in balancer.toml"),
        ("web: a\n2nd: b\n", "Procfile: '2nd' is no name for a process"),
        ("web: a\nwork er: b\n", "Procfile, line 2: write `NAME: COMMAND`"),
    ],
)
def test_what_is_no_process_is_refused_with_its_line(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidManifest, match=why):
        read(tmp_path, text)
