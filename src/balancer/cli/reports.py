"""Reports of splits, on a terminal."""

from collections.abc import Iterator

from balancer.cli import output
from balancer.domain.metric import Better, Kind, Role
from balancer.services.breakdown import Breakdown
from balancer.services.effect import Point
from balancer.services.outcome import Difference, MetricReport, Outcome, Reading
from balancer.services.release_report import ReleaseOutcome, ReleaseReport
from balancer.services.report import Report
from balancer.stats.arm import Inconclusive, Interval
from balancer.stats.lift import Lift


def show(report: Report, *, over_time: bool = False) -> None:
    """Print a report."""
    _show_split(report)
    for metric in report.metrics:
        output.plain("")
        _show_metric(metric, report)
    if not report.metrics:
        output.plain("\nNo events yet. An app sends one with the answer's header `Balancer-Event: purchase=19.99`,")
        output.plain("a page with POST /_balancer/events or balancer.track() of /_balancer/balancer.js.")
    if over_time:
        output.plain("")
        _show_effect(report)
    output.plain("")
    label = " (earning, not knowing)" if report.bandit else ""
    output.say(f"Verdict: [bold]{output.escaped(report.verdict.verdict.value)}[/]{label} – {report.verdict.reason}")
    _show_maturity(report)
    _show_intake(report)


def show_releases(report: ReleaseReport) -> None:
    """Print a report by release."""
    output.say(f"[bold]{report.app}[/]: split {report.split}, {report.state.value}, by release")
    output.plain("Exploratory: which release visitors came under is a matter of time, not of chance, so that nothing")
    output.plain("is compared here. Each visitor counts for the release that first saw them return.")
    rows = [
        [outcome.branch, _release(outcome), (outcome.live_at or "–")[:16].replace("T", " "), str(outcome.visitors)]
        for outcome in report.releases
    ]
    output.table("Branch", "Release", "Live since (UTC)", "Visitors>", rows=rows, title="[bold]visitors[/]")
    for number, event in enumerate(report.releases[0].events if report.releases else ()):
        rows = [
            [
                outcome.branch,
                _release(outcome),
                str(outcome.visitors),
                str(figures.count),
                _figure(figures.mean),
                _figure(figures.sd),
                str(figures.converted),
                f"{figures.rate:.2%}" if figures.rate is not None else "–",
            ]
            for outcome in report.releases
            for figures in (outcome.events[number],)
        ]
        output.plain("")
        output.table(
            *("Branch", "Release", "Visitors>", "Events>", "Mean>", "SD>", "Converted>", "Rate>"),
            rows=rows,
            title=f"[bold]{event.event}[/]",
        )


def show_breakdown(breakdown: Breakdown) -> None:
    """Print a metric by a dimension."""
    output.say(
        f"[bold]{breakdown.app}[/]: split {breakdown.split}, [bold]{output.escaped(breakdown.metric)}[/] "
        f"by {output.escaped(breakdown.dimension)}"
    )
    output.plain(
        "Exploratory: with enough cuts, chance alone makes one of them look like something. Nothing is decided here."
    )
    rate = breakdown.kind in (Kind.CONVERTED, Kind.RETENTION, Kind.FUNNEL)
    rows = []
    for cut in breakdown.cuts:
        for outcome in cut.outcomes:
            found = outcome.comparison
            if found is None:
                less = "control"
            elif isinstance(found, Inconclusive):
                less = found.reason.value
            else:
                less = f"{_signed(found.difference, rate)} [{_signed(found.low, rate)} to {_signed(found.high, rate)}]"
            rows.append(
                [
                    output.escaped(cut.bucket if cut.bucket is not None else "not known"),
                    outcome.branch,
                    str(outcome.visitors),
                    str(outcome.events),
                    str(outcome.converted),
                    _value(outcome.value, rate=rate),
                    less,
                ]
            )
    columns = (output.escaped(breakdown.dimension).capitalize(), "Branch", "Visitors>", "Events>", "Converted>")
    output.table(*columns, "Rate>" if rate else "A visitor>", "Less the control", rows=rows)


