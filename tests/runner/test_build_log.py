"""The log of a deploy is a file with what was told."""

from pathlib import Path

from balancer.runner.build_log import BuildLog


def test_each_line_is_there_at_once_and_none_means_no_file(tmp_path: Path) -> None:
    path = tmp_path / "log" / "build.log"
    log = BuildLog(path)
    assert not path.exists()
    log.note("one")
    assert path.read_text() == "one\n"
    log.note("two\n       three")
    log.close()
    BuildLog(path).close()
    assert path.read_text() == "one\ntwo\n       three\n"
