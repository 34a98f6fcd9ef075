"""What apps are told of the client: its address, and the scheme and the host that it asked for.

Invariants:
    * What a client says of itself is dropped, whichever header of this kind it uses.
    * What a trusted proxy says is kept, and its address comes last in the chain.
    * Where no proxy is trusted there is no rule that asks who it is.

Trusted is who is connected to us, by address and by nothing else. Used by `render`.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

# 4: how many proxies before the trusted one may each have added a line instead of appending to the one that was there.
_CHAIN_LINES = 4
_NAMES = ("X-Forwarded- -m beg", "Forwarded", "X-Real-IP")


def forwarded(trusted: Sequence[IPv4Network | IPv6Network]) -> str:
    """Return the rules of a frontend that believes `trusted` and nobody else; they set txn.secure for the cookie.

    They are right for ordinary requests; where nobody is trusted, the others need `claims` as well.
    """
    return _by_trust(trusted) if trusted else _BY_US


def claims(trusted: Sequence[IPv4Network | IPv6Network]) -> str:
    """Return the rules that drop what clients say of themselves in requests that are not ordinary."""
    return "" if trusted else _AGAIN


def client(trusted: Sequence[IPv4Network | IPv6Network]) -> str:
    """Return the sample that is the client's address; behind a trusted proxy what that says last."""
    return "var(txn.client)" if trusted else "src"


_DROP = "".join(f"  http-request del-header {name}\n" for name in _NAMES)
_BY_US = """\
  http-request add-header X-Forwarded-For %[src]
  http-request add-header X-Forwarded-Proto http
  http-request add-header X-Forwarded-Host %[req.fhdr(host)]
"""
_AGAIN = "".join(f"{rule} if !plain\n" for rule in f"{_DROP}{_BY_US}".splitlines())


def _by_trust(trusted: Sequence[IPv4Network | IPv6Network]) -> str:
    drop = "".join(f"  http-request del-header {name} if !trusted\n" for name in _NAMES)
    chain = "".join(
        f'  http-request set-var-fmt(req.chain) "%[req.fhdr(x-forwarded-for,-{line})], %[var(req.chain)]"'
        f" if {{ req.fhdr_cnt(x-forwarded-for) ge {line} }}\n"
        for line in range(1, _CHAIN_LINES + 1)
    )
    return f"""\
  acl trusted src {" ".join(map(str, trusted))}
{drop}\
  http-request set-var(txn.client) src
  http-request set-var(txn.client) req.hdr_ip(x-forwarded-for,-1) if trusted {{ req.hdr_cnt(x-forwarded-for) gt 0 }}
  http-request set-var(req.chain) src
{chain}\
  http-request set-header X-Forwarded-For %[var(req.chain)]
  http-request set-var(req.scheme) str(http)
  http-request set-var(req.scheme) str(https) if {{ req.fhdr(x-forwarded-proto,-1) -i https }}
  http-request set-var(txn.secure) str("; Secure") if {{ var(req.scheme) -m str https }}
  http-request set-header X-Forwarded-Proto %[var(req.scheme)]
  http-request set-header X-Forwarded-Host %[req.fhdr(host)] if !{{ req.fhdr(x-forwarded-host) -m found }}
"""