def _show_split(report: Report) -> None:
    shares = ", ".join(f"{variant.branch} {variant.share:.2%}" for variant in report.variants)
    called = f" ({output.escaped(report.name)})" if report.name else ""
    output.say(f"[bold]{report.app}[/]: split {report.split}{called}, {report.state.value}, {_span(report)}")
    output.plain(f"Visitors are shared {shares}; the control is {report.control}.")
    if report.aa:
        output.plain("This is an A/A split: its variants are the same, and nothing should differ.")
    if report.bandit:
        output.plain(
            "A bandit steers it: earning, not knowing. Its weights follow what visitors do, so that it shows a"
        )
        output.plain("difference later than a split of even weights, and the rates over all phases mislead.")
    if report.decide_at:
        output.plain(f"Its result is to be read once, at {_minute(report.decide_at)}; until then it is hidden.")
    ratio = report.sample_ratio
    counts = ", ".join(f"{count.variant} {count.observed}" for count in ratio.counts)
    if ratio.alarm:
        output.say(f"[bold red]Sample ratio: ALARM[/] ({counts}; p = {ratio.p:.2g}): something favours a branch; ")
        output.plain("do not read the differences before it is found.")
    else:
        output.plain(f"Sample ratio: as intended ({counts}; p = {ratio.p:.3g})")
    if report.multiple:
        output.plain(f"{report.multiple} visitors were seen in two variants; they are left out.")


def _show_metric(metric: MetricReport, report: Report) -> None:
    facts = [_what(metric), f"within {output.lasting(metric.window_seconds)}"]
    facts += ["lower is better"] if metric.better is Better.LOWER else []
    facts += [f"cut at {metric.cap:g}"] if metric.cap is not None else []
    facts += ["CUPED"] if metric.cuped else []
    facts += ["decides"] if metric.primary else ["guardrail"] if metric.role is Role.GUARDRAIL else []
    if metric.kind is Kind.QUANTILE:
        rows = [[each.branch, str(each.visitors), str(each.events), _figure(each.quantile)] for each in metric.outcomes]
        output.table("Branch", "Visitors>", "Events>", "Value>", rows=rows, title=_title(metric, facts))
        return
    value, sd = ("Rate>", ()) if metric.is_rate else ("A visitor>", ("SD>",))
    if metric.kind in (Kind.MEAN, Kind.RATIO):
        value, sd = "Ratio>", ()
    output.table(
        *("Branch", "Visitors>", "Mature>", "Events>", "Converted>", value, *sd, "Interval", "Less the control"),
        *("Lift", "Reading"),
        rows=[_row(metric, outcome, report) for outcome in metric.outcomes],
        title=_title(metric, facts),
    )
    for outcome in metric.outcomes:
        if metric.kind is Kind.FUNNEL and outcome.reached:
            steps = " → ".join(f"{event} {n}" for event, n in zip(metric.events, outcome.reached, strict=True))
            output.plain(f"  {outcome.branch}: {steps}")
        for line in _notes(metric, outcome):
            output.plain(f"  {outcome.branch}: {line}")


def _title(metric: MetricReport, facts: list[str]) -> str:
    return f"[bold]{output.escaped(metric.metric)}[/] [dim]{output.escaped(', '.join(facts))}[/]"


def _what(metric: MetricReport) -> str:
    events = metric.events
    match metric.kind:
        case Kind.RATIO:
            return f"{events[0]} by {events[1]}"
        case Kind.FUNNEL:
            return " → ".join(events)
        case Kind.CONVERTED if events == (metric.metric,):
            return "who did it"
        case kind:
            return f"{kind.value} of {events[0]}"


def _row(metric: MetricReport, outcome: Outcome, report: Report) -> list[str]:
    difference, rate = outcome.difference, metric.is_rate
    reading = "control" if outcome.branch == report.control else ""
    if difference:
        reading = f"[{_colour(difference.reading, metric.better)}]{difference.reading.value}[/]"
    return [
        outcome.branch,
        str(outcome.visitors),
        str(outcome.mature),
        str(outcome.events),
        str(outcome.converted),
        _value(outcome.value, rate=rate),
        *([] if rate or metric.kind in (Kind.MEAN, Kind.RATIO) else [_figure(outcome.sd)]),
        _interval(outcome.interval, rate=rate),
        _difference(difference, rate=rate) if difference else "",
        _lift(difference.lift) if difference else "",
        reading,
    ]


