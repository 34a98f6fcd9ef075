"""The sockets that the daemon holds, and the file that HAProxy appends to."""

import errno
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import reserved
from balancer.errors import PortTaken
from balancer.proxy.listener import listen, open_edge_log, take


@pytest.fixture
def site() -> Iterator[list[socket.socket]]:
    """Sockets that are closed in the end."""
    opened: list[socket.socket] = []
    yield opened
    for each in opened:
        each.close()


def test_one_host_is_one_socket(site: list[socket.socket]) -> None:
    site += listen("127.0.0.1", 0)
    assert len(site) == 1
    with socket.create_connection(site[0].getsockname(), timeout=30):
        pass


def test_all_addresses_are_a_socket_of_each_family_on_one_port(site: list[socket.socket]) -> None:
    site += listen("", 0)
    families = [each.family for each in site]
    assert families in ([socket.AF_INET], [socket.AF_INET, socket.AF_INET6])
    assert len({each.getsockname()[1] for each in site}) == 1
    for each in site[1:]:  # else an app would see a client as ::ffff:192.0.2.1
        assert each.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


def test_so_reuseport_is_never_used(site: list[socket.socket]) -> None:
    site += listen("", 0)
    assert not any(each.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) for each in site)


@pytest.mark.parametrize(("host", "address"), [("", "port {port}"), ("127.0.0.1", "127.0.0.1:{port}")])
def test_a_port_that_is_taken_is_named_with_the_flag_that_chooses_another(
    host: str, address: str, site: list[socket.socket]
) -> None:
    site += listen("127.0.0.1", 0)
    port = site[0].getsockname()[1]
    with pytest.raises(PortTaken, match=f"{address.format(port=port)} is taken by another process.*--port"):
        listen(host, port)


def test_where_only_one_family_is_taken_neither_is_kept(site: list[socket.socket]) -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 here")
    taken = socket.socket(socket.AF_INET6)
    site.append(taken)
    taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    (port,) = reserved.ports(1)  # one that the system gives to nobody who connects
    taken.bind(("::", port))
    taken.listen()
    with pytest.raises(PortTaken):
        listen("", port)
    site += listen("0.0.0.0", port)


def test_a_connection_waits_while_nobody_accepts(site: list[socket.socket]) -> None:
    site += listen("127.0.0.1", 0)
    waiting = [socket.create_connection(site[0].getsockname(), timeout=30) for _ in range(300)]
    site += waiting
    accepted, _ = site[0].accept()
    accepted.close()


def test_a_copy_of_a_socket_is_taken_from_the_process_that_has_it(site: list[socket.socket]) -> None:
    site += listen("127.0.0.1", 0)
    address, number = site[0].getsockname(), site[0].fileno()
    holder = subprocess.Popen(
        [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=[number]
    )
    try:
        site.pop().close()
        copy = take(holder.pid, number)
        site.append(copy)
        assert copy.getsockname() == address
        assert not copy.get_inheritable()
    finally:
        holder.communicate()
    with socket.create_connection(address, timeout=30):
        copy.accept()[0].close()


def test_a_descriptor_that_is_not_there_cannot_be_taken() -> None:
    with pytest.raises(OSError) as refused:
        take(os.getpid(), 999_999)
    assert refused.value.errno == errno.EBADF


def test_files_of_the_edge_log_count_up_and_are_only_appended_to(tmp_path: Path) -> None:
    edge = tmp_path / "data" / "edge"
    first = open_edge_log(edge)
    os.write(first, b"one\n")
    os.lseek(first, 0, os.SEEK_SET)
    os.write(first, b"two\n")
    second = open_edge_log(edge)
    os.close(first)
    os.close(second)
    assert sorted(path.name for path in edge.iterdir()) == ["000001.log", "000002.log"]
    assert (edge / "000001.log").read_text() == "one\ntwo\n"
    assert stat.S_IMODE((edge / "000001.log").stat().st_mode) == 0o600


def test_a_number_that_was_once_given_out_does_not_come_back_while_a_later_one_is_there(tmp_path: Path) -> None:
    for name in ("000009.log", "000007.log", "notes.log", "000012.txt"):
        (tmp_path / name).touch()
    os.close(open_edge_log(tmp_path))
    assert (tmp_path / "000010.log").exists()
