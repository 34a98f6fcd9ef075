"""Rules against requests that are none, or that mean one thing to HAProxy and another to an app.

Invariants:
    * Such a request is answered 400, its connection is closed, and no app hears of it.
    * They are the first rules of the long way; nothing that they are for is in an ordinary request (`ordinary`).

HAProxy's own parser refuses most of them, and reframes what it lets through: an app never sees two lengths, a bare line
feed, or a chunk's extension. These are the rest, each seen to pass HAProxy 2.6. Used by `frontend`.
"""

# RFC 9110, 7.2: uri-host [ ":" port ]; and underscores, for names of a private network. HAProxy looks a name up without
# what stands behind its last colon: `shop.example:@evil.example` would be the shop's, and a link that it makes, evil's.
HOST = r"^([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{0,5})?$"

# CONNECT, and an upgrade to h2c, make a tunnel, in which an app would be told what only we may say.
# HTTP/1.0 knows no Transfer-Encoding (RFC 9112, 6.1), and a field value no NUL (RFC 9110, 5.5).
# What HAProxy leaves of Connection is an upgrade, or names of headers that the next proxy would drop: ours, maybe.
MALFORMED = f"""\
  http-request deny status 400 default-errorfiles if METH_CONNECT
  http-request deny status 400 default-errorfiles if !{{ req.fhdr(host) -m reg -i {HOST} }}
  http-request deny status 400 default-errorfiles if HTTP_1.0 {{ req.fhdr(transfer-encoding) -m found }}
  http-request deny status 400 default-errorfiles if {{ req.hdrs -m reg \\\\x00 }}
  http-request del-header Upgrade if {{ req.fhdr(upgrade) -m sub -i h2c }}
  http-request replace-header Connection .* Upgrade
"""
