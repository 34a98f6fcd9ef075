"""The effect over time: by the looks that were kept and the present one, and by the day of the assignment."""

from balancer.charts.effect import Look, effect
from balancer.charts.scale import told_apart, wall
from balancer.domain.calendar import DAY_MILLISECONDS, TimeZone, moment
from balancer.domain.metric import Better
from balancer.services.looks import KeptLook
from balancer.services.outcome import MetricReport
from balancer.services.report import Report
from balancer.stats.arm import Inconclusive
from balancer.stats.compare import Comparison
from balancer.views.figure import Figure, Line, drawn
from balancer.views.table import Cell, Head, Table, number, whole, word
from balancer.views.written import axis_of, chance, compared, difference_of, milliseconds, tone_of

_Seen = tuple[int, str, Comparison | Inconclusive]
"""When, as words, and what."""
_BY_LOOK = (
    "Each look as it was kept, the last one as of now. The band holds at all looks at once, so the first that leaves "
    "0 out may be believed; it narrows as visitors become mature."
)
_BY_DAY = "Mature visitors who were assigned up to each day, as of now."


def effects(
    report: Report, kept: tuple[KeptLook, ...], zone: TimeZone, clock: TimeZone | None = None
) -> tuple[Figure, ...]:
    """Return the effect of each variant on what decides; nothing where nothing decides, or the date is awaited.

    Days are those of `zone`, times of day are shown as a clock of `clock` does; None: of `zone` too.
    """
    primary = next((metric for metric in report.metrics if metric.primary), None)
    if primary is None:
        return ()
    figures = []
    for outcome in primary.outcomes:
        if outcome.difference is None:
            continue
        looks = _looks(report, kept, primary, outcome.branch)
        looks.append((milliseconds(report.looked_at), "now", outcome.difference.comparison))
        figures.append(_figure(report, primary, outcome.branch, looks, clock or zone, "looks", _BY_LOOK))
        days = [
            (moment(zone, point.day) + DAY_MILLISECONDS // 2, point.day, point.comparison)
            for point in report.effect
            if point.branch == outcome.branch
        ]
        if days:
            figures.append(_figure(report, primary, outcome.branch, days, zone, "days", _BY_DAY))
    return tuple(figures)


def _looks(report: Report, kept: tuple[KeptLook, ...], primary: MetricReport, branch: str) -> list[_Seen]:
    """Return the looks that count: of the metric that decides, before this one, while the ratio did not alarm."""
    now = milliseconds(report.looked_at)
    return [
        (look.at, "", each.comparison)
        for look in kept
        if look.metric == primary.metric and not look.alarm and look.at < now
        for name, each in look.variants
        if name == branch
    ]


def _figure(
    report: Report, metric: MetricReport, branch: str, seen: list[_Seen], zone: TimeZone, by: str, note: str
) -> Figure:
    rate, rules = metric.is_rate, zone.rules
    looks = [_look(at, found) for at, _, found in seen]
    decided = milliseconds(report.decided_at) if report.decided_at and by == "looks" else None
    tone = tone_of(seen[-1][2], metric.better, trusted=not report.sample_ratio.alarm)
    over = "by look" if by == "looks" else "by day of assignment"
    title = f"{branch} less {report.control}: {metric.metric}, {over}"
    pictures = drawn(
        lambda width: effect(
            title,
            looks,
            width,
            zone=rules,
            by_day=by == "days",
            decided=decided,
            tone=tone,
            written=difference_of(rate=rate),
            axis=axis_of(rate=rate),
        )
    )
    known = [(called if by == "days" else at, found) for at, called, found in seen if isinstance(found, Comparison)]
    return Figure(
        # The slug: the name of a branch may have a slash in it, which no part of an address has.
        name=f"effect-{by}-{next(each.slug for each in report.variants if each.branch == branch)}",
        title=title,
        pictures=pictures,
        table=_table(title, seen, metric.better, zone, rate=rate),
        note=note,
        lines=(
            Line(
                name=branch,
                points=tuple((at, found.difference) for at, found in known),
                low=tuple(found.low for _, found in known),
                high=tuple(found.high for _, found in known),
            ),
        ),
        percent=rate,
        unit=f"less {report.control}",
    )


def _look(at: int, found: Comparison | Inconclusive) -> Look:
    if isinstance(found, Inconclusive):
        return Look(at=at, difference=None)
    return Look(at=at, difference=found.difference, low=found.low, high=found.high)


def _table(title: str, seen: list[_Seen], better: Better, zone: TimeZone, *, rate: bool) -> Table:
    heads = (
        Head(text="When", name="at"),
        Head(text="Visitors", name="visitors", figures=True),
        Head(text="Difference and interval", name="difference", figures=True),
        Head(text="Low", name="low", figures=True),
        Head(text="High", name="high", figures=True),
        Head(text="p", name="p", figures=True),
    )
    write = difference_of(rate=rate)
    rows = []
    for at, called, found in seen:
        when = Cell(text=called or _minute(at, zone), raw=called if called[:1].isdigit() else _iso(at, zone))
        if isinstance(found, Inconclusive):
            rows.append((when, number("", None), word(found.reason.value), *(number("", None) for _ in range(3))))
            continue
        tone = tone_of(found, better, trusted=True).value
        rows.append(
            (
                when,
                whole(found.visitors),
                Cell(text=compared(found, rate=rate), raw=found.difference, kind=f"tone-{tone}"),
                number(write(found.low), found.low),
                number(write(found.high), found.high),
                number(chance(found.p), found.p),
            )
        )
    return Table(caption=title, heads=heads, rows=tuple(rows))


def _minute(at: int, zone: TimeZone) -> str:
    return f"{wall(at, zone.rules):%Y-%m-%d %H:%M}{told_apart(wall(at, zone.rules))}"


def _iso(at: int, zone: TimeZone) -> str:
    return wall(at, zone.rules).isoformat(timespec="seconds")
