"""What the charts with two axes have in common: the room for them, a light grid, and the names of its lines."""

from dataclasses import dataclass
from datetime import tzinfo

from balancer.charts.dates import Grain, date_ticks
from balancer.charts.numbers import Written
from balancer.charts.scale import Scale, Tick, ticks
from balancer.charts.svg import NARROW, label, line, text_width

# 70 pixels: two dates beside each other, with air between them.
_TICK_PIXELS = 70
_LINE_PIXELS = 44
# 10 pixels at the right of the axis, where nothing else stands.
_MARGIN = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The part of a picture that figures are drawn in."""

    left: float
    right: float
    top: float
    bottom: float

    @classmethod
    def within(cls, width: float, height: float, *, names: float = 0.0, top: float = 14.0) -> "Frame":
        """Return the room that is left beside an axis, and `names` pixels for what stands at the end of a line."""
        return cls(left=48.0, right=width - names - _MARGIN, top=top, bottom=height - 26.0)

    @property
    def columns(self) -> int:
        """About how many places of the lower axis can be named."""
        return max(int((self.right - self.left) / _TICK_PIXELS), 2)

    @property
    def rows(self) -> int:
        """About how many lines the grid has."""
        return max(int((self.bottom - self.top) / _LINE_PIXELS), 2)

    def grid(self, scale: Scale, written: Written) -> list[str]:
        """Return the lines of the left axis with their figures."""
        return [part for tick in ticks(scale, self.rows, written) for part in self._row(scale.place(tick.at), tick)]

    def times(self, scale: Scale, zone: tzinfo, grain: Grain | None = None) -> list[str]:
        """Return the names of the lower axis: of moments, or of what lasts as long as `grain`."""
        parts = [line(self.left, self.bottom, self.right, self.bottom, "axis")]
        last = -1e9
        for tick in date_ticks(scale, self.columns, zone, grain):
            x, half = scale.place(tick.at), text_width(tick.text) / 2
            # The last name reaches as far as the picture, and no further.
            beside = min(x, self.right + _MARGIN - half)
            if beside - half < last + 6:
                continue
            last = beside + half
            parts.append(line(x, self.bottom, x, self.bottom + 4, "axis"))
            parts.append(label(beside, self.bottom + 18, tick.text, "tick", "middle"))
        return parts

    def _row(self, y: float, tick: Tick) -> list[str]:
        return [
            line(self.left, y, self.right, y, "zero" if tick.at == 0 else "grid"),
            label(self.left - 6, y + 4, tick.text, "tick", "end"),
        ]


def height_of(width: float) -> float:
    """Return how high a chart over time is: on a phone it is taller for its width."""
    return 220.0 if width <= NARROW else 260.0


def apart(wanted: list[float], least: float, top: float, bottom: float) -> list[float]:
    """Return places for labels near the wanted ones, `least` pixels apart and, where they fit, within the bounds."""
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    found = list(wanted)
    free = top
    for place in order:
        found[place] = max(wanted[place], free)
        free = found[place] + least
    free = bottom
    for place in reversed(order):
        found[place] = min(found[place], free)
        free = found[place] - least
    return found
