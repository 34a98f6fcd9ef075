"""Unix sockets in directories of any depth."""

import os
import socket
from pathlib import Path

import pytest

from balancer.sockets import short_path


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
