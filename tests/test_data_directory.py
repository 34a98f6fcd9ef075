"""The data directory: made, taken by one alone, and its secrets kept."""

import os
from pathlib import Path

import pytest

from balancer import data_directory
from balancer.errors import DataDirectoryInUse, DataDirectoryUnusable


def test_it_is_made_for_our_user_alone_and_may_be_made_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"
    for _ in range(2):
        data_directory.prepare(path)
        assert path.stat().st_mode & 0o777 == 0o700
        assert (path / "edge").is_dir()


def test_a_path_that_cannot_be_made_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirectoryUnusable, match=r"file/data cannot be used: Not a directory"):
        data_directory.prepare(tmp_path / "file" / "data")
    with pytest.raises(DataDirectoryUnusable), data_directory.alone(tmp_path / "none", "daemon"):
        pass


def test_one_of_a_role_is_alone_until_it_ends(tmp_path: Path) -> None:
    with (
        data_directory.alone(tmp_path, "daemon"),
        data_directory.alone(tmp_path, "ledger"),
        pytest.raises(DataDirectoryInUse, match=r"another daemon \(pid \d+\)"),
        data_directory.alone(tmp_path, "daemon"),
    ):
        pass
    with data_directory.alone(tmp_path, "daemon"):
        pass


def test_what_was_handed_over_to_the_code_that_comes_was_never_let_go(tmp_path: Path) -> None:
    with data_directory.alone(tmp_path, "daemon") as lock:
        held = os.dup(lock)  # as the process has it that executes itself again
    with pytest.raises(DataDirectoryInUse), data_directory.alone(tmp_path, "daemon"):
        pass
    with data_directory.alone(tmp_path, "daemon", held):
        assert (tmp_path / "daemon.lock").read_text() == f"{os.getpid()}\n"
    with data_directory.alone(tmp_path, "daemon"):
        pass


def test_the_lock_of_another_directory_is_let_go(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with data_directory.alone(tmp_path, "daemon") as lock:
        held = os.dup(lock)
    with data_directory.alone(tmp_path / "other", "daemon", held), data_directory.alone(tmp_path, "daemon"):
        pass


def test_a_secret_is_made_once_and_is_ours_alone(tmp_path: Path) -> None:
    made = iter(["first", "second"])
    path = tmp_path / "secret.key"
    assert data_directory.secret(path, lambda: next(made)) == "first"
    assert data_directory.secret(path, lambda: next(made)) == "first"
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_pushes_have_left_goes_and_events_that_were_acknowledged_stay(tmp_path: Path) -> None:
    data_directory.prepare(tmp_path)
    for name in ("archive.x7", "tmp1", "000001.ndjson"):
        (tmp_path / "spool" / name).touch()
    data_directory.clear_spool(tmp_path)
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["000001.ndjson"]
