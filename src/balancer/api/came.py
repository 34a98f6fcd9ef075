"""Whence a request came: the address of who sent it, and whether it was by https.

Invariant: what a request says of this itself counts only where it comes from a trusted proxy, and then the last word
counts, which is that proxy's.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address

from fastapi import Request

from balancer.api.platform import platform_of

# Of IPv6 a subscriber has a whole /64 to send from.
_SUBSCRIBER_BITS = 64


def address_of(request: Request) -> str:
    """Return the address that a request came from; of IPv6 the network, empty where it came by a socket of ours."""
    here = _parsed(request.client.host if request.client else "")
    for said in reversed(",".join(request.headers.getlist("x-forwarded-for")).split(",")):
        if here is None or not _is_trusted(request, here):
            break
        before = _parsed(said.strip())
        if before is None:
            break
        here = before
    match here:
        case None:
            return ""
        case IPv6Address():
            return str(IPv6Address(int(here) >> _SUBSCRIBER_BITS << _SUBSCRIBER_BITS))
        case _:
            return str(here)


def is_secure(request: Request) -> bool:
    """Tell whether the browser speaks https, to us or to a trusted proxy before us."""
    here = _parsed(request.client.host if request.client else "")
    if here is not None and _is_trusted(request, here):
        said = ",".join(request.headers.getlist("x-forwarded-proto")).rpartition(",")[2]
        return said.strip().lower() == "https"
    return request.url.scheme == "https"


def _is_trusted(request: Request, address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in platform_of(request).trusted_proxies)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
