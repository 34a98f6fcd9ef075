"""The parts of HAProxy's configuration that are the same whatever is routed.

Used by `render`. What each line is for, and how it was proved, is in docs/explanation/data-plane.md. A variable is of
the transaction (`txn`) where the answer, the log or a backend asks for it, and else of the request (`req`): HAProxy
looks variables up in a list a scope, and what is not there in all of it.
"""

from balancer.proxy.accesslog import EVENT_TOO_LONG
from balancer.proxy.malformed import MALFORMED
from balancer.proxy.ordinary import ANSWER
from balancer.proxy.short_way import ABOUT, SHORT_WAY

# Where those rules of `forwarded` come that are for requests that are not ordinary.
CLAIMS = "  # CLAIMS\n"
# In the place of the sample that is the address of the client.
CLIENT = "CLIENT-ADDRESS"
_COOKIE = (
    r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"\.s[0-9]{1,5}\.[a-z0-9-]{1,30}\.[0-9]{1,5}\.[01p]\.[0-9]{13}$"
)
# 8 KB: a beacon with every character escaped still fits a line of the log.
BEACON_LIMIT_BYTES = 8192
# The same: of a header of some 13 kB HAProxy logged neither it nor that it was there.
EVENT_LIMIT_BYTES = 8192
# 25 s, shorter than what a drain grants idle connections (plan.LINGERING): they end before what they lead to.
KEEP_ALIVE = "25s"

HEAD = """\
# Rendered by Balancer; a change made here is lost at the next one.
global
  # One thread: two that write to the edge log at once make HAProxy drop a line now and then, uncalled for.
  nbthread 1
  maxconn {maxconn}
  stats socket unix@./admin.sock mode 600 level admin expose-fd listeners
  hard-stop-after 24h
  mworker-max-reloads 100
  set-var proc.skeleton str(SKELETON)
  # No two visitors have the same cookie: to remember what was matched costs more than to match.
  tune.pattern.cache-size 0
.if feature(LUA)
  lua-load ./hold.lua
.endif

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
  # A client that has gone takes its request along, or an event stream that says nothing would be held for an hour.
  option abortonclose
  http-reuse always
  retries 3
  retry-on conn-failure
  option redispatch 1
  option allbackups
  errorfile 502 ./pages/502.http
  errorfile 503 ./pages/503.http
  errorfile 504 ./pages/504.http

"""

# A worker numbers its lines, also those that it then cannot write, of which HAProxy itself does not count those that a full
# disk refused (docs/decisions/0011): what the ledger misses of the numbers was lost.
_LOG_FORMAT = (
    '{"n":%lc,"p":%pid,"t":%[date(0,ms)],"app":"%[var(txn.app)]","backend":"%[var(txn.backend)]","cookie":"%[var(txn.cookie),field(1,/)]",'
    '"exposed":"%[var(txn.exposed)]","served":"%b/%s","status":%ST,"ms":%Ta,"slow":"%[var(txn.slow)]",'
    '"about":"%[var(txn.about),json(utf8s)]",'
    '"event":"%[var(txn.event),json(utf8s)]","body":"%[var(txn.body),json(utf8s)]"}'
)

# An hour, from the last error on: who goes on and on counts once, and a canary that is given to everybody in an hour is
# judged by each address once.
ERRORS_ONCE_WITHIN = "1h"
# 100,000: of each HAProxy keeps about 100 bytes, once its first visitor was in error; the oldest give way.
STRANGERS = "100k"
INSIDE = "127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 169.254.0.0/16 ::1 fc00::/7 fe80::/10"

