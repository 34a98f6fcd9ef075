"""`balancer stats`: the report of a split, its cuts, and the raw counts of events."""

from typing import Annotated

import typer

from balancer.cli import output, raw_stats, reports
from balancer.cli.target import AppArgument, AsJson, connect
from balancer.domain.calendar import Unit
from balancer.errors import InvalidInput
from balancer.wire.report_csv import csv_of

_RELEASE = "release"
_UNITS = tuple(unit.value for unit in Unit)

ByOption = Annotated[
    str | None,
    typer.Option(
        "--by",
        metavar="CUT",
        help="`hour`, `day`, `week`, `month`: count events as they are. `release`: show each release apart. "
        "`device`, `country`, `path`, or what the app says of its visitors: cut one metric by it.",
        show_default=False,
    ),
]
SplitOption = Annotated[
    str | None,
    typer.Option("--split", help="This split, such as s3; for counts also `all`.", show_default="the newest"),
]
MetricOption = Annotated[
    str | None, typer.Option("--metric", help="The metric to cut.", show_default="the one that decides")
]
EventOption = Annotated[str | None, typer.Option("--event", help="Count only these events.", show_default="all")]
FromOption = Annotated[
    str | None,
    typer.Option("--from", help="Count from this date or time on, of the app's zone.", show_default="the first event"),
]
ToOption = Annotated[
    str | None, typer.Option("--to", help="Count to this date, itself included, or time.", show_default="now")
]
OverTime = Annotated[bool, typer.Option("--over-time", help="Show the effect after each day, too.")]
Again = Annotated[
    bool, typer.Option("--again", help="Make the report of a split that is over anew, as of the same time.")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]


def stats(
    name: AppArgument,
    by: ByOption = None,
    split: SplitOption = None,
    metric: MetricOption = None,
    event: EventOption = None,
    since: FromOption = None,
    until: ToOption = None,
    over_time: OverTime = False,
    again: Again = False,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Compare the branches of an app's split, cut it, or count events.

    Example: [bold]balancer stats shop[/], [bold]balancer stats shop --by day --event purchase[/],
    [bold]balancer stats shop --by device[/].

    Intervals are always valid: looking every minute makes no false alarm likelier.
    """
    counting = {"--event": event, "--from": since, "--to": until}
    counts = by in _UNITS or (by is None and any(value is not None for value in counting.values()))
    named = [option for option, value in counting.items() if value is not None]
    _check(by, counts, named, {"--over-time": over_time, "--again": again, "--metric": bool(metric), "--csv": as_csv})
    with connect() as client:
        if counts:
            counted = client.raw_stats(name, by=by, event=event, split=split, since=since, until=until)
            if as_json:
                output.print_json(counted)
            elif as_csv:
                typer.echo(raw_stats.as_csv(counted), nl=False)
            else:
                raw_stats.show(counted)
        elif by == _RELEASE:
            of_releases = client.report_by_release(name, split)
            output.print_json(of_releases) if as_json else reports.show_releases(of_releases)
        elif by is not None:
            breakdown = client.report_by_dimension(name, by, metric, split)
            output.print_json(breakdown) if as_json else reports.show_breakdown(breakdown)
        else:
            report = client.report(name, split, again=again)
            if as_json:
                output.print_json(report)
            elif as_csv:
                typer.echo(csv_of(report), nl=False)
            else:
                reports.show(report, over_time=over_time)


def _check(by: str | None, counts: bool, counting: list[str], given: dict[str, bool]) -> None:
    """Raise InvalidInput where options are given that belong to another question."""
    if counting and not counts:
        raise InvalidInput(f"{counting[0]} is for counts of events, such as --by day; --by {by} cuts a report")
    whole = by is None and not counts
    for option, fits, where in (
        ("--over-time", whole, "the whole report"),
        ("--again", whole, "the whole report"),
        ("--metric", not (whole or counts or by == _RELEASE), "a cut such as --by device"),
        ("--csv", whole or counts, "the whole report and for counts"),
    ):
        if given[option] and not fits:
            raise InvalidInput(f"{option} is for {where}")
