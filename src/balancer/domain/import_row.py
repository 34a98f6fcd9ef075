"""Rows of a file that is brought in: what an export wrote, or visitor, name, value, ts and id alone. Pure.

Invariants:
    * A row is right or refused with a reason; nothing about it is guessed, and nothing is repaired.
    * However old an event is, it may be brought in; none is of the future.
    * Each row has an id: its own, else one made of the import and its number, so that a file counts once.

Values may be texts, as they are in CSV, where an empty one is none.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime

from balancer.domain.entry import ERROR, EXPOSURE, SLOW, Reason
from balancer.domain.event import (
    EVENT_ID_FORM,
    EVENT_ID_LIMIT,
    EVENT_NAME_FORM,
    VALUE_LIMIT,
    EventName,
    EventSource,
    VisitorId,
)
from balancer.domain.event_row import EventRow
from balancer.domain.sent import DIM_NAME_LIMIT, DIM_TEXT_LIMIT, DIMS_LIMIT, FUTURE_MILLISECONDS
from balancer.domain.split import SplitId
from balancer.errors import InvalidInput

COLUMNS = frozenset(EventRow.__struct_fields__)
IMPORT_FORM = re.compile(r"[A-Za-z0-9]{8,40}")
"""What names an import: the same for the same file."""
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,62})")
_OURS = (EXPOSURE, ERROR, SLOW)
# 2⁵³: what JSON carries exactly.
_INTEGER_LIMIT = 1 << 53


class RowRefused(Exception):
    """A row is not right."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def read_row(said: object, *, name: str, number: int, now: int) -> EventRow:
    """Return a row; `name` is that of the import, `number` its place in the file, `now` the time. Raises RowRefused."""
    if not isinstance(said, Mapping):
        raise RowRefused(Reason.NOT_JSON, "a row is an object with visitor, name and ts")
    row = {str(key): value for key, value in said.items() if value is not None and value != ""}
    for key in said:
        if key not in COLUMNS:
            known = ", ".join(sorted(COLUMNS))
            raise RowRefused(Reason.FIELD, f"there is no column {str(key)[:60]!r}; there are {known}")
    ts = _time(row.get("ts"), "ts")
    if ts > now + FUTURE_MILLISECONDS:
        raise RowRefused(Reason.FUTURE, "its time is to come; ts is in milliseconds since 1970")
    event, source = _name(row.get("name", "")), _source(row)
    split = None if "split" not in row else _parsed(SplitId, row["split"], Reason.FIELD)
    if event in _OURS and split is None:
        raise RowRefused(Reason.FIELD, f"{event} needs its split, phase, variant and assigned_at")
    return EventRow(
        visitor=_parsed(VisitorId, row.get("visitor", ""), Reason.VISITOR),
        name=event,
        ts=ts,
        value=_value(row["value"]) if "value" in row else None,
        id=_id(row["id"]) if "id" in row else f"i.{name}.{number}",
        split=split,
        phase=_integer(row["phase"], "phase") if split else 0,
        variant=_slug(row.get("variant")) if split else "",
        assigned_at=_time(row.get("assigned_at"), "assigned_at") if split else 0,
        release=_integer(row["release"], "release") if "release" in row else None,
        source=EventSource.EDGE.value if event in _OURS else source,
        stood_in=_flag(row.get("stood_in", False)),
        dims=_dims(row["dims"]) if "dims" in row else None,
    )


def _name(said: object) -> str:
    return said if isinstance(said, str) and said in _OURS else _parsed(EventName, said, Reason.NAME)


def _value(said: object) -> float:
    try:
        value = float(said) if isinstance(said, int | float | str) and not isinstance(said, bool) else math.nan
    except (ValueError, OverflowError):
        value = math.nan
    if not -VALUE_LIMIT <= value <= VALUE_LIMIT:
        raise RowRefused(Reason.VALUE, f"the value {str(said)[:60]!r} is no number within ±{VALUE_LIMIT:g}")
    return value


def _id(said: object) -> str:
    found = str(said) if isinstance(said, str | int) else ""
    if len(found) > EVENT_ID_LIMIT or not re.fullmatch(EVENT_ID_FORM, found):
        raise RowRefused(Reason.ID, f"an id has 1 to {EVENT_ID_LIMIT} letters, digits and _ . : -")
    return found


def _source(row: Mapping[str, object]) -> str:
    try:
        return EventSource(row.get("source", EventSource.IMPORT.value)).value
    except ValueError:
        names = ", ".join(each.value for each in EventSource)
        raise RowRefused(Reason.FIELD, f"the source is one of {names}") from None


def _parsed(kind: Callable[[str], str], said: object, reason: Reason) -> str:
    """Return what parses, as plain text: that is what JSON carries."""
    try:
        return str(kind(said if isinstance(said, str) else repr(said)))
    except InvalidInput as fault:
        raise RowRefused(reason, str(fault)) from None


def _time(said: object, column: str) -> int:
    try:
        if isinstance(said, str) and not said.lstrip("-").isdecimal():
            moment = datetime.fromisoformat(said)
            if moment.tzinfo is None:
                raise ValueError("without a zone")
            at = math.floor(moment.timestamp() * 1000)
        else:
            at = _integer(said, column)
        if at >= 0:
            return at
    except (ValueError, OverflowError):
        pass
    raise RowRefused(
        Reason.TIME, f"{column} is no time from 1970 on: write milliseconds since then, or ISO 8601 with its zone"
    )


def _integer(said: object, column: str) -> int:
    if isinstance(said, float) and said.is_integer():
        said = int(said)
    if isinstance(said, str) and re.fullmatch(r"\d{1,16}", said):
        said = int(said)
    if isinstance(said, int) and not isinstance(said, bool) and 0 <= said < _INTEGER_LIMIT:
        return said
    raise RowRefused(Reason.TIME if column in ("ts", "assigned_at") else Reason.FIELD, f"{column} is no whole number")


def _slug(said: object) -> str:
    if isinstance(said, str) and _SLUG.fullmatch(said):
        return said
    raise RowRefused(Reason.FIELD, "the variant is no slug of a branch")


def _flag(said: object) -> bool:
    if isinstance(said, str):
        said = {"true": True, "false": False}.get(said.lower(), said)
    if isinstance(said, bool):
        return said
    raise RowRefused(Reason.FIELD, "stood_in is true or false")


def _dims(said: object) -> str:
    """Return dims, an object or the text of one, as they are kept."""
    try:
        found = json.loads(said) if isinstance(said, str) else said
    except (ValueError, RecursionError):
        found = None
    if (
        isinstance(found, dict)
        and len(found) <= DIMS_LIMIT
        and all(
            isinstance(text, str)
            and len(name) <= DIM_NAME_LIMIT
            and re.fullmatch(EVENT_NAME_FORM, name)
            and len(text) <= DIM_TEXT_LIMIT
            and text.isprintable()
            for name, text in found.items()
        )
    ):
        return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    raise RowRefused(Reason.DIMS, f"dims is an object of at most {DIMS_LIMIT} short texts")
