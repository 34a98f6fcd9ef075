"""From a route table to the text that HAProxy reads. Pure.

Invariants:
    * The same table gives the same text.
    * Tables that differ only in servers and splits have the same skeleton: HAProxy follows by runtime commands.
    * Every lookup that a cookie feeds is keyed by the host or by the app of the host.

What each part of the configuration is for, and how it was proved, is in docs/explanation/data-plane.md.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, summarize_address_range

from balancer.domain.routing import BackendRoute, Role, RouteTable, ServerRoute, SplitRoute
from balancer.domain.split import BUCKETS
from balancer.proxy.pages import PAGES

# inter 5 s while all is well, because active checks of 5,000 servers each 500 ms cost two thirds
# of a core, and `observe` finds deaths at once; a server that is down is asked each 500 ms, so that it is soon back.
_CHECK = "check inter 5s fastinter 500ms downinter 500ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down"
_BACKUP_CHECK = "check inter 30s fastinter 500ms downinter 500ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down backup"
_COOKIE = (
    r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"\.s[0-9]{1,5}\.[a-z0-9-]{1,30}\.[0-9]{1,5}\.[01]\.[0-9]{13}$"
)
# 8 KB: a beacon with every character escaped still fits a line of the log.
BEACON_LIMIT_BYTES = 8192
# 25 s, shorter than the drain of an instance (30 s): a connection of an old worker ends before what it leads to.
_KEEP_ALIVE = "25s"


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


def render(table: RouteTable, *, maxconn: int) -> Rendering:
    """Return what HAProxy must read to do what `table` says, with at most `maxconn` connections."""
    head = _HEAD.format(maxconn=maxconn, keep_alive=_KEEP_ALIVE)
    backends = [backend for app in table.apps for backend in app.backends]
    bare = "".join([_FRONTEND, *map(_backend, backends)])
    skeleton = hashlib.sha256((head + bare + repr(PAGES)).encode()).hexdigest()[:16]
    full = [_FRONTEND]
    for backend in backends:
        full += [_backend(backend), *(_server_line(s) for s in backend.servers if s.role is not Role.DRAINING)]
    return Rendering(
        config=head.replace("SKELETON", skeleton) + "".join(full),
        maps=_maps(table),
        pages=PAGES,
        skeleton=skeleton,
        servers={(backend.name, server.name): server for backend in backends for server in backend.servers},
    )


def server_arguments(server: ServerRoute) -> str:
    """Return the address and options of a server, as in its line and in `add server`."""
    return f"127.0.0.1:{server.port} {_BACKUP_CHECK if server.role is Role.BACKUP else _CHECK}"


def _server_line(server: ServerRoute) -> str:
    return f"  server {server.name} {server_arguments(server)}\n"


def _backend(backend: BackendRoute) -> str:
    return f"\nbackend {backend.name}\n"


def _maps(table: RouteTable) -> dict[str, dict[str, str]]:
    """Return the maps; those that depend on others come later, and `splits.map`, which opens a split, last."""
    hosts: dict[str, str] = {}
    defaults: dict[str, str] = {}
    branches: dict[str, str] = {}
    ranges: dict[str, str] = {}
    variants: dict[str, str] = {}
    fast: dict[str, str] = {}
    splits: dict[str, str] = {}
    for app in table.apps:
        hosts.update(dict.fromkeys(app.hosts, app.name))
        branches.update(app.branch_hosts)
        if app.default_backend:
            defaults[app.name] = app.default_backend
        if app.split:
            ranges.update(_ranges(app.split))
            variants.update({f"{app.name}/{app.split.id}.{slug}": to for slug, to in app.split.backends.items()})
            fast.update(_fast(app.hosts, app.split))
            splits[app.name] = str(app.split.id)
    return {
        "maps/hosts.map": hosts,
        "maps/defaults.map": defaults,
        "maps/branches.map": branches,
        "maps/ranges.map": ranges,
        "maps/variants.map": variants,
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


_HEAD = """\
# Rendered by Balancer; a change made here is lost at the next one.
global
  # One thread: two that write to the edge log at once make HAProxy drop a line now and then, uncalled for.
  nbthread 1
  maxconn {maxconn}
  stats socket unix@./admin.sock mode 600 level admin expose-fd listeners
  hard-stop-after 24h
  mworker-max-reloads 100
  set-var proc.skeleton str(SKELETON)

defaults
  mode http
  balance leastconn
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout queue 10s
  timeout http-request 10s
  timeout http-keep-alive {keep_alive}
  timeout tunnel 1h
  timeout check 5s
  option dontlognull
  option idle-close-on-response
  http-reuse always
  retries 3
  retry-on conn-failure
  option redispatch 1
  option allbackups
  errorfile 502 ./pages/502.http
  errorfile 503 ./pages/503.http
  errorfile 504 ./pages/504.http

