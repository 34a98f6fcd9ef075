"""The short way: the few rules that ordinary requests need, before the many for everything else.

Invariants:
    * Who leaves here is answered, told to the app, and noted in the edge log as on the long way.
    * Who does not leave here takes nothing along: the long way begins with what the client has sent.

Four leave: visitors of apps without a split, visitors who were counted, those whose cookie comes back for the first
time, and new ones. What is ordinary, one regular expression says (`ordinary`), which gives `<cookie>/<host>/<key>`; so a
cookie that ends in `.1` or `/` is one of the short way. Used by `frontend`.
"""

# Where the rules of `forwarded` come.
FORWARDED = "  # FORWARDED\n"
# What we answer ourselves, and who tests by a link.
_NO_PAGE = "url_sub /_balancer/ balancer="
_PERSON = "{ req.fhdr(user-agent) -m reg -f ./browsers.lst }"


def _told(visitor: str, split: str, branch: str, whom: str) -> str:
    told = {"Visitor": visitor, "Split": split, "Branch": branch}
    return "".join(f"  http-request add-header X-Balancer-{name} %[{what}] if {whom}\n" for name, what in told.items())


ABOUT = """\
  # What a report can be cut by; asked of exposures alone, so that it costs the others nothing.
  http-request set-var(req.device) str(desktop) if exposure
  http-request set-var(req.device) str(tablet) if exposure { req.fhdr(user-agent) -m sub iPad Tablet Android }
  http-request set-var(req.device) str(mobile) if exposure { req.fhdr(user-agent) -m sub Mobi } !{ req.fhdr(user-agent) -m sub iPad Tablet }
  http-request set-var(req.country) req.fhdr(x-country-code) if exposure
  http-request set-var(req.country) req.fhdr(cloudfront-viewer-country) if exposure { req.fhdr(cloudfront-viewer-country) -m found }
  http-request set-var(req.country) req.fhdr(cf-ipcountry) if exposure { req.fhdr(cf-ipcountry) -m found }
  http-request set-var(req.first) path,field(2,/),bytes(0,64),url_enc if exposure
  http-request set-var-fmt(txn.about) "%[var(req.device)];%[var(req.country),bytes(0,2),url_enc];%[var(req.first)];" if exposure
"""

SHORT_WAY = f"""\
  http-request deny status 400 default-errorfiles if METH_CONNECT
  http-request set-var(txn.cookie) req.hdrs,map_regm(./ordinary.map)
  http-request set-var(txn.backend) var(txn.cookie),field(2,/,0),map_str(./maps/fast.map)
  acl plain var(txn.cookie) -m found
{FORWARDED}\
  # An app without a split.
  http-request allow if {{ var(txn.cookie) -m end / }} {{ var(txn.backend) -m found }} !{{ {_NO_PAGE} }}

  # A returning visitor who was counted already.
  acl known var(txn.backend) -m found
{_told("var(txn.cookie),bytes(0,36)", "var(txn.cookie),bytes(37),field(1,.)", "var(txn.cookie),bytes(37),field(2,.)", "known")}\
  http-request allow if {{ var(txn.cookie) -m end .1 }} known !{{ {_NO_PAGE} }}

  # And their beacons, answered below for everyone else.
  acl sends var(req.sends) -m found
  http-request set-var(req.sends) bool(true) if {{ path /_balancer/events }} METH_POST {{ var(txn.cookie) -m end .1 }} known !{{ url_sub balancer= }}
  http-request wait-for-body time 2s if sends
  http-request set-var(txn.body) req.body if sends {{ req.body_size le BEACON_LIMIT_BYTES }}
  http-request return status 204 if {{ var(txn.body) -m found }}

  # One whose cookie comes back for the first time: that is the exposure.
  acl exposure var(txn.exposed) -m found
  http-request set-var(txn.exposed) str(1) if {{ var(txn.cookie) -m end .0 }} known {{ method GET }} !{{ {_NO_PAGE} }} {_PERSON}
{ABOUT}\
  http-request set-var(txn.split) var(txn.cookie),bytes(37),field(1,.) if exposure
  http-request set-var-fmt(txn.gives) "%[var(txn.cookie),field(1,.,4)].1.%[var(txn.cookie),field(6,.),field(1,/)]" if exposure
  http-request set-var(txn.cookie) var(txn.gives) if exposure
  http-request allow if exposure

  # A new one: hash the visitor into a bucket, and see whose it is.
  acl begins var(req.begins) -m found
  http-request set-var(req.begins) var(txn.cookie),field(2,/),map_str(./maps/begins.map) if {{ var(txn.cookie) -m end / }} {{ method GET }} !{{ {_NO_PAGE} }} {_PERSON}
  http-request set-var(req.new) uuid() if begins
  http-request set-var(req.its) var(req.begins),field(2,/) if begins
  http-request set-var(req.bucket) var(req.its),concat(:,req.new),xxh32,and(65535) if begins
  http-request set-var(req.place) var(req.its),ltrim(s),mul(65536),add(req.bucket),map_ip(./maps/ranges.map) if begins
  http-request set-var(req.drawn) var(req.place),field(2,.) if begins
  http-request set-var(txn.backend) var(req.begins),concat(.,req.drawn),map_str(./maps/variants.map) if begins
  acl drawn var(txn.gives) -m found
  http-request set-var-fmt(txn.gives) "%[var(req.new)].%[var(req.its)].%[var(req.drawn)].%[var(req.place),field(1,.)].0.%[date(0,ms)]" if begins {{ var(txn.backend) -m found }}
  http-request set-var(txn.cookie) var(txn.gives) if drawn
  http-request set-var(txn.split) var(req.its) if drawn
{_told("var(req.new)", "var(req.its)", "var(req.drawn)", "drawn")}\
  http-request allow if drawn
"""
