"""`balancer stats --by day` and the like: how many events there are, as a table or CSV."""

import csv
import io

from balancer.cli import output
from balancer.services.raw_stats import RawRow, RawStatistics

_COLUMNS = ("event", "branch", "bucket", "count", "valued", "mean", "sd", "visitors")


def show(found: RawStatistics) -> None:
    """Print a table for each event, the whole range last."""
    of = f"of the split {found.split}" if found.split else "of all splits"
    output.say(f"[bold]{found.app}[/]: events {of}, in the time of {found.timezone}")
    if not found.totals:
        output.plain("\nNo events are there that this asks for.")
        return
    hours = {bucket.label: bucket.hours for bucket in found.buckets}
    # A day of 23 or 25 hours says so: else its figures look like a fall or a rise.
    unusual = {label: f" ({length:g} h)" for label, length in hours.items() if found.by == "day" and length != 24}
    for event in sorted({row.event for row in found.totals}):
        rows = sorted(
            (row for row in found.rows if row.event == event), key=lambda row: (row.bucket or "", row.branch or "")
        )
        totals = [row for row in found.totals if row.event == event]
        output.plain("")
        output.table(
            *(found.by.capitalize() if found.by else "Range", "Branch", "Events>", "Mean>", "SD>", "Visitors>"),
            rows=[_cells(row, f"{row.bucket}{unusual.get(row.bucket or '', '')}") for row in rows]
            + [_cells(row, "all") for row in totals],
            title=f"[bold]{event}[/]",
        )
    if found.by:
        output.plain("\nA visitor who comes in several of these is counted in each, and once in `all`.")


def as_csv(found: RawStatistics) -> str:
    """Return the rows as CSV; those of the whole range have no bucket."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in (*found.rows, *found.totals):
        writer.writerow("" if getattr(row, name) is None else getattr(row, name) for name in _COLUMNS)
    return text.getvalue()


def _cells(row: RawRow, bucket: str) -> list[str]:
    return [
        bucket,
        row.branch or "not by a branch",
        str(row.count),
        _figure(row.mean),
        _figure(row.sd),
        str(row.visitors),
    ]


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
