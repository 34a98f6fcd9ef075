"""One metric of a split by a dimension: what each variant is in each part of the visitors."""

from balancer.charts.forest import Row, forest
from balancer.domain.metric import Kind
from balancer.services.breakdown import Breakdown
from balancer.stats.compare import Comparison
from balancer.views.figure import Figure, drawn
from balancer.views.table import Cell, Head, Table, number, whole, word
from balancer.views.written import axis_of, compared, difference_of, value_of

# 12: more rows than that nobody compares by eye; the table has all.
_CUTS_SHOWN = 12
_RATES = frozenset({Kind.CONVERTED, Kind.RETENTION, Kind.FUNNEL})


def breakdown_of(found: Breakdown) -> Figure:
    """Return the differences in the largest parts, and the figures of all; no tone, for nothing is decided here."""
    rate = found.kind in _RATES
    rows = [
        Row(
            name=f"{cut.bucket if cut.bucket is not None else 'not known'}, {outcome.branch}",
            difference=outcome.comparison.difference if isinstance(outcome.comparison, Comparison) else None,
            low=outcome.comparison.low if isinstance(outcome.comparison, Comparison) else 0.0,
            high=outcome.comparison.high if isinstance(outcome.comparison, Comparison) else 0.0,
            note="" if isinstance(outcome.comparison, Comparison) else compared(outcome.comparison, rate=rate),
        )
        for cut in found.cuts[:_CUTS_SHOWN]
        for outcome in cut.outcomes
        if outcome.comparison is not None
    ]
    title = f"{found.metric} by {found.dimension}, less {found.control}"
    pictures = drawn(
        lambda width: forest(
            title,
            rows,
            width,
            control=found.control,
            written=difference_of(rate=rate),
            axis=axis_of(rate=rate),
        )
    )
    heads = (
        Head(text=found.dimension.capitalize(), name=found.dimension),
        Head(text="Branch", name="branch"),
        Head(text="Visitors", name="visitors", figures=True),
        Head(text="Events", name="events", figures=True),
        Head(text="Converted", name="converted", figures=True),
        Head(text="Rate" if rate else "Of a visitor", name="value", figures=True),
        Head(text="Less the control", name="difference", figures=True),
    )
    write = value_of(rate=rate)
    cells = [
        (
            word(cut.bucket if cut.bucket is not None else "not known"),
            word(outcome.branch),
            whole(outcome.visitors),
            whole(outcome.events),
            whole(outcome.converted),
            number("" if outcome.value is None else write(outcome.value), outcome.value),
            Cell(
                text=compared(outcome.comparison, rate=rate) or "control",
                raw=outcome.comparison.difference if isinstance(outcome.comparison, Comparison) else None,
            ),
        )
        for cut in found.cuts
        for outcome in cut.outcomes
    ]
    return Figure(
        name="breakdown",
        title=title,
        pictures=pictures,
        table=Table(caption=title, heads=heads, rows=tuple(cells)),
        note="Exploratory: with enough cuts, chance alone makes one of them look like something. Nothing is decided "
        "here.",
    )
