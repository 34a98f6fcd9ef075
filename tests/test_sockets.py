"""Sockets to listen on, and unix sockets in directories of any depth."""

import os
import socket
from pathlib import Path

import pytest

from balancer.errors import AddressUnusable, PortTaken
from balancer.sockets import listening, short_path


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_a_socket_in_a_directory_of_any_depth_can_be_bound_and_reached(tmp_path: Path, depth: int) -> None:
    path = tmp_path.joinpath(*["d" * 60] * depth) / "ledger.sock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as calling:
        with short_path(path) as short:
            assert len(os.fsencode(short)) <= 107
            listening.bind(short)
        assert path.is_socket()
        listening.listen()
        with short_path(path) as short:
            calling.connect(short)
        listening.accept()[0].close()


def test_a_path_that_fits_is_given_as_it_is(tmp_path: Path) -> None:
    fits = Path("/run") / ("x" * 102)
    with short_path(fits) as short:
        assert short == str(fits)


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(KeyError), short_path(deep / "a.sock"):
        raise KeyError
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), short_path(tmp_path / ("d" * 120) / "a.sock"):
        pass


@pytest.mark.parametrize("other", ["127.0.0.1", "0.0.0.0"])
def test_a_port_is_ours_before_anything_is_accepted(other: str) -> None:
    with listening("127.0.0.1", 0, backlog=1, option="--port") as ours:
        port = ours.getsockname()[1]
        with pytest.raises(PortTaken, match="choose another with --admin-port"):
            listening(other, port, backlog=1, option="--admin-port")


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("192.0.2.1", r"192\.0\.2\.1:0: Cannot assign requested address"),
        ("nowhere.invalid", "nowhere.invalid:0: "),
        ("2001:db8::1", "2001:db8::1:0: "),
    ],
)
def test_an_address_that_is_not_of_this_machine_is_named_with_the_reason(host: str, reason: str) -> None:
    with pytest.raises(AddressUnusable, match=f"nothing can listen on {reason}.*with --host"):
        listening(host, 0, backlog=1, option="--host")
