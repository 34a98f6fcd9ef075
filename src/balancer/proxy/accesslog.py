"""The edge log, read: a line of it becomes entries and refusals. Pure.

The format is docs/reference/edge-log.md.

Invariants:
    * Whatever the bytes are, reading a line raises nothing.
    * Every event in a line becomes one entry or one refusal; one that is bad does not harm those beside it.
    * A line gives at most one exposure, at most one error and at most one slow answer.
    * The value of an exposure and of an error is how long the answer took, in milliseconds; that of a slow one, after
      how many it began.
    * A line's number is noted also where all that it says is refused.

Used by the ledger process, which gives `read_line` to the collector.
"""

import functools
import re
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec

from balancer.domain.app import AppName
from balancer.domain.entry import ERROR, EXPOSURE, NO_APP, SLOW, Batch, Entry, Reason
from balancer.domain.event import VALUE_LIMIT, Event, EventName, EventSource
from balancer.domain.split import SplitId
from balancer.errors import InvalidInput, InvalidName
from balancer.proxy.about import dims_of

EVENTS_LIMIT = 100
"""Events that one header or one beacon may hold."""
EVENT_TOO_LONG = "!"
"""What HAProxy notes in the place of a header that is too long; no event is called so."""
_ABSENT = "-"
# In lines that were written before lines had numbers.
_NO_WORKER = 0
_NOT_TIMED = -1.0
# The year 5138: beyond it, milliseconds are not a time but a mistake.
_LAST_MILLISECOND = 10**14
_COOKIE = re.compile(
    r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    r"\.(s[0-9]{1,5})\.([a-z0-9-]{1,30})\.([0-9]{1,5})\.[01]\.([0-9]{13})"
)
_SERVER = re.compile(r"(?:(backup\.)|standby\.|first\.|previous\.)?r([0-9]{1,15})-i[0-9]+")
_WHOLE = re.compile(r"[0-9]{1,9}")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")


class _Line(msgspec.Struct, frozen=True, gc=False):
    """The fields that say something to the ledger."""

    t: int
    n: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)] = 0
    p: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)] = _NO_WORKER
    app: str = _ABSENT
    backend: str = _ABSENT
    cookie: str = _ABSENT
    exposed: str = _ABSENT
    served: str = _ABSENT
    status: int = 0
    ms: float = _NOT_TIMED
    slow: str = _ABSENT
    event: str = _ABSENT
    body: str = _ABSENT
    about: str = _ABSENT


class _Assignment(NamedTuple):
    visitor: str
    split: SplitId
    variant: str
    phase: int
    assigned_at: int


# The members at hand, because looking one up in its class is a function call.
_EDGE, _HEADER, _BEACON = EventSource.EDGE, EventSource.HEADER, EventSource.BEACON
_LINE = msgspec.json.Decoder(_Line)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ANYTHING = msgspec.json.Decoder()
# What msgspec raises: malformed, torn or wrongly typed; not UTF-8; nested too deeply.
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


def read_line(line: bytes, batch: Batch) -> None:
    """Add to `batch` what one line, without its end, says."""
    try:
        said = _LINE.decode(line)
    except _UNREADABLE:
        batch.refuse(NO_APP, Reason.NOT_A_LINE)
        return
    if said.p != _NO_WORKER:
        batch.came(said.p, said.n)
    if not 0 < said.t < _LAST_MILLISECOND:
        batch.refuse(NO_APP, Reason.NOT_A_LINE)
        return
    app = _app(said.app, said.backend)
    if app is None:
        batch.refuse(NO_APP, Reason.NO_APP)
        return
    assignment = _assignment(said.cookie)
    if assignment is None:
        _refuse_all(said, app, batch)
        return
    visitor, split, variant, phase, assigned_at = assignment
    release, stood_in = _server(said.served, variant)
    ts, add = said.t, batch.entries.append
    for name, took in _seen(said):
        dims = dims_of(said.about) if name == EXPOSURE and said.about != _ABSENT else None
        add(
            Entry(
                *(app, split, variant, phase, visitor, assigned_at, ts, name, took, None, _EDGE, release, stood_in),
                dims=dims,
            )
        )
    for source, event in _events(said):
        if isinstance(event, Reason):
            batch.refuse(app, event)
            continue
        name, value, identity = event.name, event.value, event.id
        add(
            Entry(
                app, split, variant, phase, visitor, assigned_at, ts, name, value, identity, source, release, stood_in
            )
        )


def _seen(said: _Line) -> tuple[tuple[str, float | None], ...]:
    """Return what the proxy saw itself, each with its value."""
    took = said.ms if 0 <= said.ms <= VALUE_LIMIT else None
    seen: tuple[tuple[str, float | None], ...] = ((EXPOSURE, took),) if said.exposed == "1" else ()
    if said.status >= 500:
        seen += ((ERROR, took),)
    if said.slow != _ABSENT:
        seen += ((SLOW, float(said.slow) if _WHOLE.fullmatch(said.slow) else None),)
    return seen


