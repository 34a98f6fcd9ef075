"""From a route table to the text that HAProxy reads. Pure.

Invariants:
    * The same table gives the same text.
    * Tables that differ only in servers and splits have the same skeleton: HAProxy follows by runtime commands.
    * Every lookup that a cookie feeds is keyed by the host or by the app of the host.

What each part of the configuration is for, and how it was proved, is in docs/explanation/data-plane.md.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network, summarize_address_range

from balancer.domain.allocation import BUCKETS
from balancer.domain.app import AppMode
from balancer.domain.audience import EVERYONE, Audience
from balancer.domain.manifest import COUNT_ALL
from balancer.domain.routing import (
    WINDOWS,
    AppRoute,
    BackendRoute,
    Role,
    RouteTable,
    ServerRoute,
    SplitRoute,
    windows_of,
)
from balancer.proxy.bots import BOTS, BROWSERS
from balancer.proxy.forwarded import claims, client, forwarded
from balancer.proxy.frontend import CLAIMS, CLIENT, FRONTEND, HEAD, KEEP_ALIVE, SLOW, WINDOW
from balancer.proxy.hold import HOLD
from balancer.proxy.ordinary import request_map
from balancer.proxy.pages import PAGES
from balancer.proxy.short_way import FORWARDED

_STATIC = {**PAGES, "hold.lua": HOLD, "bots.lst": f"{BOTS}\n", "browsers.lst": f"{BROWSERS}\n"}
# 8: whichever instance of a release is asked first for a file, each is asked about as often.
_DICE = 8

# inter 5 s while all is well, because active checks of 5,000 servers each 500 ms cost two thirds
# of a core, and `observe` finds deaths at once; a server that is down is asked each 500 ms, so that it is soon back.
_CHECK = "check inter 5s fastinter 500ms downinter 500ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down"
# 30 s for backups: most are checked as servers of a backend of their own, too.
_BACKUP_CHECK = "check inter 30s fastinter 500ms downinter 500ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down backup"
# What stands by has the weight of 256 stand-ins: its visitors rather get their own branch, if an older release of it.
_OPTIONS = {
    Role.BACKUP: _BACKUP_CHECK,
    Role.STANDBY: f"{_BACKUP_CHECK} weight 256",
    Role.FIRST: f"{_CHECK} weight 0",
}
# An event stream may be silent for an hour, as a websocket may (timeout tunnel). Here and not in the frontend: for those
# whom the short way lets through as well: an ordinary request is none (`ordinary`).
_STREAMS = "  http-request set-timeout server 1h if { var(txn.streams) -m found }\n"


HELD_OUT = "-"
"""Stands for the variant in the cookie of those who are held out; no slug of a branch is that."""
# Those that others lead to come first, so that no command leaves a way to nowhere; `splits`, which opens a split, last.
_MAPS = (
    *("hosts", "defaults", "branches", "previews", "controls", "ranges", "variants", "modes", "privacy"),
    *("paths", "headers", "audiences", "firsts", "windows", "fast", "begins", "splits"),
)


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
            name: "".join([f"{key} {value}\n" for key, value in entries.items()]) for name, entries in self.maps.items()
        }
        return {**self.pages, **maps, "haproxy.cfg": self.config}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What one app adds to a rendering."""

    app: AppRoute
    bare: str
    """Its backends, without servers."""
    full: str
    """Its backends with their servers."""
    maps: Mapping[str, Mapping[str, str]]
    servers: Mapping[tuple[str, str], ServerRoute]


def render(table: RouteTable, *, maxconn: int, trusted_proxies: Sequence[IPv4Network | IPv6Network] = ()) -> Rendering:
    """Return what HAProxy must read to do what `table` says, with at most `maxconn` connections.

    What `trusted_proxies` say of their clients is believed.
    """
    return Renderer(maxconn=maxconn, trusted_proxies=trusted_proxies).render(table)