"""

_LOG_FORMAT = (
    '{"t":%[date(0,ms)],"app":"%[var(txn.app)]","backend":"%[var(txn.backend)]","cookie":"%[var(txn.cookie)]",'
    '"exposed":"%[var(txn.exposed)]","served":"%b/%s","status":%ST,"ms":%Ta,'
    '"event":"%[var(txn.event),json(utf8s)]","body":"%[var(txn.body),json(utf8s)]"}'
)

_FRONTEND = f"""\
frontend web
  bind "fd@${{BALANCER_WEB_FD}}"
.if defined(BALANCER_WEB6_FD)
  bind "fd@${{BALANCER_WEB6_FD}}"
.endif
  log "fd@${{BALANCER_EDGE_FD}}" len 16384 format raw local0
  log-format '{_LOG_FORMAT}'

  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.fhdr(host)]

  # A returning visitor who was counted already: one lookup, and out.
  http-request set-var(txn.cookie) req.cook(balancer)
  http-request set-var(txn.key) var(txn.cookie),field(2,.,4)
  http-request set-var(txn.backend) req.fhdr(host),host_only,lower,concat(/,txn.key),map_str(./maps/fast.map)
  http-request set-var(txn.fast) bool(true) if {{ var(txn.backend) -m found }} {{ var(txn.cookie) -m reg {_COOKIE} }} !{{ path_beg /_balancer/ }}
  http-request set-header X-Balancer-Visitor %[var(txn.cookie),field(1,.)] if {{ var(txn.fast) -m found }}
  http-request set-header X-Balancer-Split %[var(txn.cookie),field(2,.)] if {{ var(txn.fast) -m found }}
  http-request set-header X-Balancer-Branch %[var(txn.cookie),field(3,.)] if {{ var(txn.fast) -m found }}
  http-request allow if {{ var(txn.fast) -m found }}

  # Everyone else. Forget what a cookie that does not parse has claimed, and what only we may say.
  http-request unset-var(txn.backend)
  http-request unset-var(txn.cookie) if !{{ var(txn.cookie) -m reg {_COOKIE} }}
  http-request del-header X-Balancer-Visitor
  http-request del-header X-Balancer-Split
  http-request del-header X-Balancer-Branch

  # Which app, or which branch by its own host.
  acl ours path_beg /_balancer/
  http-request set-var(txn.host) req.fhdr(host),host_only,rtrim(.),lower
  http-request set-var(txn.app) var(txn.host),map_str(./maps/hosts.map)
  http-request set-var(txn.backend) var(txn.host),map_str(./maps/branches.map) if !{{ var(txn.app) -m found }}
  http-request set-var(txn.own) bool(true) if {{ var(txn.backend) -m found }}
  http-request set-log-level silent if !{{ var(txn.app) -m found }}
  http-request return status 400 content-type text/plain string "A request has one host.\\n" if {{ req.fhdr(host) -m sub , }}
  http-request return status 404 content-type text/html file ./pages/404.html if !{{ var(txn.app) -m found }} !{{ var(txn.own) -m found }}
  http-request set-header X-Balancer-Branch %[var(txn.backend),regsub(--.*,)] if {{ var(txn.own) -m found }}
  http-request unset-var(txn.cookie) if {{ var(txn.own) -m found }}
  http-request allow if {{ var(txn.own) -m found }} !ours

  # The split that runs, and the variant that the cookie names in it: that one is kept.
  http-request set-var(txn.split) var(txn.app),map_str(./maps/splits.map)
  http-request set-var(txn.visitor) var(txn.cookie),field(1,.)
  http-request set-var(txn.known) bool(true) if {{ var(txn.visitor) -m found }}
  http-request set-var(txn.pair) var(txn.cookie),field(2,.,2)
  http-request set-var(txn.backend) var(txn.app),concat(/,txn.pair),map_str(./maps/variants.map) if {{ var(txn.known) -m found }}
  http-request set-var(txn.kept) bool(true) if {{ var(txn.app) -m found }} {{ var(txn.backend) -m found }}
  http-request set-var(txn.variant) var(txn.cookie),field(3,.) if {{ var(txn.kept) -m found }}
  http-request set-var(txn.phase) var(txn.cookie),field(4,.) if {{ var(txn.kept) -m found }}
  http-request set-var(txn.counted) var(txn.cookie),field(5,.) if {{ var(txn.kept) -m found }}
  http-request set-var(txn.at) var(txn.cookie),field(6,.) if {{ var(txn.kept) -m found }}

  # Otherwise: hash the visitor into a bucket, and see whose it is.
  acl assigns var(txn.split) -m found
  acl kept var(txn.kept) -m found
  http-request set-var(txn.visitor) uuid() if assigns !{{ var(txn.known) -m found }}
  http-request set-var(txn.bucket) var(txn.split),concat(:,txn.visitor),xxh32,and(65535) if assigns !kept
  http-request set-var(txn.place) var(txn.split),ltrim(s),mul(65536),add(txn.bucket),map_ip(./maps/ranges.map) if assigns !kept
  http-request set-var(txn.phase) var(txn.place),field(1,.) if assigns !kept
  http-request set-var(txn.variant) var(txn.place),field(2,.) if assigns !kept
  http-request set-var(txn.at) date(0,ms) if assigns !kept
  http-request set-var(txn.pair) var(txn.split),concat(.,txn.variant) if assigns !kept
  http-request set-var(txn.backend) var(txn.app),concat(/,txn.pair),map_str(./maps/variants.map) if assigns !kept

  # A cookie that came back proves a visitor: the first time that it does is the exposure.
  acl assigned var(txn.variant) -m found
  http-request set-var(txn.flag) str(0) if assigned
  http-request set-var(txn.flag) str(1) if assigned {{ var(txn.known) -m found }}
  http-request set-var(txn.exposed) str(1) if assigned {{ var(txn.known) -m found }} !{{ var(txn.counted) -m str 1 }}
  http-request set-var(txn.sets) bool(true) if assigned !{{ var(txn.counted) -m str 1 }}
  http-request set-var-fmt(txn.cookie) "%[var(txn.visitor)].%[var(txn.split)].%[var(txn.variant)].%[var(txn.phase)].%[var(txn.flag)].%[var(txn.at)]" if assigned
  http-request set-header X-Balancer-Visitor %[var(txn.visitor)] if assigned
  http-request set-header X-Balancer-Split %[var(txn.split)] if assigned
  http-request set-header X-Balancer-Branch %[var(txn.variant)] if assigned
  http-request set-var(txn.backend) var(txn.app),map_str(./maps/defaults.map) if !{{ var(txn.backend) -m found }}

  # What we answer ourselves.
  acl exposure var(txn.exposed) -m found
  acl beacon path /_balancer/events
  http-request wait-for-body time 2s if beacon METH_POST
  http-request set-log-level silent if ours !beacon !exposure || ours !METH_POST !exposure
  http-request return status 413 content-type text/plain string "A beacon has at most {BEACON_LIMIT_BYTES} bytes.\\n" if beacon {{ req.body_size gt {BEACON_LIMIT_BYTES} }}
  http-request return status 405 content-type text/plain hdr Allow POST string "Events are sent by POST.\\n" if beacon !METH_POST
  http-request set-var(txn.body) req.body if beacon
  http-request return status 204 if beacon
  http-request return status 200 content-type text/javascript hdr Cache-Control "private, max-age=3600" file ./pages/balancer.js if {{ path /_balancer/balancer.js }}
  http-request return status 404 content-type text/html file ./pages/404.html if ours
  http-request set-log-level silent if !{{ var(txn.backend) -m found }}
  http-request return status 503 content-type text/html hdr Retry-After 5 file ./pages/empty.html if !{{ var(txn.backend) -m found }}

  # A shared cache would freeze one variant for everyone.
  http-response replace-value Cache-Control ^public$ private if {{ var(txn.fast) -m found }} || assigned
  http-response add-header Cache-Control private if {{ var(txn.fast) -m found }} {{ res.hdr(content-type) -m beg text/html }} !{{ res.hdr(cache-control) -m found }} || assigned {{ res.hdr(content-type) -m beg text/html }} !{{ res.hdr(cache-control) -m found }}
  # Ordinary answers leave no line; what HAProxy answers in an instance's place skips these rules and does.
  acl says res.hdr(balancer-event) -m found
  http-response set-log-level silent if {{ var(txn.fast) -m found }} !says {{ status lt 500 }}
  http-response allow if {{ var(txn.fast) -m found }} !says
  http-response set-var(txn.event) res.fhdr(balancer-event) if says
  http-response del-header Balancer-Event if says
  http-response set-log-level silent if !{{ var(txn.event) -m found }} !{{ var(txn.exposed) -m found }} {{ status lt 500 }}
  http-response set-log-level silent if !{{ var(txn.app) -m found }} !{{ var(txn.fast) -m found }}
  http-after-response add-header Set-Cookie "balancer=%[var(txn.cookie)]; Path=/; Max-Age=63072000; HttpOnly; SameSite=Lax" if {{ var(txn.sets) -m found }}

  use_backend %[var(txn.backend)] if {{ var(txn.backend) -m found }}
"""
