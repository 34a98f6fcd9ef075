"""What a test reads of a chart."""

import math
import re
from xml.etree import ElementTree

from balancer.charts.svg import WIDTHS as WIDTHS

_SVG = "{http://www.w3.org/2000/svg}"
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_PLACES = frozenset({"x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "width", "height"})


def read(svg: str) -> ElementTree.Element:
    """Return a chart, after a check that it is one: well formed, named, finite, and styled by class alone."""
    root = ElementTree.fromstring(svg)  # what is parsed is ours
    assert root.tag == f"{_SVG}svg"
    assert root.get("role") == "img"
    assert root[0].tag == f"{_SVG}title"
    assert root[0].text
    assert root[1].tag == f"{_SVG}desc"
    assert root[1].text
    for element in root.iter():
        assert not {"style", "fill", "stroke", "color", "onload", "onclick"} & set(element.keys())
        for name, value in element.items():
            if name in _PLACES:
                assert _NUMBER.fullmatch(value), (name, value)
                assert math.isfinite(float(value))
            if name == "d":
                assert re.fullmatch(r"M[-\d.L ]+Z?", value), value
    return root


def labels(svg: str) -> list[str]:
    """Return what is written in a chart."""
    return [element.text or "" for element in read(svg).iter(f"{_SVG}text")]


def result(svg: str) -> str:
    """Return what a chart says in words."""
    return read(svg)[1].text or ""


def hints(svg: str) -> list[str]:
    """Return what a pointer is told at its marks."""
    return [group[0].text or "" for group in read(svg).iter(f"{_SVG}g") if group[0].tag == f"{_SVG}title"]


def of_class(svg: str, kind: str) -> list[ElementTree.Element]:
    """Return the elements of a class."""
    return [element for element in read(svg).iter() if kind in (element.get("class") or "").split()]