class Renderer:
    """Renders tables, one after the other: what has been rendered of an app is used again as long as its route is."""

    def __init__(self, *, maxconn: int, trusted_proxies: Sequence[IPv4Network | IPv6Network] = ()) -> None:
        self._frontend = (
            FRONTEND.replace(FORWARDED, forwarded(trusted_proxies))
            .replace(CLAIMS, claims(trusted_proxies))
            .replace(CLIENT, client(trusted_proxies))
        )
        self._static = {**_STATIC, "ordinary.map": request_map(believes=bool(trusted_proxies))}
        self._head = HEAD.format(maxconn=maxconn, keep_alive=KEEP_ALIVE)
        self._parts: dict[str, _Part] = {}
        self._last: tuple[RouteTable, Rendering] | None = None

    def render(self, table: RouteTable) -> Rendering:
        """Return what HAProxy must read to do what `table` says: the same, whatever was rendered before."""
        if self._last is None or self._last[0] is not table:
            self._parts = {app.name: self._part(app) for app in table.apps}
            self._last = table, self._rendering(table)
        return self._last[1]

    def _part(self, app: AppRoute) -> _Part:
        before = self._parts.get(app.name)
        return before if before is not None and before.app is app else _part(app)

    def _rendering(self, table: RouteTable) -> Rendering:
        parts = self._parts.values()
        windows = _windows(table)
        bare = "".join([self._frontend, *(part.bare for part in parts), *(text for text, _ in windows.values())])
        skeleton = hashlib.sha256((self._head + bare + repr(self._static)).encode()).hexdigest()[:16]
        servers = {key: server for part in parts for key, server in part.servers.items()}
        full = [self._head.replace("SKELETON", skeleton), self._frontend, *(part.full for part in parts)]
        for name, (text, of_window) in windows.items():
            full += [text, *map(_server_line, of_window)]
            servers |= {(name, server.name): server for server in of_window}
        return Rendering(
            config="".join(full), maps=_maps(table, parts), pages=self._static, skeleton=skeleton, servers=servers
        )


def server_arguments(server: ServerRoute) -> str:
    """Return the address and options of a server, as in its line and in `add server`."""
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"{host}:{server.port} {_OPTIONS.get(server.role, _CHECK)}"


def _server_line(server: ServerRoute) -> str:
    return f"  server {server.name} {server_arguments(server)}\n"


def _backend(backend: BackendRoute, slow_after_milliseconds: int | None) -> str:
    slow = SLOW.format(milliseconds=slow_after_milliseconds) if slow_after_milliseconds is not None else ""
    return f"\nbackend {backend.name}\n{_STREAMS}{slow}"


def _windows(table: RouteTable) -> dict[str, tuple[str, tuple[ServerRoute, ...]]]:
    """Return the spare backends by name, each with its text and the servers that it has just now."""
    open_now = windows_of(table)
    return {
        f"window.{slot}": (
            WINDOW.format(slot=slot, dice=_DICE),
            open_now[slot].servers if slot in open_now else (),
        )
        for slot in range(WINDOWS)
    }


def _part(app: AppRoute) -> _Part:
    bare: list[str] = []
    full: list[str] = []
    for backend in app.backends:
        bare.append(_backend(backend, app.slow_after_milliseconds))
        full += [bare[-1], *(_server_line(s) for s in backend.servers if s.role is not Role.DRAINING)]
    return _Part(
        app=app,
        bare="".join(bare),
        full="".join(full),
        maps=_maps_of(app),
        servers={(backend.name, server.name): server for backend in app.backends for server in backend.servers},
    )


def _maps(table: RouteTable, parts: Collection[_Part]) -> dict[str, dict[str, str]]:
    """Return the maps; those that depend on others come later, and `splits.map`, which opens a split, last."""
    maps: dict[str, dict[str, str]] = {name: {} for name in _MAPS}
    for part in parts:
        for name, entries in part.maps.items():
            maps[name].update(entries)
    for slot, window in windows_of(table).items():
        first = [server.name for server in window.servers if server.role is Role.FIRST]
        maps["firsts"].update({f"{window.backend}/{dice}": first[dice % len(first)] for dice in range(_DICE)})
        maps["windows"][window.backend] = f"window.{slot}"
    return {f"maps/{name}.map": entries for name, entries in maps.items()}