FRONTEND = f"""\
frontend web
  bind "fd@${{BALANCER_WEB_FD}}"
.if defined(BALANCER_WEB6_FD)
  bind "fd@${{BALANCER_WEB6_FD}}"
.endif
  log "fd@${{BALANCER_EDGE_FD}}" len 16384 format raw local0
  log-format '{_LOG_FORMAT}'

  # The addresses of new visitors who were in error.
  stick-table type ipv6 size {STRANGERS} expire {ERRORS_ONCE_WITHIN} store gpc0

{SHORT_WAY.replace("BEACON_LIMIT_BYTES", str(BEACON_LIMIT_BYTES))}
  # The long way. What only we may say is dropped; a cookie that does not parse, or is there twice, is as if it were not.
  http-request del-header [^a-z0-9-] -m reg if !plain
{MALFORMED}\
{CLAIMS}\
  http-request set-var(req.wish) req.fhdr(x-balancer-branch) if !plain
  http-request del-header X-Balancer- -m beg
  http-request unset-var(txn.backend)
  http-request unset-var(txn.cookie)
  http-request set-var(txn.cookie) req.cook(balancer)
  http-request unset-var(txn.cookie) if {{ req.cook_cnt(balancer) gt 1 }} || !{{ var(txn.cookie) -m reg {_COOKIE} }}
  http-request set-var(txn.streams) bool(true) if {{ req.fhdr(accept) -m reg -i text/event-stream }}

  acl ours path_beg /_balancer/
  http-request set-var(req.host) req.fhdr(host),host_only,rtrim(.),lower

  # An app that is paused, in maintenance or stopped. A paused one holds its requests: what they find is looked up after.
  http-request set-var(req.mode) var(req.host),map_str(./maps/modes.map) if !ours
.if feature(LUA)
  http-request lua.hold if {{ var(req.mode) -m str paused }}
.endif
  http-request set-log-level silent if {{ var(req.mode) -m found }}
  http-request return status 503 content-type text/html hdr Retry-After 5 hdr Cache-Control no-store file ./pages/paused.html if {{ var(req.mode) -m str paused }}
  http-request return status 503 content-type text/html hdr Retry-After 60 hdr Cache-Control no-store file ./pages/maintenance.html if {{ var(req.mode) -m str maintenance }}
  http-request return status 503 content-type text/html hdr Retry-After 60 hdr Cache-Control no-store file ./pages/stopped.html if {{ var(req.mode) -m str stopped }}

  # Which app, or which branch by its own host.
  http-request set-var(txn.app) var(req.host),map_str(./maps/hosts.map)
  http-request set-var(txn.backend) var(req.host),map_str(./maps/branches.map) if !{{ var(txn.app) -m found }}
  http-request set-var(req.own) bool(true) if {{ var(txn.backend) -m found }}
  http-request set-log-level silent if !{{ var(txn.app) -m found }}
  http-request return status 404 content-type text/html file ./pages/404.html if !{{ var(txn.app) -m found }} !{{ var(req.own) -m found }}
  http-request set-header X-Balancer-Branch %[var(txn.backend),regsub(--.*,)] if {{ var(req.own) -m found }}
  http-request unset-var(txn.cookie) if {{ var(req.own) -m found }}
  http-request allow if {{ var(req.own) -m found }} !ours

  # Who tests: with the app's preview key a link, a header, or the cookie that the link has set shows one branch.
  http-request set-var(txn.link) url_param(balancer)
  http-request set-var(req.wish) var(txn.link) if {{ var(txn.link) -m found }}
  http-request set-var(req.wish) req.cook(balancer_preview) if !{{ var(req.wish) -m found }}
  http-request set-var(txn.preview) var(txn.app),concat(/,req.wish),map_str(./maps/previews.map) if {{ var(req.wish) -m found }}
  http-request set-var(txn.keep) var(req.wish) if {{ var(txn.preview) -m found }} {{ var(txn.link) -m found }}
  acl previewed var(txn.preview) -m found

  # Who is served and never counted: besides those who test, who has not agreed, who is no person, and who only looks ahead.
  http-request set-var(req.privacy) var(txn.app),map_str(./maps/privacy.map)
  http-request set-var(req.refused) bool(true) if {{ var(req.privacy) -m sub consent }} !{{ req.cook(balancer_consent) 1 }}
  http-request set-var(req.refused) bool(true) if {{ var(req.privacy) -m sub gpc }} {{ req.hdr(sec-gpc) 1 }}
  http-request set-var(txn.forget) bool(true) if {{ var(req.refused) -m found }} {{ req.cook(balancer) -m found }}
  http-request unset-var(txn.cookie) if {{ var(req.refused) -m found }}
  http-request set-var(req.alone) bool(true) if previewed || {{ var(req.refused) -m found }} || {{ method HEAD }}
  http-request set-var(req.alone) bool(true) if {{ req.hdr(sec-purpose) -m sub prefetch }} || {{ req.hdr(purpose) -m sub prefetch }} || {{ req.hdr(x-moz) -m sub prefetch }}
  http-request set-var(req.alone) bool(true) if !{{ req.fhdr(user-agent) -m reg -f ./browsers.lst }} {{ req.fhdr(user-agent),lower -m reg -f ./bots.lst }}
  acl alone var(req.alone) -m found

  # The split that is not over, and the variant that the cookie names in it: that one is kept.
  http-request set-var(txn.split) var(txn.app),map_str(./maps/splits.map)
  http-request set-var(req.visitor) var(txn.cookie),bytes(0,36)
  http-request set-var(req.rest) var(txn.cookie),bytes(37)
  http-request set-var(req.known) bool(true) if {{ var(req.visitor) -m found }}
  http-request set-var(req.pair) var(req.rest),field(1,.,2)
  http-request set-var(txn.backend) var(txn.app),concat(/,req.pair),map_str(./maps/variants.map) if {{ var(req.known) -m found }}
  http-request set-var(req.kept) bool(true) if {{ var(txn.app) -m found }} {{ var(txn.backend) -m found }}
  http-request set-var(req.variant) var(req.rest),field(2,.) if {{ var(req.kept) -m found }}
  http-request set-var(req.phase) var(req.rest),field(3,.) if {{ var(req.kept) -m found }}
  http-request set-var(req.counted) var(req.rest),field(4,.) if {{ var(req.kept) -m found }}
  http-request set-var(req.at) var(req.rest),field(5,.) if {{ var(req.kept) -m found }}
  acl kept var(req.kept) -m found

  # Whether it is for them: a path, and headers.
  http-request set-var(req.assigns) bool(true) if {{ var(txn.split) -m found }} !kept !alone
  http-request set-var(req.rule) var(txn.app),map_str(./maps/audiences.map) if {{ var(req.assigns) -m found }}
  http-request set-var(req.place) path if {{ var(req.rule) -m sub path }}
  http-request unset-var(req.assigns) if {{ var(req.rule) -m sub path }} !{{ var(txn.app),concat(,req.place),map_beg(./maps/paths.map) -m found }}
  http-request set-var(req.place) req.hdrs if {{ var(req.rule) -m sub headers }}
  http-request unset-var(req.assigns) if {{ var(req.rule) -m sub headers }} !{{ var(txn.app),concat(/,req.place),map_reg(./maps/headers.map) -m found }}
  http-request unset-var(req.place)
  acl assigns var(req.assigns) -m found

  # Otherwise: hash the visitor into a bucket, and see whose it is.
  http-request set-var(req.visitor) uuid() if assigns !{{ var(req.known) -m found }}
  http-request set-var(req.bucket) var(txn.split),concat(:,req.visitor),xxh32,and(65535) if assigns
  http-request set-var(req.place) var(txn.split),ltrim(s),mul(65536),add(req.bucket),map_ip(./maps/ranges.map) if assigns
  http-request set-var(req.phase) var(req.place),field(1,.) if assigns
  http-request set-var(req.variant) var(req.place),field(2,.) if assigns
  http-request set-var(req.at) date(0,ms) if assigns
  http-request set-var(req.pair) var(txn.split),concat(.,req.variant) if assigns
  http-request set-var(txn.backend) var(txn.app),concat(/,req.pair),map_str(./maps/variants.map) if assigns

  # A cookie that came back proves a visitor: the first time that it does is the exposure.
  acl assigned var(req.variant) -m found
  http-request set-var(req.flag) str(0) if assigned !alone
  http-request set-var(req.flag) str(1) if assigned !alone {{ var(req.known) -m found }}
  # While they test, a cookie that would lead the fast way does not.
  http-request set-var(req.flag) str(p) if assigned previewed
  http-request set-var(txn.exposed) str(1) if assigned !alone {{ var(req.known) -m found }} !{{ var(req.counted) -m str 1 }}
{ABOUT}\
  acl sets var(txn.gives) -m found
  http-request set-var-fmt(txn.gives) "%[var(req.visitor)].%[var(txn.split)].%[var(req.variant)].%[var(req.phase)].%[var(req.flag)].%[var(req.at)]" if assigned {{ var(req.flag) -m found }} !{{ var(req.counted),strcmp(req.flag) eq 0 }}
  http-request set-var(txn.cookie) var(txn.gives) if sets
  http-request add-header X-Balancer-Visitor %[var(req.visitor)] if assigned !previewed
  http-request add-header X-Balancer-Split %[var(txn.split)] if assigned !previewed !{{ var(req.variant) -m str -- - }}
  http-request add-header X-Balancer-Branch %[var(req.variant)] if assigned !previewed !{{ var(req.variant) -m str -- - }}
  http-request add-header X-Balancer-Branch %[var(txn.preview),regsub(--.*,)] if previewed
  http-request set-var(txn.backend) var(txn.preview) if previewed
  http-request unset-var(txn.cookie) if previewed
  http-request set-var(txn.backend) var(txn.app),map_str(./maps/controls.map) if alone !{{ var(txn.backend) -m found }}
  http-request set-var(txn.backend) var(txn.app),map_str(./maps/defaults.map) if !{{ var(txn.backend) -m found }}

  # What we answer ourselves; for the rest this is all.
  http-request allow if !ours {{ var(txn.backend) -m found }}
  acl beacon path /_balancer/events
  http-request wait-for-body time 2s if beacon METH_POST
  http-request set-log-level silent if ours !beacon !exposure || ours !METH_POST !exposure || ours previewed
  http-request return status 413 content-type text/plain string "A beacon has at most {BEACON_LIMIT_BYTES} bytes.\\n" if beacon {{ req.body_size gt {BEACON_LIMIT_BYTES} }}
  http-request return status 405 content-type text/plain hdr Allow POST string "Events are sent by POST.\\n" if beacon !METH_POST
  http-request set-var(txn.body) req.body if beacon
  http-request return status 204 if beacon
  http-request return status 200 content-type text/javascript hdr Cache-Control "private, max-age=3600" file ./pages/balancer.js if {{ path /_balancer/balancer.js }}
  http-request return status 404 content-type text/html file ./pages/404.html if ours
  http-request set-log-level silent if !{{ var(txn.backend) -m found }}
  http-request return status 503 content-type text/html hdr Retry-After 5 file ./pages/empty.html if !{{ var(txn.backend) -m found }}

  # An ordinary answer leaves no line, and nothing of it is changed.
  http-response set-log-level silent
  http-response allow if {{ status lt 500 }} !exposure {{ res.hdrs -m reg '{ANSWER}' }}
  # All others may; not those at a branch's own host, of which the log was told to be silent before.
  acl counts var(txn.app) -m found
  acl counts var(txn.cookie) -m found
  http-response set-log-level info if counts
  # A shared cache would freeze one variant for everyone.
  acl short var(txn.cookie) -m end .1 /
  acl varies var(txn.cookie) -m end .1
  acl varies var(txn.split) -m found
  acl varies var(txn.preview) -m found
  http-response replace-value Cache-Control ^public$ private if {{ res.fhdr(cache-control) -m sub public }} varies
  http-response add-header Cache-Control private if !{{ res.fhdr(cache-control) -m found }} {{ res.hdr(content-type) -m beg text/html }} varies
  # Ordinary answers leave no line; what HAProxy answers in an instance's place skips these rules and does.
  http-response set-var(txn.event) res.fhdr(balancer-event) if !previewed
  http-response set-var(txn.event) str({EVENT_TOO_LONG}) if {{ var(txn.event),length gt {EVENT_LIMIT_BYTES} }}
  http-response set-var-fmt(txn.about) "%[var(txn.about)]%[res.fhdr(balancer-dimension),bytes(0,512)]" if exposure
  http-response del-header Balancer- -m beg
  # Who keeps no cookie is another visitor with each request: by hammering what fails one client would be many in error. So
  # the line has a new visitor in error once an address, and again where it was quiet for an hour. Addresses that are no
  # client's, since a proxy that is not trusted stands before us, tell nobody apart.
  acl inside {CLIENT} -m ip {INSIDE}
  http-response track-sc0 {CLIENT},ipmask(32,64) if {{ status ge 500 }} {{ var(txn.cookie),field(5,.) -m str 0 }} !inside
  http-response unset-var(txn.cookie) if {{ sc0_get_gpc0 gt 0 }}
  http-response sc-inc-gpc0(0) if {{ sc0_tracked }}
  http-response set-log-level silent if {{ status lt 500 }} !{{ var(txn.event) -m found }} !{{ var(txn.exposed) -m found }}
  http-after-response allow if short
  http-after-response add-header Set-Cookie "balancer=%[var(txn.gives)]; Path=/; Max-Age=63072000; HttpOnly; SameSite=Lax%[var(txn.secure)]" if sets
  http-after-response add-header Set-Cookie "balancer=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax" if {{ var(txn.forget) -m found }}
  http-after-response add-header Set-Cookie "balancer_preview=%[var(txn.keep)]; Path=/; HttpOnly; SameSite=Lax%[var(txn.secure)]" if {{ var(txn.keep) -m found }}
  http-after-response add-header Set-Cookie "balancer_preview=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax" if {{ var(txn.link) -m str off }}

  # For a while after a switch: a file that the new release does not have is looked for in the one before.
  acl file path -m reg \\.[A-Za-z0-9]+$
  use_backend %[var(txn.backend),map_str(./maps/windows.map)] if !short METH_GET file {{ var(txn.backend),map_str(./maps/windows.map) -m found }}
  use_backend %[var(txn.backend)]
"""

# Of an app that has a latency objective, in each of its backends, so that the others pay nothing. The rules of a backend are
# tried before those of the frontend, which silence an answer unless `exposed` is there: 0 says that it is no exposure.
SLOW = """\
  http-request set-var(txn.asked) date(0,ms)
  acl in_split var(txn.cookie) -m end .1
  acl in_split var(txn.split) -m found
  http-response set-var(txn.slow) date(0,ms),sub(txn.asked) if {{ date(0,ms),sub(txn.asked) gt {milliseconds} }} {{ var(txn.cookie) -m found }} in_split
  http-response set-var(txn.exposed) str(0) if {{ var(txn.slow) -m found }} !{{ var(txn.exposed) -m found }}
"""

# A spare backend: bound to a branch by the maps, so that no switch needs a reload. The first server is chosen by name; an
# answer of 404 lets HAProxy try again, which leads to one of the others, as those of role FIRST have no weight.
WINDOW = """\

backend window.{slot}
  retries 1
  retry-on conn-failure 404
  http-request set-var(req.dice) rand({dice})
  http-request set-var(txn.first) var(txn.backend),concat(/,req.dice),map_str(./maps/firsts.map)
  use-server %[var(txn.first)] if {{ var(txn.first) -m found }}
"""
