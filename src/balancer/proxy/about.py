"""What the edge log says about an exposure, read: the dimensions that a report can be cut by. Pure.

Invariants:
    * Whatever the text is, reading it raises nothing; a part that is wrong is left out.
    * `device`, `country` and `path` are the proxy's own words: an app cannot set them.

The text is `device;country;path;` and what the app said in the header `Balancer-Dimension` of its answer, as
`name=text, name=text`; path and country are percent-encoded by HAProxy, so that they hold no semicolon. Used by
`accesslog`.
"""

import functools
import re
import unicodedata
from urllib.parse import unquote

import msgspec

# As many and as long as events that a server sends may have.
DIMENSIONS_LIMIT, NAME_LIMIT, TEXT_LIMIT = 8, 32, 64
DEVICE, COUNTRY, PATH = "device", "country", "path"
_DEVICES = frozenset({"desktop", "tablet", "mobile"})
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]*")
_SORTED = msgspec.json.Encoder(order="sorted")


@functools.lru_cache(maxsize=4096)
def dims_of(about: str) -> str | None:
    """Return the dimensions as a JSON object of texts, its keys sorted; None where there are none."""
    device, _, rest = about.partition(";")
    country, _, rest = rest.partition(";")
    path, _, said = rest.partition(";")
    found = _said(said)
    if device in _DEVICES:
        found[DEVICE] = device
    if _COUNTRY.fullmatch(country):
        found[COUNTRY] = country.upper()
    found[PATH] = f"/{_printable(unquote(unquote(path)))}"
    return _SORTED.encode(found).decode()


def _said(text: str) -> dict[str, str]:
    """Return what the app said, those of its dimensions that are right."""
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (equals and len(name) <= NAME_LIMIT and _NAME.fullmatch(name)) or name in (DEVICE, COUNTRY, PATH):
            continue
        if value and len(value) <= TEXT_LIMIT and value.isprintable() and len(found) < DIMENSIONS_LIMIT:
            found[name] = value
    return found


def _printable(text: str) -> str:
    return "".join(each for each in text if not unicodedata.category(each).startswith("C"))[:TEXT_LIMIT]
