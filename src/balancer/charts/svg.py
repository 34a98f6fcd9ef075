"""SVG, put together as text."""

import math
import re
from html import escape

WIDE = 1160
"""Pixels: the width of a page that does not fill the largest screens; there it is drawn a fifth larger."""
MIDDLE = 720
"""Pixels: half of a large screen, or a tablet."""
NARROW = 360
"""Pixels: the width of a small phone, so that letters keep their size there."""
WIDTHS = (WIDE, MIDDLE, NARROW)
"""Each chart is drawn for all of them."""
# What shows one of them and hides the others; any other width fits everywhere.
_FITS: dict[float, str] = {WIDE: "chart-wide", MIDDLE: "chart-middle", NARROW: "chart-narrow"}
# 6.6: the mean width in pixels of a letter at 12 px; a label is given the room that it needs by this. Ticks have 11 px.
LETTER_PIXELS = 6.6
TICK_PIXELS = LETTER_PIXELS * 11 / 12
# What XML 1.0 does not allow; a name that somebody sent may have it.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# 1e6: far outside of every chart. What is further away is drawn there, so that a coordinate stays a short number.
_FAR = 1e6


def text_width(text: str) -> float:
    """Return about how many pixels a label takes."""
    return len(text) * LETTER_PIXELS


def cut(text: str, pixels: float, letter: float = LETTER_PIXELS) -> str:
    """Return a label that takes at most so many pixels, with letters so wide."""
    most = max(int(pixels / letter), 1)
    return text if len(text) <= most else text[: most - 1] + "…"


def coordinate(value: float) -> str:
    """Return a place in pixels, to a tenth. Raises ValueError for what is no number."""
    if math.isnan(value):
        raise ValueError("a place must be a number")
    return f"{round(min(max(value, -_FAR), _FAR), 1) + 0.0:.1f}".removesuffix(".0")


def element(tag: str, *children: str, **attributes: str | float) -> str:
    """Return an element; `class_` is written class, `stroke_width` stroke-width, and children are SVG already."""
    told = "".join(f' {name.rstrip("_").replace("_", "-")}="{_attribute(value)}"' for name, value in attributes.items())
    return f"<{tag}{told}>{''.join(children)}</{tag}>" if children else f"<{tag}{told}/>"


def words(text: str) -> str:
    """Return text as content of an element."""
    return escape(_NOT_XML.sub("�", text), quote=False)


def label(x: float, y: float, text: str, kind: str = "label", anchor: str = "start") -> str:
    """Return a piece of text; `anchor` is start, middle or end."""
    return element("text", words(text), class_=kind, x=x, y=y, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Return a straight line."""
    return element("line", class_=kind, x1=x1, y1=y1, x2=x2, y2=y2)


def box(x: float, y: float, width: float, height: float, kind: str) -> str:
    """Return a rectangle; one that would be narrower than nothing has no width."""
    return element("rect", class_=kind, x=x, y=y, width=max(width, 0.0), height=max(height, 0.0))


def path(points: list[tuple[float, float]], kind: str, *, closed: bool = False) -> str:
    """Return a line through points, or the area within them."""
    if not points:
        return ""
    told = "L".join(f"{coordinate(x)} {coordinate(y)}" for x, y in points)
    return element("path", class_=kind, d=f"M{told}{'Z' if closed else ''}")


def said(text: str, *children: str, kind: str = "") -> str:
    """Return a group of which a pointer that rests on it is told `text`."""
    title = element("title", words(text))
    return element("g", title, *children, class_=kind) if kind else element("g", title, *children)


def picture(kind: str, title: str, result: str, width: float, height: float, *parts: str) -> str:
    """Return a whole chart; `result` says in words what there is to see."""
    return element(
        "svg",
        element("title", words(title)),
        element("desc", words(result)),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        class_=f"chart chart-{kind} {_FITS.get(width, '')}".rstrip(),
        role="img",
        width=width,
        height=height,
        viewBox=f"0 0 {coordinate(width)} {coordinate(height)}",
    )


def nothing(kind: str, title: str, what: str, width: float) -> str:
    """Return the chart of no figures: it says what is missing."""
    lines = _wrapped(what, width - 32)
    height = 40.0 + 18 * len(lines)
    texts = [label(width / 2, 34 + 18 * number, text, "label muted", "middle") for number, text in enumerate(lines)]
    return picture(kind, title, what, width, height, box(0.5, 0.5, width - 1, height - 1, "vacant"), *texts)


def _wrapped(text: str, pixels: float) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and text_width(f"{lines[-1]} {word}") > pixels:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _attribute(value: str | float) -> str:
    return escape(_NOT_XML.sub("�", value)) if isinstance(value, str) else coordinate(value)
