"""Real listening sockets, found in the tables of the kernel."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from balancer.runner.listeners import Listener, listening, sockets_of
from waiting import until


@contextmanager
def bound(host: str) -> Iterator[tuple[int, int]]:
    """Give port and inode of a socket that listens."""
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=kind) as server:
        yield server.getsockname()[1], os.fstat(server.fileno()).st_ino


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_a_socket_that_listens_is_found_with_its_address(host: str) -> None:
    with bound(host) as (port, inode):
        assert Listener(host=host, port=port, inode=inode) in set(listening())
    assert all(listener.inode != inode for listener in listening()), "others may have the port by now"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_those_on_one_port_are_found_without_the_others(host: str) -> None:
    with bound(host) as (port, inode), bound(host) as (other, _):
        assert list(listening(port)) == [Listener(host=host, port=port, inode=inode)]
        assert {listener.port for listener in listening()} >= {port, other}
    assert all(listener.inode != inode for listener in listening(port)), "others may have the port by now"


def test_a_port_is_found_whoever_listens_beside_it() -> None:
    with bound("127.0.0.1") as (port, _):
        neighbours = [each for each in (port - 1, port + 1) if list(listening(each))]
        assert {listener.port for listener in listening(port)} == {port}
        assert all(listener.port != port for each in neighbours for listener in listening(each))


def test_a_connection_is_no_listener() -> None:
    with bound("127.0.0.1") as (port, _), socket.create_connection(("127.0.0.1", port)) as one:
        assert one.getsockname()[1] not in {listener.port for listener in listening()}


def test_a_process_has_the_sockets_that_it_opened_and_no_others() -> None:
    listens = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1]); input()"
    child = subprocess.Popen([sys.executable, "-uc", listens], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child, bound("127.0.0.1") as (_, ours):
        assert child.stdout
        port = int(child.stdout.readline())
        (theirs,) = (listener.inode for listener in listening() if listener.port == port)
        assert theirs in sockets_of([child.pid])
        assert ours not in sockets_of([child.pid])
        assert {ours} <= sockets_of([os.getpid()])
        child.kill()
    until(lambda: all(listener.port != port for listener in listening()), 30)
    assert sockets_of([child.pid]) == frozenset()


@pytest.mark.parametrize(
    ("host", "v4", "v6"),
    [
        ("127.0.0.1", True, False),
        ("0.0.0.0", True, False),
        ("::1", False, True),
        ("::", True, True),
        ("10.1.2.3", False, False),
    ],
)
def test_which_loopback_an_address_answers_on(host: str, v4: bool, v6: bool) -> None:
    listener = Listener(host=host, port=80, inode=1)
    assert (listener.answers("127.0.0.1"), listener.answers("::1")) == (v4, v6)


def test_a_listener_is_shown_as_an_address() -> None:
    assert str(Listener(host="::1", port=80, inode=1)) == "[::1]:80"
    assert str(Listener(host="127.0.0.1", port=80, inode=1)) == "127.0.0.1:80"
