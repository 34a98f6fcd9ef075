"""HAProxy is found on the machine, and says which version it is."""

from pathlib import Path

import pytest

from balancer.errors import ProxyMissing, ProxyTooOld
from balancer.proxy.installed import find_executable, version_of


def stand_in(directory: Path, says: str) -> str:
    """Return the path of a program that says something when it is asked for its version."""
    program = directory / "haproxy"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    return str(program)


def test_a_haproxy_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ProxyMissing, match="apt-get install haproxy"):
        find_executable(str(tmp_path / "haproxy"))


def test_a_program_that_is_no_haproxy_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ProxyMissing):
        find_executable(stand_in(tmp_path, "hello"))


@pytest.mark.parametrize("version", ["1.8.30", "2.5.14-1", "2.4"])
def test_a_haproxy_that_is_too_old_is_named_with_the_version_that_is_needed(tmp_path: Path, version: str) -> None:
    with pytest.raises(ProxyTooOld, match=r"too old: Balancer needs 2\.6 or newer"):
        find_executable(stand_in(tmp_path, f"HAProxy version {version} 2023/01/01 - https://haproxy.org/"))


@pytest.mark.parametrize("version", ["2.6.0", "2.10.1", "3.0-dev5", "3.2.4-98813a1"])
def test_a_haproxy_that_is_new_enough_is_taken(tmp_path: Path, version: str) -> None:
    program = stand_in(tmp_path, f"HAProxy version {version} 2023/01/01 - https://haproxy.org/")
    assert find_executable(program) == program


def test_the_haproxy_of_this_machine_is_found() -> None:
    assert Path(find_executable("haproxy")).is_file()


def test_a_haproxy_says_its_whole_version(tmp_path: Path) -> None:
    program = stand_in(tmp_path, "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/")
    assert version_of(program) == "2.6.12-1+deb12u4"


def test_a_program_that_cannot_be_run_is_no_haproxy(tmp_path: Path) -> None:
    program = tmp_path / "haproxy"
    program.write_bytes(b"\x7fELF, half of it")
    program.chmod(0o755)
    with pytest.raises(ProxyMissing):
        version_of(str(program))
