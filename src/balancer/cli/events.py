"""`balancer events`: what visitors did, row by row: watched, brought out, brought in."""

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from balancer.cli import output
from balancer.cli.target import AppArgument, AsJson, connect
from balancer.domain.event_row import Form
from balancer.errors import InvalidInput, Unavailable
from balancer.wire.event_rows import EventRowBody

app = typer.Typer(name="events", help="Events: watch them, export and import them.", no_args_is_help=True)
FormatOption = Annotated[
    Form | None, typer.Option("--format", help="What the file is.", show_default="by its name, else ndjson")
]
# 20: who sees more of them looks into the file first.
_REFUSALS_SHOWN = 20
# 10,000: enough to mend a file by, and bounded.
_REFUSALS_KEPT = 10_000


@app.command()
def tail(
    name: AppArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=1000, help="Events to begin with.")] = 10,
    event: Annotated[str | None, typer.Option("--event", help="Only these.", show_default="all")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the newest events and exposures. Example: [bold]balancer events tail shop -f[/]."""
    with connect() as client:
        for row in client.events(name, event=event, lines=lines, follow=follow):
            if as_json:
                output.print_json({"skipped": row.skipped} if row.skipped else row.model_dump(exclude={"skipped"}))
            elif row.skipped:
                output.say(f"[dim]… {row.skipped} more came …[/]")
            else:
                _show(row)


@app.command()
def export(
    name: AppArgument,
    target: Annotated[Path, typer.Option("--output", "-o", help="The file to write, or - for standard output.")],
    form: FormatOption = None,
    since: Annotated[
        str | None, typer.Option("--from", help="From this date or time on.", show_default="the first event")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="To this date, itself included, or time.", show_default="now")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write every event and exposure to a file. Example: [bold]balancer events export shop -o shop.parquet[/].

    The file is whole, or it is not there.
    """
    from balancer.cli.import_file import form_of

    to_output = str(target) == "-"
    chosen = form or (Form.NDJSON if to_output else form_of(target, None))
    with connect() as client, client.export_events(name, chosen, since=since, until=until) as file, _bar() as shown:
        task = shown.add_task("Exporting", total=file.size)
        with _whole(target) if not to_output else _standard_output() as written:
            for chunk in file.chunks:
                written.write(chunk)
                shown.advance(task, len(chunk))
    told = {"rows": file.rows, "bytes": file.size, "file": str(target)}
    if as_json and not to_output:
        output.print_json(told)
    elif not to_output:
        output.plain(f"{file.rows} rows, {file.size / 1e6:.1f} MB, are in {target}")


@app.command("import")
def import_(
    name: AppArgument,
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to read, or - for standard input.", show_default=False)
    ],
    form: FormatOption = None,
    as_json: AsJson = False,
) -> None:
    """Bring in events of a file, old ones too. Example: [bold]balancer events import shop events.csv[/].

    What an export has written, or the columns visitor, name, value, ts and id. The same file twice counts once.
    """
    from balancer.cli import import_file

    counts: Counter[str] = Counter(accepted=0, duplicate=0, erased=0, refused=0)
    reasons: Counter[str] = Counter()
    refusals: list[dict[str, object]] = []
    first = 1
    chosen = form or (Form.NDJSON if str(source) == "-" else import_file.form_of(source, None))
    with connect() as client, _opened(source) as file, _bar() as shown:
        task = shown.add_task("Importing", total=1.0)
        named = import_file.name_of(file)
        for batch in import_file.batches(file, chosen, os.fstat(file.fileno()).st_size):
            done = client.import_events(name, batch.lines, name=named, first=first)
            first += len(batch.numbers)
            counts.update(accepted=done.accepted, duplicate=done.duplicate, erased=done.erased)
            counts["refused"] += len(done.refused)
            for each in done.refused:
                reasons[each.reason.value] += 1
                if len(refusals) < _REFUSALS_KEPT:
                    line = batch.numbers[each.index]
                    refusals.append({"line": line, "reason": each.reason.value, "message": each.message})
            shown.update(task, completed=batch.done)
    if as_json:
        output.print_json({**counts, "reasons": dict(reasons), "refusals": refusals})
    else:
        for each_refusal in refusals[:_REFUSALS_SHOWN]:
            output.plain(f"line {each_refusal['line']}: {each_refusal['reason']}: {each_refusal['message']}")
        if counts["refused"] > _REFUSALS_SHOWN:
            output.plain(f"… and {counts['refused'] - _REFUSALS_SHOWN} more (--json has them)")
        erased = f", {counts['erased']} of visitors who were erased" if counts["erased"] else ""
        output.plain(
            f"{counts['accepted']} accepted, {counts['duplicate']} there already, {counts['refused']} refused{erased}"
        )
    if counts["refused"]:
        raise typer.Exit(1)


def _show(row: EventRowBody) -> None:
    time = datetime.fromtimestamp(row.ts / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    value = "" if row.value is None else f" {row.value:g}"
    of = f" {row.variant} ({row.split})" if row.split else " not by a branch"
    output.plain_labelled(time, row.name, output.colour_of(row.name), f"{value}{of} {row.visitor} by {row.source}")


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    return Progress(*columns, console=output.errors, transient=True, disable=not output.errors.is_terminal)


@contextmanager
def _whole(target: Path) -> Iterator[IO[bytes]]:
    """Give a file that has its name only when all of it is written and synced."""
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as reason:
        raise InvalidInput(f"{target} cannot be written: {reason.strerror}") from reason
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        path.chmod(0o666 & ~_umask())
        path.rename(target)
    except OSError as reason:
        raise Unavailable(f"{target} cannot be written: {reason.strerror or reason}") from reason
    finally:
        path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _standard_output() -> Iterator[IO[bytes]]:
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


@contextmanager
def _opened(source: Path) -> Iterator[IO[bytes]]:
    """Give a file that can be read twice."""
    if str(source) == "-":
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.flush()
            yield copy
        return
    try:
        file = source.open("rb")
    except OSError as reason:
        raise InvalidInput(f"{source} cannot be read: {reason.strerror}") from reason
    with file:
        yield file
