r"""What is ordinary, for whom the short way of `frontend` is: one regular expression over all headers, for one rule.

Invariants:
    * No rule that the short way leaves out would refuse or change an ordinary request, or answer it otherwise.
    * An ordinary request has one host, as maps have it, and our cookie once and whole, or not at all.
    * No rule for answers that comes after would change an ordinary answer, or note anything of it.

What is not ordinary is not wrong: it goes the long way, on which each question is asked by a rule of its own. All parts
of the expressions are possessive, so that what does not match is known after one look. HAProxy has headers as lines
`name: value\r\n`, names in lower case, and after the last one an empty line. Used by `frontend` and `render`.
"""

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# Of the cookie what a map has as its key: split, variant, phase, and whether the visitor was counted.
_KEY = r"s[0-9]{1,5}\.[a-z0-9-]{1,30}\.[0-9]{1,5}\.[01]"
# No control character, so that a NUL is none either; a tab is rare.
_TEXT = r"[\x20-\xff]"
_END = r"\r\n"
# X_Forwarded_For is X-Forwarded-For to a CGI, and to those that name headers as it did.
_NAME = "[a-z0-9-]++"

# What `malformed` refuses or drops, what says that nobody looks yet, what waits for an hour (`render`), and ours; Host
# and Cookie, because there is one of each.
_SPECIAL = (
    *("host:", "cookie:", "connection:", "upgrade:", "transfer-encoding:", "x-balancer-"),
    *("purpose:", "sec-purpose:", "x-moz:", "accept:"),
)
# Accept, of whatever is no event stream; looked at once.
_ACCEPT = r"accept:(?i:[^e\x00-\x1f]*+(?:e(?!vent-stream)[^e\x00-\x1f]*+)*+)"
# What a client says of itself; of a trusted proxy that is asked by rules.
_CLAIMS = ("forwarded:", "x-forwarded-", "x-real-ip:")

# As HAProxy parses cookies: a comma separates as a semicolon does. A value in quotes may hold either.
_OTHER_COOKIE = r'(?!\x20*+balancer(?:_preview)?+[\x20=;,\r])[^;,"\x00-\x1f]*+'
_OURS = rf"\x20*+balancer=({_UUID}\.({_KEY})\.[0-9]{{13}})"
_COOKIES = rf"(?:{_OTHER_COOKIE}[;,])*+(?:{_OURS}(?:[;,]{_OTHER_COOKIE})*+|{_OTHER_COOKIE})"


def request(*, believes: bool) -> str:
    """Return what matches the headers of an ordinary request: groups 1 to 3 are host, cookie, and the cookie's key.

    Where no proxy is believed, what says something of the client is not ordinary.
    """
    special = "|".join(_SPECIAL if believes else _SPECIAL + _CLAIMS)
    lines = rf"(?:(?:(?!{special}){_NAME}:{_TEXT}++|{_ACCEPT}){_END})*+"
    host = rf"host:\x20([a-z0-9._-]++)(?::[0-9]{{0,5}}+)?+{_END}"
    return rf"^{lines}{host}{lines}(?:cookie:\x20{_COOKIES}{_END}{lines})?+{_END}"


def request_map(*, believes: bool) -> str:
    """Return the map that gives of an ordinary request `<cookie>/<host>/<the cookie's key>`; without one `/<host>/`."""
    return f"{request(believes=believes)} \\2/\\1/\\3\n"


_PLAIN = rf"(?!balancer-|cache-control:|content-type:\x20text/html){_TEXT}++{_END}"
_NOT_PUBLIC = rf"cache-control:\x20(?:(?!public){_TEXT})*+{_END}"
_HTML = rf"content-type:\x20text/html{_TEXT}*+{_END}"

ANSWER = rf"^(?:{_PLAIN})*+(?:(?:{_HTML}(?:{_PLAIN})*+)?+{_NOT_PUBLIC}(?:{_PLAIN}|{_NOT_PUBLIC}|{_HTML})*+)?+{_END}"
"""Matches the headers of an answer that says nothing to us and that no shared cache would keep for everyone."""
