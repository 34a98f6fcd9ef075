"""Machines that lack something, and data directories that were damaged: it works, or says what to do."""

import subprocess
from pathlib import Path

import pytest

from browsing import Browser
from hammering import Hammer
from running import BALANCER, Running, running

APP, HOST = "shop", "shop.localhost"


def limited(directory: Path, descriptors: int) -> Running:
    platform = Running(directory)
    platform.wrapper = ("prlimit", f"--nofile={descriptors}:{descriptors}")
    return platform


def test_with_256_file_descriptors_it_deploys_and_serves_and_says_how_many_connections(tmp_path: Path) -> None:
    platform = limited(tmp_path, 256)
    try:
        platform.start()
        repository = platform.create(APP)
        repository.deploy("one")
        with Hammer(platform.port, HOST, kept=8, fresh=8, pause_seconds=0.01).at_work() as tally:
            repository.deploy("two")
        assert tally.failed == 0, tally.describe()
        (said,) = (line for line in platform.log() if line["message"] == "daemon.descriptors.few")
        assert (said["limit"], said["connections"]) == (256, 100)
    finally:
        platform.end()


def serve(data: Path, *wrapper: str) -> subprocess.CompletedProcess[str]:
    words = [*wrapper, str(BALANCER), "serve", "--data-dir", str(data), "--port", "0", "--admin-port", "0"]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_too_few_file_descriptors_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    done = serve(tmp_path / "data", "prlimit", "--nofile=128:128")
    assert done.returncode == 7
    assert "128 file descriptors are too few" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", [b"", b"\0\0\0\0", b"\xff\xfe garbage", b"too short"], ids=str)
def test_a_torn_key_is_an_error_that_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "secret.key").write_bytes(content)
    done = serve(data)
    assert done.returncode == 7
    assert "secret.key" in done.stderr
    assert "restore it from a backup" in done.stderr
    assert "Traceback" not in done.stderr
    assert (data / "secret.key").read_bytes() == content, "what may still be of use stays"


def test_what_a_torn_configuration_of_haproxy_said_is_written_anew(tmp_path: Path) -> None:
    with running(tmp_path) as platform:
        platform.create(APP).deploy("one")
        assert platform.stop() == 0
        (platform.data / "haproxy" / "haproxy.cfg").write_bytes(b"\0" * 100)
        (platform.data / "haproxy" / "maps" / "hosts.map").write_bytes(b"")
        platform.start()
        assert Browser(platform.port, HOST).get().body == "one -"
