"""From a route table to the text that HAProxy reads. Pure.

Invariants:
    * The same table gives the same text.
    * Tables that differ only in servers and splits have the same skeleton: HAProxy follows by runtime commands.
    * Every lookup that a cookie feeds is keyed by the host or by the app of the host.

What each part of the configuration is for, and how it was proved, is in docs/explanation/data-plane.md.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network, summarize_address_range

from balancer.domain.app import AppMode
from balancer.domain.routing import BackendRoute, Role, RouteTable, ServerRoute, SplitRoute
from balancer.domain.split import BUCKETS
from balancer.proxy.forwarded import forwarded
from balancer.proxy.frontend import FORWARDED, FRONTEND, HEAD, KEEP_ALIVE
from balancer.proxy.hold import HOLD
from balancer.proxy.pages import PAGES

_STATIC = {**PAGES, "hold.lua": HOLD}

# inter 5 s while all is well, because active checks of 5,000 servers each 500 ms cost two thirds
# of a core, and `observe` finds deaths at once; a server that is down is asked each 500 ms, so that it is soon back.
_CHECK = "check inter 5s fastinter 500ms downinter 500ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down"
# 30 s for backups: most are checked as servers of a backend of their own, too.
_BACKUP_CHECK = "check inter 30s fastinter 500ms downinter 500ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down backup"
# What stands by has the weight of 256 stand-ins: its visitors rather get their own branch, if an older release of it.
_OPTIONS = {Role.BACKUP: _BACKUP_CHECK, Role.STANDBY: f"{_BACKUP_CHECK} weight 256"}
# An event stream may be silent for an hour, as a websocket may (timeout tunnel). Here and not in the frontend: for those
# whom the fast path lets through as well.
_STREAMS = "  http-request set-timeout server 1h if { req.hdr(accept) -m sub -i text/event-stream }\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """Everything HAProxy reads, by file name relative to its directory."""

    config: str
    maps: Mapping[str, Mapping[str, str]]
    """File name → key → value."""
    pages: Mapping[str, str]
    skeleton: str
    """Hash of what cannot change without a reload."""
    servers: Mapping[tuple[str, str], ServerRoute]
    """(backend, server name) → server, draining ones included."""

    def files(self) -> dict[str, str]:
        """Return every file's text by its name, the configuration last."""
        maps = {
            name: "".join(f"{key} {value}\n" for key, value in entries.items()) for name, entries in self.maps.items()
        }
        return {**self.pages, **maps, "haproxy.cfg": self.config}


def render(table: RouteTable, *, maxconn: int, trusted_proxies: Sequence[IPv4Network | IPv6Network] = ()) -> Rendering:
    """Return what HAProxy must read to do what `table` says, with at most `maxconn` connections.

    What `trusted_proxies` say of their clients is believed.
    """
    head = HEAD.format(maxconn=maxconn, keep_alive=KEEP_ALIVE)
    frontend = FRONTEND.replace(FORWARDED, forwarded(trusted_proxies))
    backends = [backend for app in table.apps for backend in app.backends]
    bare = "".join([frontend, *map(_backend, backends)])
    skeleton = hashlib.sha256((head + bare + repr(_STATIC)).encode()).hexdigest()[:16]
    full = [frontend]
    for backend in backends:
        full += [_backend(backend), *(_server_line(s) for s in backend.servers if s.role is not Role.DRAINING)]
    return Rendering(
        config=head.replace("SKELETON", skeleton) + "".join(full),
        maps=_maps(table),
        pages=_STATIC,
        skeleton=skeleton,
        servers={(backend.name, server.name): server for backend in backends for server in backend.servers},
    )


def server_arguments(server: ServerRoute) -> str:
    """Return the address and options of a server, as in its line and in `add server`."""
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"{host}:{server.port} {_OPTIONS.get(server.role, _CHECK)}"


def _server_line(server: ServerRoute) -> str:
    return f"  server {server.name} {server_arguments(server)}\n"


def _backend(backend: BackendRoute) -> str:
    return f"\nbackend {backend.name}\n{_STREAMS}"


def _maps(table: RouteTable) -> dict[str, dict[str, str]]:
    """Return the maps; those that depend on others come later, and `splits.map`, which opens a split, last."""
    hosts: dict[str, str] = {}
    defaults: dict[str, str] = {}
    branches: dict[str, str] = {}
    ranges: dict[str, str] = {}
    variants: dict[str, str] = {}
    fast: dict[str, str] = {}
    modes: dict[str, str] = {}
    splits: dict[str, str] = {}
    for app in table.apps:
        hosts.update(dict.fromkeys(app.hosts, app.name))
        branches.update(app.branch_hosts)
        if app.mode is not AppMode.SERVING:
            modes.update(dict.fromkeys((*app.hosts, *app.branch_hosts), app.mode.value))
        if app.default_backend:
            defaults[app.name] = app.default_backend
        if app.split:
            ranges.update(_ranges(app.split))
            variants.update({f"{app.name}/{app.split.id}.{slug}": to for slug, to in app.split.backends.items()})
            if app.mode is AppMode.SERVING:  # else the fast way would lead past the mode
                fast.update(_fast(app.hosts, app.split))
            splits[app.name] = str(app.split.id)
    return {
        "maps/hosts.map": hosts,
        "maps/defaults.map": defaults,
        "maps/branches.map": branches,
        "maps/ranges.map": ranges,
        "maps/variants.map": variants,
        "maps/modes.map": modes,
        "maps/fast.map": fast,
        "maps/splits.map": splits,
    }


def _ranges(split: SplitRoute) -> dict[str, str]:
    """Return the buckets of a split as address blocks, each with `<phase>.<variant>`."""
    base = split.id.number * BUCKETS
    return {
        str(block): f"{split.phase}.{piece.variant.slug}"
        for piece in split.allocation
        for block in summarize_address_range(IPv4Address(base + piece.start), IPv4Address(base + piece.stop - 1))
    }


def _fast(hosts: Iterable[str], split: SplitRoute) -> dict[str, str]:
    return {
        f"{host}/{split.id}.{slug}.{phase}.1": backend
        for host in hosts
        for slug, backend in split.backends.items()
        for phase in range(1, split.phase + 1)
    }
