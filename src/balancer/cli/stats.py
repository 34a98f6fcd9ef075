"""`balancer stats`: the report of a split, for people."""

from enum import StrEnum
from typing import Annotated

import typer

from balancer.cli import output, raw_stats
from balancer.cli.target import AppArgument, AsJson, connect
from balancer.errors import InvalidInput
from balancer.services.outcome import Difference, EventReport, Outcome, Reading
from balancer.services.release_report import ReleaseOutcome, ReleaseReport
from balancer.services.report import Report
from balancer.stats.arm import Inconclusive, Interval
from balancer.stats.compare import Comparison
from balancer.stats.srm import Verdict

_COLOURS = {Reading.ABOVE: "green", Reading.BELOW: "red", Reading.BROKEN_SPLIT: "red"}


class Cut(StrEnum):
    """What the figures can be cut by: the report by release, the raw statistics by time."""

    RELEASE = "release"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


ByOption = Annotated[
    Cut | None,
    typer.Option(
        "--by",
        help="`release`: show each release of a branch apart. `hour`, `day`, `week`, `month`: count events as they "
        "are. Nothing is compared.",
        show_default=False,
    ),
]
EventOption = Annotated[str | None, typer.Option("--event", help="Count only these events.", show_default="all")]
SplitOption = Annotated[
    str | None, typer.Option("--split", help="Count only what happened in this split, or `all`.", show_default="all")
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", help="Count from this date or time on, of the app's zone.", show_default="the first event"),
]
ToOption = Annotated[
    str | None, typer.Option("--to", help="Count to this date, itself included, or time.", show_default="now")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print the counts as CSV.")]


def stats(
    name: AppArgument,
    by: ByOption = None,
    event: EventOption = None,
    split: SplitOption = None,
    since: FromOption = None,
    until: ToOption = None,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Compare the branches of an app's split, or count events. Example: [bold]balancer stats shop --by day[/].

    Intervals are always valid: looking every minute makes no false alarm likelier.
    """
    asked = (event, split, since, until)
    if by is Cut.RELEASE and (as_csv or any(each is not None for each in asked)):
        raise InvalidInput("--by release takes no --event, --split, --from, --to and --csv; --by day does")
    if (by and by is not Cut.RELEASE) or as_csv or any(each is not None for each in asked):
        with connect() as client:
            counted = client.raw_stats(
                name, by=by.value if by else None, event=event, split=split, since=since, until=until
            )
        if as_json:
            output.print_json(counted)
        elif as_csv:
            typer.echo(raw_stats.as_csv(counted), nl=False)
        else:
            raw_stats.show(counted)
        return
    with connect() as client:
        report = client.report_by_release(name) if by else client.report(name)
    if as_json:
        output.print_json(report)
    elif isinstance(report, ReleaseReport):
        show_releases(report)
    else:
        show(report)


def show(report: Report) -> None:
    """Print a report."""
    shares = ", ".join(f"{variant.branch} {variant.share:.2%}" for variant in report.variants)
    output.say(f"[bold]{report.app}[/]: split {report.split}, {report.state.value}, {_span(report)}")
    output.plain(f"Visitors are shared {shares}; the control is {report.control}.")
    _show_sample_ratio(report)
    if report.multiple:
        output.plain(f"{report.multiple} visitors were seen in two variants; they are left out.")
    for event in report.events:
        output.plain("")
        _show_event(event, report)
    if not report.events:
        output.plain("\nNo events yet. An app sends one with the answer's header `Balancer-Event: purchase=19.99`,")
        output.plain("a page with POST /_balancer/events or balancer.track() of /_balancer/balancer.js.")
    output.plain("")
    if report.advice:
        output.say(f"Advice: [bold]{report.advice.value}[/]")
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


def _release(outcome: ReleaseOutcome) -> str:
    if outcome.release is None:
        return "not known"
    return f"{outcome.release} ({outcome.commit[:7]})" if outcome.commit else str(outcome.release)


def _span(report: Report) -> str:
    began = f"{report.started_at[:16].replace('T', ' ')} UTC"
    return f"from {began} to {report.ended_at[:16].replace('T', ' ')} UTC" if report.ended_at else f"since {began}"


def _show_sample_ratio(report: Report) -> None:
    ratio = report.sample_ratio
    counts = ", ".join(f"{count.variant} {count.observed}" for count in ratio.counts)
    if ratio.verdict is Verdict.ALARM:
        output.say(f"[bold red]Sample ratio: ALARM[/] ({counts}; p = {ratio.p:.2g}): something favours a branch; ")
        output.plain("do not read the differences before it is found.")
    else:
        output.plain(f"Sample ratio: as intended ({counts}; p = {ratio.p:.3g})")


def _show_event(event: EventReport, report: Report) -> None:
    rows = [_row(outcome, is_control=outcome.branch == report.control) for outcome in event.outcomes]
    output.table(
        *("Branch", "Visitors>", "Events>", "Mean>", "SD>", "Converted>", "Rate>", "Interval"),
        *("Less the control", "Reading"),
        rows=rows,
        title=f"[bold]{event.event}[/]",
    )
    for outcome in event.outcomes:
        if outcome.value_per_visitor is None:
            continue
        line = f"  {outcome.branch}: {outcome.value_per_visitor:.4g} a visitor {_interval(outcome.value_interval)}"
        if outcome.value_difference:
            line += f", less the control {_difference(outcome.value_difference, rate=False)}"
        output.plain(line)


def _row(outcome: Outcome, *, is_control: bool) -> list[str]:
    difference = outcome.rate_difference
    reading = "control" if is_control else ""
    if difference:
        reading = f"[{_COLOURS.get(difference.reading, 'default')}]{difference.reading.value}[/]"
    return [
        outcome.branch,
        str(outcome.visitors),
        str(outcome.count),
        _figure(outcome.mean),
        _figure(outcome.sd),
        str(outcome.converted),
        f"{outcome.rate:.2%}" if outcome.rate is not None else "–",
        _interval(outcome.rate_interval, rate=True),
        _difference(difference, rate=True) if difference else "",
        reading,
    ]


def _interval(interval: Interval | Inconclusive | None, *, rate: bool = False) -> str:
    match interval:
        case Interval():
            low, high = interval.low, interval.high
            return f"[{low:.2%} to {high:.2%}]" if rate else f"[{low:.4g} to {high:.4g}]"
        case _:
            return "–"


def _difference(difference: Difference, *, rate: bool) -> str:
    match difference.comparison:
        case Comparison() as found if rate:
            return f"{found.difference:+.2%} [{found.low:+.2%} to {found.high:+.2%}] p {found.p:.2g}"
        case Comparison() as found:
            return f"{found.difference:+.4g} [{found.low:+.4g} to {found.high:+.4g}] p {found.p:.2g}"
        case inconclusive:
            return str(inconclusive.reason.value)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