def _refuse_all(said: _Line, app: str, batch: Batch) -> None:
    """Refuse what is said of nobody; what would be refused anyway, for its own reason."""
    if said.exposed == "1":
        batch.refuse(app, Reason.NO_VISITOR)
    for _, event in _events(said):
        batch.refuse(app, event if isinstance(event, Reason) else Reason.NO_VISITOR)


def _events(said: _Line) -> Sequence[tuple[EventSource, Event | Reason]]:
    if said.event == _ABSENT:
        return [(_BEACON, event) for event in _of_beacon(said.body)] if said.body != _ABSENT else ()
    events: list[tuple[EventSource, Event | Reason]] = [(_HEADER, event) for event in _of_header(said.event)]
    if said.body != _ABSENT:
        events += [(_BEACON, event) for event in _of_beacon(said.body)]
    return events


def _of_header(text: str) -> Sequence[Event | Reason]:
    """Read `name`, `name=value` or `name=value;id=…`, separated by commas.

    An element that is empty is none (RFC 9110, 5.6.1).
    """
    if text == EVENT_TOO_LONG:
        return (Reason.TOO_MANY,)
    parts = [part for part in text.split(",") if part and not part.isspace()]
    return _limited([_of_part(part) for part in parts[:EVENTS_LIMIT]], len(parts))


def _of_part(part: str) -> Event | Reason:
    pair, semicolon, rest = part.partition(";")
    name, equals, number = pair.partition("=")
    key, _, event_id = rest.partition("=")
    if semicolon and key.strip() != "id":
        return Reason.ID
    if equals and not _NUMBER.fullmatch(number.strip()):
        return Reason.VALUE
    return _event(name.strip(), float(number) if equals else None, event_id.strip() if semicolon else None)


def _of_beacon(body: str) -> Sequence[Event | Reason]:
    """Read one JSON object, or a list of them."""
    if not body.lstrip().startswith("["):
        return (_of_item(body),)
    try:
        items = _LIST.decode(body)
    except _UNREADABLE:
        return (Reason.NOT_JSON,)
    return _limited([_of_item(item) for item in items[:EVENTS_LIMIT]], len(items))


def _of_item(item: str | msgspec.Raw) -> Event | Reason:
    try:
        said = _ANYTHING.decode(item)
    except _UNREADABLE:
        return Reason.NOT_JSON
    return _event(said.get("name"), said.get("value"), said.get("id")) if isinstance(said, dict) else Reason.NOT_JSON


def _limited(events: list[Event | Reason], count: int) -> list[Event | Reason]:
    """Return the events that were read of `count`, and a reason for each of the others."""
    return events + [Reason.TOO_MANY] * (count - len(events))


def _event(name: object, value: object, event_id: object) -> Event | Reason:
    """Return the event, or the first thing that is wrong with it."""
    known = _name(name) if isinstance(name, str) else None
    if known is None:
        return Reason.NAME
    if value is not None:
        # Compared before it becomes a float, because a huge integer would overflow.
        if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= VALUE_LIMIT:
            return Reason.VALUE
        value = float(value)
    if event_id is not None and not isinstance(event_id, str):
        return Reason.ID
    try:
        return Event(name=known, value=value, id=event_id)
    except InvalidInput:
        return Reason.ID


@functools.lru_cache(maxsize=4096)
def _name(text: str) -> EventName | None:
    try:
        return EventName(text)
    except InvalidName:
        return None


@functools.lru_cache(maxsize=4096)
def _app(app: str, backend: str) -> str | None:
    """Return the app; on the short way only the backend, `<branch slug>--<app>`, tells it."""
    try:
        return AppName(app if app != _ABSENT else backend.partition("--")[2])
    except InvalidName:
        return None


@functools.lru_cache(maxsize=4096)
def _server(served: str, variant: str) -> tuple[int | None, bool]:
    """Return the release that answered, and whether an instance of another branch than the assigned one did.

    Which may stand in within the variant's own backend, or have all the weight, so that everybody is led to it.
    """
    backend, _, server = served.rpartition("/")
    slug, of, _ = backend.partition("--")
    match = _SERVER.fullmatch(server)
    if not match:
        return None, False
    return int(match[2]), match[1] is not None or (of == "--" and slug != variant)


@functools.lru_cache(maxsize=65_536)
def _assignment(cookie: str) -> _Assignment | None:
    match = _COOKIE.fullmatch(cookie)
    if not match:
        return None
    visitor, split, variant, phase, assigned_at = match.groups()
    try:
        return _Assignment(visitor, SplitId(split), variant, int(phase), int(assigned_at))
    except InvalidName:
        return None
