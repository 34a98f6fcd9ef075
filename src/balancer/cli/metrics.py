"""`balancer metrics`: what is measured of an app's visitors."""

from typing import Annotated

import typer

from balancer.cli import output
from balancer.cli.target import AppArgument, AsJson, connect
from balancer.wire.metrics import MetricBody, MetricStanding, NamedMetric

app = typer.Typer(
    name="metrics", help="Metrics: rules that turn a visitor's events into one number.", no_args_is_help=True
)
MetricArgument = Annotated[str, typer.Argument(metavar="METRIC", help="Its name, such as revenue.", show_default=False)]


@app.command("list")
def list_(name: AppArgument, as_json: AsJson = False) -> None:
    """List the metrics, and where each is declared. Example: [bold]balancer metrics list shop[/]."""
    with connect() as client:
        found = client.metrics(name)
    if as_json:
        output.print_json(found)
    elif not found:
        output.plain(
            "There are no metrics; declare one in balancer.toml, or with: "
            f"balancer metrics set {name} revenue --kind sum --event purchase"
        )
    else:
        output.table(
            *("Metric", "What", "Window", "Declared by", "The split that runs"),
            rows=[(each.name, _what(each), each.window, each.origin, _of_split(each)) for each in found],
        )


@app.command("set")
def set_(
    name: AppArgument,
    metric: MetricArgument,
    kind: Annotated[
        str,
        typer.Option(help="converted, count, sum, mean, ratio, retention, funnel or quantile.", show_default=False),
    ],
    event: Annotated[str | None, typer.Option(help="The event, such as purchase.")] = None,
    numerator: Annotated[str | None, typer.Option(help="Of a ratio: the event above.")] = None,
    denominator: Annotated[str | None, typer.Option(help="Of a ratio: the event below.")] = None,
    counts: Annotated[
        bool, typer.Option("--counts", help="Of a ratio: count the numerator's events; else their values add up.")
    ] = False,
    step: Annotated[list[str] | None, typer.Option(help="Of a funnel: an event; each in its order.")] = None,
    day: Annotated[int | None, typer.Option(help="Of a retention: 1 begins 24 h after the assignment.")] = None,
    quantile: Annotated[float | None, typer.Option(help="Of a quantile: 0.95, say.")] = None,
    window: Annotated[
        str | None, typer.Option(help="How long after the assignment events count.", show_default="72h")
    ] = None,
    cap: Annotated[float | None, typer.Option(help="Where a visitor's number is cut.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Count only events that came in so, such as header; may be repeated.")
    ] = None,
    lower: Annotated[bool, typer.Option("--lower", help="Less of it is better.")] = False,
    guardrail: Annotated[bool, typer.Option("--guardrail", help="It must not get worse.")] = False,
    cuped: Annotated[
        bool, typer.Option("--cuped", help="Narrow the interval by what visitors did before the split.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Declare a metric; one of this name, also of the manifest, gives way to it.

    Example: [bold]balancer metrics set shop revenue --kind sum --event purchase --window 7d --cap 500[/].
    """
    body = MetricBody(
        kind=kind,
        event=event,
        numerator=numerator,
        denominator=denominator,
        steps=step or None,
        window=window,
        cap=cap,
        sources=source or None,
        better="lower" if lower else None,
        guardrail=guardrail or None,
        day=day,
        quantile=quantile,
        counts=counts or None,
        cuped=cuped or None,
    )
    with connect() as client:
        found = client.set_metric(name, metric, body)
    if as_json:
        output.print_json(found)
        return
    output.plain(f"{found.name} of {name}: {_what(found)}")
    if found.split and _differs(found):
        output.plain(f"The split {found.split} goes on with what it was begun with; this counts from the next one on.")


@app.command()
def remove(name: AppArgument, metric: MetricArgument, as_json: AsJson = False) -> None:
    """Take a metric back that was declared by command; that of the manifest, if there is one, counts again.

    Example: [bold]balancer metrics remove shop revenue[/].
    """
    with connect() as client:
        client.remove_metric(name, metric)
        left = next((each for each in client.metrics(name) if each.name == metric), None)
    if as_json:
        output.print_json(left)
    elif left is None:
        output.plain(f"{metric} of {name} is gone")
    elif left.origin == "split":
        output.plain(f"{metric} of {name} is gone from the next split on; {left.split} goes on with it")
    else:
        output.plain(f"{metric} of {name} is what the manifest says again: {_what(left)}")


def _what(metric: NamedMetric) -> str:
    """Return a metric in words."""
    events = {
        "ratio": f"{metric.numerator}{' events' if metric.counts else ''} by {metric.denominator} events",
        "funnel": " → ".join(metric.steps or ()),
        "retention": f"{metric.event} on day {metric.day}",
        "quantile": f"{metric.quantile} of {metric.event}",
    }
    more = (
        ("up to {:g} a visitor", metric.cap),
        ("from {} alone", " and ".join(metric.sources or ())),
        ("less is better", metric.better == "lower"),
        ("guardrail", metric.guardrail),
        ("CUPED", metric.cuped),
    )
    said = [text.format(value) for text, value in more if value]
    return ", ".join([f"{metric.kind}: {events.get(metric.kind, metric.event)}", *said])


def _differs(found: MetricStanding) -> bool:
    """Tell whether the split counts something else, or nothing of this name."""
    plain = found.model_dump(include=set(NamedMetric.model_fields))
    return found.counted is None or found.counted.model_dump() != plain


def _of_split(found: MetricStanding) -> str:
    if found.split is None or not _differs(found):
        return ""
    if found.counted is None:
        return f"{found.split} does not have it"
    return f"{found.split} has {_what(found.counted)}, {found.counted.window}"
