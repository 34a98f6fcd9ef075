"""How the figures of a metric are written, as in `balancer stats`."""

from datetime import UTC, datetime

from balancer.charts import numbers
from balancer.charts.numbers import Written
from balancer.charts.tone import Tone
from balancer.domain.metric import Better
from balancer.services.outcome import Reading
from balancer.stats.arm import Inconclusive
from balancer.stats.compare import Comparison
from balancer.stats.lift import Lift


def value_of(*, rate: bool) -> Written:
    """Return how a figure is written."""
    return numbers.percent if rate else numbers.plain


def difference_of(*, rate: bool) -> Written:
    """Return how a difference is written."""
    return numbers.signed_percent if rate else numbers.signed


def axis_of(*, rate: bool) -> Written:
    """Return how a difference is written on an axis."""
    return numbers.axis_signed_percent if rate else numbers.axis_signed


def compared(found: Comparison | Inconclusive | None, *, rate: bool) -> str:
    """Return a difference with its interval, or why there is none."""
    if found is None:
        return ""
    if isinstance(found, Inconclusive):
        return found.reason.value
    write = difference_of(rate=rate)
    return f"{write(found.difference)} [{write(found.low)} to {write(found.high)}]"


def lifted(found: Lift | Inconclusive) -> str:
    """Return a lift with its interval."""
    return "–" if isinstance(found, Inconclusive) else f"{found.lift:+.1%} [{found.low:+.1%} to {found.high:+.1%}]"


def tone_of(found: Comparison | Inconclusive | None, better: Better, *, trusted: bool) -> Tone:
    """Return the tone of a difference: none where its interval has 0 in it, or the split is broken."""
    if not isinstance(found, Comparison) or not found.excludes_zero or not trusted:
        return Tone.OPEN
    return Tone.GOOD if (found.low > 0) == (better is Better.HIGHER) else Tone.BAD


def reading_tone(reading: Reading, better: Better) -> Tone:
    """Return the tone of what a report reads of a difference."""
    if reading not in (Reading.ABOVE, Reading.BELOW):
        return Tone.OPEN
    return Tone.GOOD if (reading is Reading.ABOVE) == (better is Better.HIGHER) else Tone.BAD


def chance(p: float) -> str:
    """Return a p, such as `0.034`; of what is next to nothing only that it is, such as `<0.0001`."""
    return "<0.0001" if p < 0.0001 else f"{p:.2g}"


def counted(count: int, noun: str) -> str:
    """Return how many there are of something, such as `1 visitor`, `1,200 visitors`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def milliseconds(iso: str) -> int:
    """Return a time in ISO 8601 as milliseconds since 1970."""
    return int(datetime.fromisoformat(iso).astimezone(UTC).timestamp() * 1000)
