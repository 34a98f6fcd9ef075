"""Ports for instances: in the range, not leased, and free when chosen."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from balancer.errors import PortsExhausted
from balancer.runner.ports import Ports

# Below the ephemeral ports of Linux (32768 and up) and beside those of other tests.
FIRST, LAST = 9700, 9709
ALL = set(range(FIRST, LAST + 1))


@contextmanager
def listening(*ports: int, host: str = "127.0.0.1") -> Iterator[None]:
    """Listen on ports."""
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(socket.create_server((host, port)))
        yield


def test_every_port_of_the_range_is_given_and_no_other() -> None:
    given = {Ports(FIRST, LAST).choose(set()) for _ in range(300)}
    assert given == ALL


def test_a_leased_port_is_not_given_again() -> None:
    ports, leased = Ports(FIRST, LAST), set[int]()
    for _ in ALL:
        leased.add(ports.choose(leased))
    assert leased == ALL


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_somebody_listens_on_is_not_given(host: str) -> None:
    with listening(*range(FIRST, LAST), host=host):
        assert Ports(FIRST, LAST).choose(set()) == LAST


def test_where_none_is_left_the_setting_that_widens_the_range_is_named() -> None:
    with listening(FIRST), pytest.raises(PortsExhausted, match=f"from {FIRST} to {LAST} is free.*`instance_ports`"):
        Ports(FIRST, LAST).choose(ALL - {FIRST})


def test_a_range_may_be_one_port() -> None:
    assert Ports(FIRST, FIRST).choose(set()) == FIRST


def test_a_port_whose_last_connection_is_still_on_its_way_out_is_free() -> None:
    with socket.create_server(("127.0.0.1", FIRST)) as server, socket.create_connection(("127.0.0.1", FIRST)):
        accepted, _ = server.accept()
        accepted.close()  # this side closes first, so it has the port in TIME_WAIT
    assert Ports(FIRST, FIRST).choose(set()) == FIRST
