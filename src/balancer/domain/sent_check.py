"""The check of a batch that a server sent: which of its events are accepted, and why the others are not. Pure.

Invariants:
    * Whatever the bytes are, nothing is raised but BodyUnreadable and BodyTooLarge, and then nothing of it is accepted.
    * A batch that is right is read by msgspec alone (half a million events a second of a core); only one with something
      wrong in it is gone through item by item, and gives the same where it is right.

Used by `services/acceptance.py`, in a thread of its own.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from balancer.domain.entry import Reason
from balancer.domain.event import (
    EVENT_ID_FORM,
    EVENT_ID_LIMIT,
    EVENT_NAME_FORM,
    EVENT_NAME_LIMIT,
    VALUE_LIMIT,
    VISITOR_FORM,
)
from balancer.domain.sent import (
    BATCH_LIMIT,
    DIM_NAME_LIMIT,
    DIM_TEXT_LIMIT,
    DIMS_LIMIT,
    FUTURE_MILLISECONDS,
    PAST_MILLISECONDS,
    Refusal,
    SentEvent,
)
from balancer.domain.sent_body import Form, NoJson, is_utf8, items_of, shown
from balancer.errors import BodyTooLarge, BodyUnreadable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_NAME = re.compile(EVENT_NAME_FORM)
_ID = re.compile(EVENT_ID_FORM)
_VISITOR = re.compile(VISITOR_FORM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was made of a body."""

    events: list[SentEvent]
    refused: list[Refusal]


