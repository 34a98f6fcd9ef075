"""The block of ours in the file that sshd reads."""

import fcntl
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from balancer.domain.key import Key, KeyName, PublicKey
from balancer.errors import HostUnfit
from balancer.runner import authorized_keys
from balancer.runner.authorized_keys import AuthorizedKeys

PUBLIC = PublicKey("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHxZ6cV2eVhQJ1Yq0mQm1J0kq3m8dJcJ5mD5Yx8Yx8Yx")
OTHERS = "# my own\nssh-rsa AAAA me@home\n"


def key(name: str) -> Key:
    return Key(name=KeyName(name), public=PUBLIC, created_at=datetime(2026, 3, 1, tzinfo=UTC))


def block(path: Path, platform: str = "/data") -> AuthorizedKeys:
    return AuthorizedKeys(path, platform=platform, command=("env", "A=it's b", "serve"))


def test_a_key_may_run_its_command_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / ".ssh" / "authorized_keys"
    block(path).write([key("ada")])
    begin, line, end = path.read_text().splitlines()
    assert begin.startswith("# >>> balancer /data")
    assert line == f"""restrict,command="env 'A=it'\\"'\\"'s b' serve ada" {PUBLIC} ada"""
    assert end == "# <<< balancer /data"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("before", [OTHERS, OTHERS.rstrip("\n"), ""])
def test_lines_of_others_stay_as_they_are(before: str, tmp_path: Path) -> None:
    path = tmp_path / "authorized_keys"
    path.write_text(before)
    other = block(path, "/other")
    other.write([key("eve")])
    ours = block(path)
    ours.write([key("ada")])
    ours.write([key("ada"), key("bob")])
    text = path.read_text()
    assert text.startswith(before)
    assert [line.split()[-1] for line in text.splitlines() if line.startswith("restrict")] == ["eve", "ada", "bob"]
    ours.write([])
    other.write([])
    assert path.read_text().rstrip("\n") == before.rstrip("\n")


def test_without_keys_the_file_is_not_touched(tmp_path: Path) -> None:
    block(tmp_path / ".ssh" / "authorized_keys").write([])
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(OTHERS)
    (tmp_path / "authorized_keys").symlink_to("real")
    block(tmp_path / "authorized_keys").write([key("ada")])
    assert (tmp_path / "authorized_keys").is_symlink()
    assert (tmp_path / "real").read_text().startswith(OTHERS)


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostUnfit, match="cannot be written, so keys cannot push"):
        block(tmp_path / "file" / "authorized_keys").write([key("ada")])


def test_platforms_that_write_at_once_undo_nothing_of_each_other(tmp_path: Path) -> None:
    path, platforms = tmp_path / "authorized_keys", [f"/data-{number}" for number in range(8)]
    path.write_text(OTHERS)

    def write(platform: str) -> None:
        for count in range(10):
            block(path, platform).write([key(f"key{number}") for number in range(count + 1)])

    with ThreadPoolExecutor(len(platforms)) as writing:
        assert list(writing.map(write, platforms)) == [None] * len(platforms)
    text = path.read_text()
    assert text.startswith(OTHERS)
    assert text.count("restrict,") == 8 * 10
    assert all(text.count(f"# >>> balancer {platform}:") == 1 for platform in platforms)


def test_a_platform_that_writes_for_ever_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authorized_keys, "_TURN_SECONDS", 0.1)
    other = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(HostUnfit, match=r"another platform has been writing there for 0\.1 s"):
            block(tmp_path / "authorized_keys").write([key("ada")])
    finally:
        os.close(other)
    block(tmp_path / "authorized_keys").write([key("ada")])
    assert (tmp_path / "authorized_keys").exists()