def _notes(metric: MetricReport, outcome: Outcome) -> Iterator[str]:
    difference = outcome.difference
    if difference is None:
        return
    if difference.chance is not None:
        yield f"chance to be the better one {difference.chance.to_win:.1%} (for display)"
    if difference.adjusted_p is not None:
        yield f"p {difference.adjusted_p:.2g}, corrected for the metrics that do not decide"
    if difference.needed is not None:
        yield f"about {difference.needed} more visitors, if the difference is what it seems"
    early = difference.preliminary
    if early is not None and not isinstance(early, Inconclusive):
        span = f"{_signed(early.difference, metric.is_rate)} [{_signed(early.low, metric.is_rate)} to "
        yield f"with young visitors {span}{_signed(early.high, metric.is_rate)}]; nothing is decided on it"


def _show_effect(report: Report) -> None:
    if not report.effect:
        output.plain("The effect over time needs mature visitors, and a metric that decides (--metric at the start).")
        return
    rate = next((metric.is_rate for metric in report.metrics if metric.primary), False)
    rows = [[point.branch, point.day, *_point(point, rate=rate)] for point in report.effect]
    output.table(
        *("Branch", "Assigned until", "Visitors>", "Less the control>", "Interval"),
        rows=rows,
        title="[bold]the effect over time[/]",
    )


def _point(point: Point, *, rate: bool) -> list[str]:
    found = point.comparison
    if isinstance(found, Inconclusive):
        return ["–", found.reason.value, "–"]
    span = f"[{_signed(found.low, rate)} to {_signed(found.high, rate)}]"
    return [str(found.visitors), _signed(found.difference, rate), span]


def _show_maturity(report: Report) -> None:
    """Say who is waited for, where that is some of those whose number decides."""
    for metric in report.metrics:
        if metric.primary and any(outcome.mature < outcome.visitors for outcome in metric.outcomes):
            mature = ", ".join(f"{each.branch} {each.mature} of {each.visitors}" for each in metric.outcomes)
            after = output.lasting(metric.window_seconds)
            output.plain(f"It waits for visitors to be mature, {after} after their assignment: {mature}.")


def _show_intake(report: Report) -> None:
    intake = report.intake
    refused = ", ".join(f"{count} {reason}" for reason, count in intake.reasons)
    output.plain(
        f"Events taken in: {intake.accepted} accepted, {intake.duplicate} duplicate, {intake.refused} refused"
        + (f" ({refused})" if refused else "")
    )
    if intake.lost_lines:
        output.say(
            f"[bold red]Lost:[/] {intake.lost_lines} lines of the edge log, of all apps, ever (`balancer status`)"
        )


def _release(outcome: ReleaseOutcome) -> str:
    if outcome.release is None:
        return "not known"
    return f"{outcome.release} ({outcome.commit[:7]})" if outcome.commit else str(outcome.release)


def _span(report: Report) -> str:
    began = _minute(report.started_at)
    return f"from {began} to {_minute(report.ended_at)}" if report.ended_at else f"since {began}"


def _minute(moment: str) -> str:
    return f"{moment[:16].replace('T', ' ')} UTC"


def _colour(reading: Reading, better: Better) -> str:
    if reading in (Reading.ABOVE, Reading.BELOW):
        return "green" if (reading is Reading.ABOVE) == (better is Better.HIGHER) else "red"
    return "red" if reading is Reading.BROKEN_SPLIT else "default"


def _interval(interval: Interval | Inconclusive, *, rate: bool) -> str:
    if isinstance(interval, Inconclusive):
        return "–"
    return f"[{_value(interval.low, rate=rate)} to {_value(interval.high, rate=rate)}]"


def _difference(difference: Difference, *, rate: bool) -> str:
    found = difference.comparison
    if isinstance(found, Inconclusive):
        return str(found.reason.value)
    span = f"[{_signed(found.low, rate)} to {_signed(found.high, rate)}]"
    return f"{_signed(found.difference, rate)} {span} p {found.p:.2g}"


def _lift(lift: Lift | Inconclusive) -> str:
    return "–" if isinstance(lift, Inconclusive) else f"{lift.lift:+.1%} [{lift.low:+.1%} to {lift.high:+.1%}]"


def _signed(value: float, rate: bool) -> str:
    return f"{value:+.2%}" if rate else f"{value:+.4g}"


def _value(value: float | None, *, rate: bool) -> str:
    if value is None:
        return "–"
    return f"{value:.2%}" if rate else f"{value:.4g}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