class _Sent(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """An event as it is sent, where everything but its time and the texts of its dims is known to be right."""

    visitor: Annotated[str, Meta(pattern=rf"\A{VISITOR_FORM}\Z")]
    name: Annotated[str, Meta(pattern=rf"\A{EVENT_NAME_FORM}\Z", max_length=EVENT_NAME_LIMIT)]
    value: Annotated[float, Meta(ge=-VALUE_LIMIT, le=VALUE_LIMIT)] | None = None
    ts: int | float | Annotated[datetime, Meta(tz=True)] | None = None
    id: Annotated[str, Meta(pattern=rf"\A{EVENT_ID_FORM}\Z", max_length=EVENT_ID_LIMIT)] | None = None
    dims: dict[str, str] | None = None


_FIELDS = frozenset(_Sent.__struct_fields__)
_ALL = msgspec.json.Decoder(Annotated[list[_Sent], Meta(max_length=BATCH_LIMIT)])
_LINE = msgspec.json.Decoder(_Sent)
_TIME = Annotated[datetime, Meta(tz=True)]
_SORTED = msgspec.json.Encoder(order="sorted")
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


class _Wrong(Exception):
    """Why an event is refused."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def check(body: bytes, form: Form, now: int) -> Checked:
    """Return what a body holds; `now` is in milliseconds since 1970, UTC.

    Raises:
        BodyUnreadable: it is not JSON, or no list of anything.
        BodyTooLarge: there are more than BATCH_LIMIT events.
    """
    try:
        said = _ALL.decode(body) if form is Form.JSON else _LINE.decode_lines(body)
    except _UNREADABLE:
        return _item_by_item(body, form, now)
    if len(said) > BATCH_LIMIT:
        raise _too_many()
    return _in_time(said, now)


def _in_time(said: list[_Sent], now: int) -> Checked:
    """Check what is left to check of events that are right otherwise."""
    earliest, latest = now - PAST_MILLISECONDS, now + FUTURE_MILLISECONDS
    events: list[SentEvent] = []
    refused: list[Refusal] = []
    add = events.append
    for index, event in enumerate(said):
        ts, dims = event.ts, None
        if ts is None:
            ts = now
        elif type(ts) is not int:
            ts = _milliseconds(ts)
        try:
            if not earliest <= ts <= latest:
                raise _out_of_time(ts, earliest)
            if event.dims is not None:
                dims = _dims(event.dims)
        except _Wrong as wrong:
            refused.append(Refusal(index, wrong.reason, str(wrong)))
            continue
        add(SentEvent(event.visitor, ts, event.name, event.value, event.id, dims))
    return Checked(events=events, refused=refused)


def _item_by_item(body: bytes, form: Form, now: int) -> Checked:
    events: list[SentEvent] = []
    refused: list[Refusal] = []
    readable = 0
    for index, item in enumerate(items_of(body, form)):
        if index == BATCH_LIMIT:
            raise _too_many()
        try:
            if isinstance(item, NoJson):
                raise _Wrong(Reason.NOT_JSON, item.message)
            readable += 1
            events.append(_event(item, now))
        except _Wrong as wrong:
            refused.append(Refusal(index, wrong.reason, str(wrong)))
    if refused and not readable:
        raise BodyUnreadable("the body is not JSON: not one of its lines is; send an object a line")
    return Checked(events=events, refused=refused)


def _event(said: object, now: int) -> SentEvent:
    """Return the event that an item is. Raises _Wrong with the first thing that is wrong with it."""
    if not isinstance(said, dict):
        raise _Wrong(Reason.NOT_JSON, f"{shown(said)} is no object")
    if not all(is_utf8(part) for pair in said.items() for part in pair if isinstance(part, str)):
        raise _Wrong(Reason.NOT_JSON, "it is not UTF-8")
    if unknown := next((key for key in said if key not in _FIELDS), None):
        raise _Wrong(Reason.FIELD, f"no event has a field {shown(unknown)}; there are {', '.join(sorted(_FIELDS))}")
    visitor, name, value, event_id = said.get("visitor"), said.get("name"), said.get("value"), said.get("id")
    if not (isinstance(visitor, str) and _VISITOR.fullmatch(visitor)):
        raise _Wrong(Reason.VISITOR, f"{shown(visitor)} is no visitor: it must be a UUID in lower case")
    if not (isinstance(name, str) and len(name) <= EVENT_NAME_LIMIT and _NAME.fullmatch(name)):
        raise _Wrong(
            Reason.NAME,
            f"{shown(name)} is no name for an event: use a letter, then letters, digits and _ . : -, "
            f"at most {EVENT_NAME_LIMIT}",
        )
    # Compared before it becomes a float, because a huge integer would overflow; nothing that is no number is within.
    if value is not None and not (_is_number(value) and abs(value) <= VALUE_LIMIT):
        raise _Wrong(Reason.VALUE, f"{shown(value)} is no number within ±10¹²")
    if event_id is not None and not (
        isinstance(event_id, str) and len(event_id) <= EVENT_ID_LIMIT and _ID.fullmatch(event_id)
    ):
        raise _Wrong(Reason.ID, f"the id {shown(event_id)} must have 1 to {EVENT_ID_LIMIT} letters, digits and _ . : -")
    ts = _time(said.get("ts"), now)
    if not now - PAST_MILLISECONDS <= ts <= now + FUTURE_MILLISECONDS:
        raise _out_of_time(ts, now - PAST_MILLISECONDS)
    dims = said.get("dims")
    return SentEvent(
        visitor, ts, name, None if value is None else float(value), event_id, None if dims is None else _dims(dims)
    )


def _time(said: object, now: int) -> int:
    if said is None:
        return now
    try:
        if isinstance(said, str):
            return _milliseconds(_instant(said))
        if isinstance(said, int | float) and _is_number(said):
            return _milliseconds(said)
    except (ValueError, OverflowError):
        pass
    raise _Wrong(
        Reason.TIME, f"{shown(said)} is no time: write ISO 8601 with its zone, or milliseconds since 1970 as a number"
    )


def _instant(text: str) -> datetime:
    """Read ISO 8601 with a zone. Raises ValueError."""
    try:
        return msgspec.convert(text, _TIME)
    except msgspec.ValidationError:
        pass
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("without a zone")
    return found


def _milliseconds(time: float | datetime) -> int:
    """Return a time in milliseconds. Raises ValueError, OverflowError where it is no number."""
    return (time - _EPOCH) // _MILLISECOND if isinstance(time, datetime) else math.floor(time)


def _out_of_time(ts: int, earliest: int) -> _Wrong:
    if ts > earliest:
        return _Wrong(Reason.FUTURE, "its time is more than 5 minutes from now; ts is in milliseconds since 1970")
    return _Wrong(Reason.PAST, "its time is more than 7 days ago; ts is in milliseconds since 1970, not in seconds")


def _dims(said: object) -> str:
    """Return dims as they are kept. Raises _Wrong."""
    if not isinstance(said, dict) or len(said) > DIMS_LIMIT:
        raise _Wrong(Reason.DIMS, f"dims must be an object of at most {DIMS_LIMIT} texts")
    for name, text in said.items():
        if len(name) > DIM_NAME_LIMIT or not _NAME.fullmatch(name):
            raise _Wrong(
                Reason.DIMS,
                f"{shown(name)} is no name of a dimension: use a letter, then letters, digits and _ . : -, "
                f"at most {DIM_NAME_LIMIT}",
            )
        if not isinstance(text, str) or len(text) > DIM_TEXT_LIMIT or not text.isprintable():
            raise _Wrong(
                Reason.DIMS, f"the dimension {name} is {shown(text)}: it must be a text, {DIM_TEXT_LIMIT} printable"
            )
    return _SORTED.encode(said).decode()


def _is_number(said: object) -> bool:
    return isinstance(said, int | float) and not isinstance(said, bool)


def _too_many() -> BodyTooLarge:
    return BodyTooLarge(f"there are more than {BATCH_LIMIT:,} events in the batch; send them in several")
