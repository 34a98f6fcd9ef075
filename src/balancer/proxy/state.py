"""What HAProxy does now, what it should do, and the commands between the two. Pure.

Invariants:
    * After the commands of `changes` the state is what the rendering says, draining servers apart.
    * Servers are added before a map leads to them, and drained after no map does.
    * Commands never exceed HAProxy's buffer: it drops longer ones without an error.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from balancer.domain.routing import Role
from balancer.proxy.render import Rendering, server_arguments

# 8 KB: half of tune.bufsize, which a command with its payload must fit.
_PAYLOAD_LIMIT_BYTES = 8192


class Admin(Enum):
    """What an operator (we) asked of a server."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyState:
    """What a running HAProxy does."""

    skeleton: str
    servers: Mapping[tuple[str, str], Admin]
    """(backend, server) → what was asked of it."""
    maps: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class AddServer:
    """Make a server and let it serve."""

    backend: str
    server: str
    arguments: str


@dataclass(frozen=True, slots=True)
class SetServer:
    """Ask something of a server."""

    backend: str
    server: str
    admin: Admin


@dataclass(frozen=True, slots=True)
class DeleteServer:
    """Remove a server that is in maintenance; one with connections left stays until the next time."""

    backend: str
    server: str


@dataclass(frozen=True, slots=True)
class ReplaceMap:
    """Give a map new entries, all at once. `chunks` are payloads that fit HAProxy's buffer."""

    name: str
    chunks: tuple[str, ...]


Command = AddServer | SetServer | DeleteServer | ReplaceMap


def changes(now: ProxyState, wanted: Rendering) -> tuple[Command, ...] | None:
    """Return the commands that lead from `now` to `wanted`, None where only a reload does."""
    if now.skeleton != wanted.skeleton:
        return None
    if now.servers == _settled(wanted):  # mostly; to compare thousands at once is quick
        return tuple(_map_changes(now, wanted))
    return (*_additions(now, wanted), *_map_changes(now, wanted), *_removals(now, wanted))


def _settled(wanted: Rendering) -> dict[tuple[str, str], Admin]:
    """Return the servers of a HAProxy of which nothing is to be changed."""
    return {key: Admin.DRAIN if server.role is Role.DRAINING else Admin.READY for key, server in wanted.servers.items()}


def _additions(now: ProxyState, wanted: Rendering) -> Iterator[Command]:
    for (backend, name), server in wanted.servers.items():
        if server.role is Role.DRAINING:
            continue
        admin = now.servers.get((backend, name))
        if admin is None:
            yield AddServer(backend, name, server_arguments(server))
        elif admin is not Admin.READY:
            yield SetServer(backend, name, Admin.READY)


def _map_changes(now: ProxyState, wanted: Rendering) -> Iterator[Command]:
    for name, entries in wanted.maps.items():
        if now.maps.get(name, {}) != entries:
            yield ReplaceMap(name, tuple(_chunks(entries)))


def _removals(now: ProxyState, wanted: Rendering) -> Iterator[Command]:
    for (backend, name), admin in now.servers.items():
        server = wanted.servers.get((backend, name))
        if server is None:
            if admin is not Admin.MAINT:
                yield SetServer(backend, name, Admin.MAINT)
            yield DeleteServer(backend, name)
        elif server.role is Role.DRAINING and admin is not Admin.DRAIN:
            yield SetServer(backend, name, Admin.DRAIN)


def _chunks(entries: Mapping[str, str]) -> Iterator[str]:
    chunk = ""
    for key, value in entries.items():
        line = f"{key} {value}\n"
        if len(chunk) + len(line) > _PAYLOAD_LIMIT_BYTES:
            yield chunk
            chunk = ""
        chunk += line
    if chunk:
        yield chunk