def _maps_of(app: AppRoute) -> dict[str, dict[str, str]]:
    """Return the entries that one app has in the maps."""
    maps: dict[str, dict[str, str]] = defaultdict(dict)
    maps["hosts"].update(dict.fromkeys(app.hosts, app.name))
    maps["branches"].update(app.branch_hosts)
    maps["previews"].update({f"{app.name}/{wish}": backend for wish, backend in app.previews.items()})
    if app.mode is not AppMode.SERVING:
        maps["modes"].update(dict.fromkeys((*app.hosts, *app.branch_hosts), app.mode.value))
    if app.default_backend:
        maps["defaults"][app.name] = app.default_backend
    if app.privacy != COUNT_ALL:
        maps["privacy"][app.name] = "+".join(name for name, wanted in asdict(app.privacy).items() if wanted)
    if app.split:
        _add_split(maps, app, app.split)
    elif _may_be_fast(app) and app.default_backend and not app.windows:
        maps["fast"].update({f"{host}/": app.default_backend for host in app.hosts})
    return dict(maps)


def _add_split(maps: dict[str, dict[str, str]], app: AppRoute, split: SplitRoute) -> None:
    maps["ranges"].update(_ranges(split))
    maps["variants"].update({f"{app.name}/{split.id}.{slug}": to for slug, to in split.backends.items()})
    if split.held_out[0] < split.held_out[1] and app.default_backend:
        maps["variants"][f"{app.name}/{split.id}.{HELD_OUT}"] = app.default_backend
    if _may_be_fast(app):
        maps["fast"].update(_fast(app.hosts, split, {window.backend for window in app.windows}))
        if _takes_everyone(split):
            maps["begins"].update(dict.fromkeys(app.hosts, f"{app.name}/{split.id}"))
    if split.control and split.control != app.default_backend:
        maps["controls"][app.name] = split.control
    maps["paths"].update(_paths(app.name, split.audience))
    maps["headers"].update(_headers(app.name, split.audience))
    rules = [name for name, wanted in (("path", split.audience.path), ("headers", split.audience.headers)) if wanted]
    if rules:
        maps["audiences"][app.name] = "+".join(rules)
    maps["splits"][app.name] = str(split.id)


def _may_be_fast(app: AppRoute) -> bool:
    """Tell whether the fast way, which looks at nothing but the host and the cookie, leads past nothing."""
    return app.mode is AppMode.SERVING and app.privacy == COUNT_ALL


def _takes_everyone(split: SplitRoute) -> bool:
    """Tell whether every new visitor is assigned, wherever they go and whatever they send."""
    return split.audience == EVERYONE and bool(split.allocation) and split.held_out[0] == split.held_out[1]


def _paths(app: str, audience: Audience) -> dict[str, str]:
    return {f"{app}{audience.path}": "1"} if audience.path else {}


def _headers(app: str, audience: Audience) -> dict[str, str]:
    """Return a regular expression for the app, a slash and all headers of a request as lines.

    Without spaces, as keys of maps have none; each header looked for anywhere after the first line's beginning.
    """
    if not audience.headers:
        return {}
    wanted = (
        rf"(?=(?:.*\n)?{condition.name}:\x20*(?:{'|'.join(map(_exactly, condition.values))})\x20*\r)"
        for condition in audience.headers
    )
    return {f"(?is)^{app}/{''.join(wanted)}": "1"}


def _exactly(text: str) -> str:
    """Return a regular expression without spaces that matches a text and nothing else."""
    return re.sub(r"[^A-Za-z0-9]", lambda found: f"\\x{ord(found[0]):02x}", text)


def _ranges(split: SplitRoute) -> dict[str, str]:
    """Return the buckets of a split as address blocks, each with `<phase>.<variant>`."""
    base = split.id.number * BUCKETS
    pieces = [(piece.start, piece.stop, piece.variant.slug) for piece in split.allocation]
    if split.held_out[0] < split.held_out[1]:
        pieces.append((*split.held_out, HELD_OUT))
    return {
        str(block): f"{split.phase}.{name}"
        for start, stop, name in pieces
        for block in summarize_address_range(IPv4Address(base + start), IPv4Address(base + stop - 1))
    }


def _fast(hosts: Iterable[str], split: SplitRoute, but: AbstractSet[str]) -> dict[str, str]:
    """Return the way of counted visitors, to all backends `but` those whose missing files are looked for elsewhere."""
    return {
        f"{host}/{split.id}.{slug}.{phase}.{counted}": backend
        for host in hosts
        for slug, backend in split.backends.items()
        if backend not in but
        for phase in range(1, split.phase + 1)
        for counted in (0, 1)
    }
