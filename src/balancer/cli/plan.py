"""`balancer split plan`: how long a split would take, before it begins."""

import math
from typing import Annotated

import typer

from balancer.cli import output
from balancer.cli.splits import app
from balancer.cli.target import AppArgument, AsJson, connect
from balancer.errors import InvalidInput
from balancer.services.planning import Need, SplitPlan
from balancer.wire.plans import WishBody


@app.command()
def plan(
    name: AppArgument,
    effect: Annotated[
        str, typer.Option(help="What you want to see: 10% more, or in the metric's own unit.", show_default=False)
    ],
    metric: Annotated[str | None, typer.Option(help="The metric that is to decide, or the event.")] = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="What a visitor gives now: a rate, or a mean.", show_default="the last split's control"),
    ] = None,
    sd: Annotated[float | None, typer.Option(help="Of a mean: the standard deviation over visitors.")] = None,
    visitors_a_day: Annotated[
        float | None, typer.Option(help="That the split will get.", show_default="those of the last split")
    ] = None,
    split: Annotated[str, typer.Option(metavar="WEIGHTS", help="The control's first.")] = "50:50",
    power: Annotated[str, typer.Option(help="How surely it is to be seen.")] = "80%",
    as_json: AsJson = False,
) -> None:
    """Tell how many visitors and days a split would need, and what 14 days could show.

    Example: [bold]balancer split plan shop --metric purchase --effect 10%[/].
    """
    wanted, relative = number_of("--effect", effect)
    wish = WishBody(
        effect=wanted,
        relative=relative,
        metric=metric,
        baseline=None if baseline is None else number_of("--baseline", baseline)[0],
        sd=sd,
        visitors_a_day=visitors_a_day,
        weights=_weights(split),
        power=number_of("--power", power)[0],
    )
    with connect() as client:
        found = client.plan(name, wish)
    if as_json:
        output.print_json(found)
        return
    _show(found)


def _show(found: SplitPlan) -> None:
    where = f", as the control of {found.baseline_from} had it" if found.baseline_from else ""
    spread = "" if found.is_rate else f" (SD {found.sd:.4g})"
    output.plain(f"{found.metric or 'A visitor'}: {_shown(found, found.baseline)}{spread}{where}")
    part = f", {100 * found.effect / found.baseline:+.3g} % of that" if found.baseline else ""
    output.plain(f"To see: {_shown(found, found.baseline + found.effect)}{part}, with {found.power:.0%} certainty")
    output.table(
        *("Decided", *(f"Variant {number}>" if number else "Control>" for number in range(len(found.weights)))),
        *("In all>", "Days>"),
        rows=[
            (title, *(f"{count:,}" for count in need.visitors), f"{need.total:,}", _days(need))
            for title, need in (("whenever it is clear", found.always_valid), ("on a day declared", found.fixed))
        ],
    )
    if found.visitors_a_day is None:
        output.plain("How many days that is depends on the visitors: give them, --visitors-a-day 800")
        return
    came = f", as {found.visitors_from} had them" if found.visitors_from else ""
    days = found.always_valid.days
    output.plain(
        f"At {found.visitors_a_day:,.0f} visitors a day{came}: {_days(found.always_valid)} day{'s' * (days != 1)}"
    )
    for how, need in (("decided whenever it is clear", found.always_valid), ("decided on a day declared", found.fixed)):
        gain = "no gain" if need.shows is None else f"a gain to {_shown(found, found.baseline + need.shows)}"
        output.plain(f"In 14 days a split {how} could show {gain}")


def _shown(found: SplitPlan, number: float) -> str:
    return f"{100 * number:.4g} %" if found.is_rate else f"{number:.4g}"


def _days(need: Need) -> str:
    return "" if need.days is None else f"{need.days:,}"


def number_of(option: str, text: str) -> tuple[float, bool]:
    """Return what `10%` or `0.1` says, and whether it was a percentage."""
    try:
        number = float(text.strip().removesuffix("%"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(f"{option} {text}: write a number, or a percentage such as 10%")
    return (number / 100, True) if text.strip().endswith("%") else (number, False)


def _weights(text: str) -> list[int]:
    parts = text.split(":")
    if len(parts) < 2 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise InvalidInput(f"--split {text}: write whole numbers, the control's first, such as 50:50 or 90:10")
    return [int(part) for part in parts]
