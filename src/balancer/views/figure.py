"""Figures: a chart, drawn for each size of screen, with its table."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from balancer.charts.svg import WIDTHS
from balancer.views.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a chart as figures, for zooming."""

    name: str
    points: tuple[tuple[int | str, float], ...]
    """Milliseconds since 1970, or the date of what lasts a day or longer, and the figure."""
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    """The band, where there is one: as many as there are points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart and its figures."""

    name: str
    """In the address of its CSV, and of its place on the page."""
    title: str
    pictures: tuple[str, ...]
    """The same chart for a wide screen, for a narrower one, and for a phone: one of them is shown."""
    table: Table
    note: str = ""
    """How it is to be read."""
    lines: tuple[Line, ...] = ()
    """What can be zoomed."""
    percent: bool = False
    """Whether the figures of the lines are rates."""
    unit: str = ""
    """What the figures of the lines are, such as `events`."""
    logarithmic: bool = False
    """Whether the lines are drawn by powers of ten."""

    @property
    def wide(self) -> str:
        """The chart for a wide screen."""
        return self.pictures[0]

    @property
    def narrow(self) -> str:
        """The chart for a phone."""
        return self.pictures[-1]

    @property
    def is_zoomable(self) -> bool:
        """Whether there is something to go into."""
        return any(line.points for line in self.lines)

    @property
    def zoomed(self) -> dict[str, object]:
        """What can be zoomed, as JSON has it."""
        how = {"percent": self.percent, "unit": self.unit, "logarithmic": self.logarithmic}
        return {**how, "lines": [asdict(line) for line in self.lines]}


def drawn(draw: Callable[[int], str]) -> tuple[str, ...]:
    """Return a chart for each size of screen, the widest first."""
    return tuple(map(draw, WIDTHS))
