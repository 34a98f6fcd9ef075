"""The body of a sent batch, item by item: what each of them is, of whatever bytes it is made. Pure.

Invariants:
    * One item after the other: a list of millions is not made before its items are counted.
    * Numbers that JSON does not have (NaN, Infinity, 1e999) are read, so that they can be refused as values.
    * What is not UTF-8 comes as surrogates, U+DC80 to U+DCFF, which are in nothing that is accepted.

Used by `domain/sent_check.py` for a batch with something wrong in it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from balancer.errors import BodyUnreadable

# 60 characters: so much of what was wrong is said again.
_SHOWN = 60
_SPACE = re.compile(r"[ \t\n\r]*")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
# Not strict: control characters in a text cost the event that they are in, as they do where msgspec reads the batch.
_DECODER = json.JSONDecoder(strict=False)


class Form(Enum):
    """How the events of a body follow each other."""

    JSON = "application/json"
    """A list of objects, or one object."""
    LINES = "application/x-ndjson"
    """An object a line; empty lines are none."""


@dataclass(frozen=True, slots=True)
class NoJson:
    """A line that is not JSON."""

    message: str


def items_of(body: bytes, form: Form) -> Iterator[object]:
    """Give what a body holds, a `NoJson` for each line that is not JSON.

    Raises BodyUnreadable where a list does not parse, when what is before that was given.
    """
    text = body.decode("utf-8", "surrogateescape")
    return _of_list(text) if form is Form.JSON else _of_lines(text)


def is_utf8(text: str) -> bool:
    """Tell whether a text of a body was UTF-8."""
    return text.isascii() or not _NOT_UTF8.search(text)


def shown(said: object) -> str:
    """Return what was said, as a message may say it again: short, in ASCII."""
    match said:
        case None:
            return "nothing"
        case dict():
            return "an object"
        case list():
            return "a list"
        case bool():
            return "true" if said else "false"
        case int() if abs(said) >= 10**_SHOWN:
            return "a huge number"
        case str():
            return ascii(said[:_SHOWN])
        case _:
            return repr(said)


def _of_list(text: str) -> Iterator[object]:
    place = _skip(text, 0)
    if text.startswith("{", place):
        item, place = _value(text, place)
        yield item
    elif text.startswith("[", place):
        place = _skip(text, place + 1)
        more = not text.startswith("]", place)
        while more:
            item, place = _value(text, place)
            yield item
            place = _skip(text, place)
            more = text.startswith(",", place)
            if more:
                place = _skip(text, place + 1)
        if not text.startswith("]", place):
            raise _no_json(text, place)
        place += 1
    else:
        raise BodyUnreadable("the body is no list of events; send a JSON array of objects, or an object a line")
    if _skip(text, place) != len(text):
        raise _no_json(text, place)


def _of_lines(text: str) -> Iterator[object]:
    start = 0
    while start < len(text):
        stop = text.find("\n", start)
        stop = len(text) if stop < 0 else stop
        line = text[start:stop].strip(" \t\r")
        start = stop + 1
        if line:
            yield _of_line(line)


def _of_line(line: str) -> object:
    try:
        item, end = _value(line, 0)
        if end == len(line):
            return item
    except BodyUnreadable:
        pass
    return NoJson("the line is not JSON" if is_utf8(line) else "the line is not UTF-8")


def _value(text: str, place: int) -> tuple[object, int]:
    try:
        return _DECODER.raw_decode(text, place)
    except (ValueError, RecursionError):  # malformed, or a number of thousands of digits; too deep
        raise _no_json(text, place) from None


def _skip(text: str, place: int) -> int:
    """Return where the next thing that is no space is."""
    space = _SPACE.match(text, place)
    return space.end() if space else place


def _no_json(text: str, place: int) -> BodyUnreadable:
    return BodyUnreadable(
        f"the body is not JSON: it cannot be read from character {place} on, {shown(text[place : place + 20])}"
    )
