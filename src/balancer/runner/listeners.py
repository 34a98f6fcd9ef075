"""Who listens where: the listening sockets of the machine, and which of them a process has open, as the kernel tells.

They are asked for by netlink, as `ss` does: /proc/net/tcp has them too, but to read it walks through all connections
of the machine (4 ms, and more under load).

Invariant: a socket is a process's only where that process has it open; that something answers proves nothing.
"""

import contextlib
import ipaddress
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# What answers on these addresses of the loopback: itself, or all addresses of its kind; `::` mostly means both kinds.
_ANSWERING = {"127.0.0.1": ("127.0.0.1", "0.0.0.0", "::"), "::1": ("::1", "::")}  # noqa: S104 - nothing is bound
# linux/netlink.h, linux/sock_diag.h, net/tcp_states.h
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _TCP_LISTEN = 4, 20, 10
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
# INET_DIAG_REQ_BYTECODE, INET_DIAG_BC_S_GE, INET_DIAG_BC_S_LE, and the size of two operations.
_BYTECODE, _FROM_PORT, _TO_PORT, _TWO_OPERATIONS = 1, 2, 3, 8
_HEADER = struct.Struct("=IHHII")
# `inet_diag_msg`: the family, the port in the order of the network, the address, and at its end the inode.
_SOCKET = struct.Struct("=B3x2s2x16s44xI")
# 32 KB is the most that the kernel puts into one answer; it answers at once.
_ANSWER_BYTES, _ANSWER_SECONDS = 65536, 5.0
LOOPBACKS = tuple(_ANSWERING)
"""The addresses that an instance may answer on, in the order in which they are tried."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Listener:
    """One listening socket."""

    host: str
    port: int
    inode: int
    """What names the socket in /proc/PID/fd."""

    def answers(self, loopback: str) -> bool:
        """Tell whether a connection to this address of the loopback may reach it."""
        return self.host in _ANSWERING[loopback]

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listening(port: int | None = None) -> Iterator[Listener]:
    """Give every listening TCP socket of the machine, or those on one port.

    Takes 0.1 ms, however many connections there are. Thousands that listen take 13 ms, on one port 0.3.
    """
    for family in (socket.AF_INET, socket.AF_INET6):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
            kernel.settimeout(_ANSWER_SECONDS)
            kernel.send(_question(family, port))
            yield from _answers(kernel)


def _question(family: int, port: int | None) -> bytes:
    """Return what asks the kernel for listening sockets: `inet_diag_req_v2` of linux/inet_diag.h."""
    request = struct.pack("=BBBxI48x", family, socket.IPPROTO_TCP, 0, 1 << _TCP_LISTEN)
    if port is not None:
        # The kernel looks for the port: from `port` on, and up to it. Each is two `inet_diag_bc_op`, of which the
        # second holds the port; where one does not hold it jumps behind the last, which means no.
        code = b"".join(
            struct.pack("=BBHBBH", operation, _TWO_OPERATIONS, no, 0, 0, port)
            for operation, no in ((_FROM_PORT, 20), (_TO_PORT, 12))
        )
        request += struct.pack("=HH", 4 + len(code), _BYTECODE) + code
    return _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 0, 0) + request


def _answers(kernel: socket.socket) -> Iterator[Listener]:
    while True:
        answer = memoryview(kernel.recv(_ANSWER_BYTES))
        while answer:
            length, kind, *_ = _HEADER.unpack_from(answer)
            if kind == _ERROR:
                raise OSError("the kernel does not tell which sockets listen; it needs inet_diag, as `ss -ltn` does")
            if kind == _DONE:
                return
            family, port, source, inode = _SOCKET.unpack_from(answer, _HEADER.size)
            yield Listener(host=_address(family, source), port=int.from_bytes(port, "big"), inode=inode)
            answer = answer[(length + 3) & ~3 :]


def sockets_of(pids: Iterable[int]) -> frozenset[int]:
    """Return the inodes of all sockets that these processes have open, as far as we may look."""
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    kind, _, inode = str(descriptor.readlink()).partition(":")
                    if kind == "socket":
                        found.add(int(inode.strip("[]")))
    return frozenset(found)


def _address(family: int, packed: bytes) -> str:
    if family == socket.AF_INET:
        return str(ipaddress.IPv4Address(packed[:4]))
    address = ipaddress.IPv6Address(packed)
    return str(address.ipv4_mapped or address)
