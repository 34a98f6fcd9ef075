"""`balancer split`: sharing visitors between branches."""

import contextlib
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import typer

from balancer.cli import output, progress
from balancer.cli.target import AppArgument, AsJson, Tail, connect
from balancer.client import Client
from balancer.domain.audience import COUNTRY_HEADER, EVERYONE, describe, parse_header
from balancer.domain.rollout import WATCHED, RolloutState
from balancer.domain.weights import parse_weights, percent
from balancer.errors import BanditNotFound, InvalidInput, RolloutNotFound
from balancer.wire.splits import BriefBody, HeaderBody, NewSplit, NewTwin, SplitBody, WeightsBody

app = typer.Typer(name="split", help="Splits: share an app's visitors between branches.", no_args_is_help=True)
Weights = Annotated[
    list[str], typer.Argument(metavar="BRANCH=PERCENT...", help="Adding up to 100.", show_default=False)
]
WeightsOrNone = Annotated[
    list[str] | None,
    typer.Argument(metavar="[BRANCH=PERCENT]...", help="Adding up to 100; with --aa none.", show_default=False),
]
Chosen = Annotated[
    str | None, typer.Argument(metavar="[SPLIT]", help="Its id, such as s3.", show_default="the newest one")
]


@app.command()
def start(
    name: AppArgument,
    weights: WeightsOrNone = None,
    control: Annotated[
        str | None, typer.Option(help="The branch to compare with.", show_default="the default branch")
    ] = None,
    title: Annotated[str | None, typer.Option("--name", help="What people call it.")] = None,
    hypothesis: Annotated[str | None, typer.Option(help="What you believe, and want to see shown.")] = None,
    metric: Annotated[str | None, typer.Option(help="The metric that decides, or the event, such as purchase.")] = None,
    decide_at: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Decide then, and show nothing before, such as 2026-12-24."),
    ] = None,
    aa: Annotated[bool, typer.Option("--aa", help="Nothing differs; without weights: a twin is made.")] = False,
    path: Annotated[str | None, typer.Option(help="Only for who asks for a path that begins so.")] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE[,VALUE]", help="Only for requests with this header.")
    ] = None,
    country: Annotated[
        list[str] | None, typer.Option(help="Only for visitors from this country, such as DE; may be repeated.")
    ] = None,
    country_header: Annotated[
        str, typer.Option(help="The header in which the proxy before us tells the country.")
    ] = COUNTRY_HEADER,
    hold_out: Annotated[str, typer.Option(metavar="PERCENT", help="Part of all visitors to leave alone.")] = "0",
    tail: Tail = False,
    as_json: AsJson = False,
) -> None:
    """Begin a split. Example: [bold]balancer split start shop master=50 test=50 --metric purchase[/].

    With --aa and no weights visitors are shared between what they see and a branch `aa` that is made of it, and goes
    when the split ends: nothing differs, so that nothing should be found.
    """
    conditions = [parse_header(text) for text in header or ()]
    headers = [HeaderBody(name=each.name, values=list(each.values)) for each in conditions]
    if country:
        headers.append(HeaderBody(name=country_header, values=country))
    brief = BriefBody(
        name=title,
        hypothesis=hypothesis,
        metric=metric,
        aa=aa,
        decide_at=_moment(decide_at) if decide_at else None,
        path=path,
        headers=headers,
        held_out=_percentage(hold_out),
    )
    if not weights and not aa:
        raise InvalidInput(f"name the branches and their weights: balancer split start {name} master=50 test=50")
    with connect() as client:
        if not weights:
            steps = client.start_aa_split(name, NewTwin(control=control, brief=brief))
            progress.show(client, name, steps, tail=tail, as_json=as_json)
            return
        found = client.start_split(name, NewSplit(weights=_weights(weights).weights, control=control, brief=brief))
        _show(found, as_json=as_json)
        if not as_json:
            output.plain(f"See how it goes with: balancer stats {name}")
        progress.follow(client, name, tail=tail, as_json=as_json)


@app.command("set")
def set_(name: AppArgument, weights: Weights, tail: Tail = False, as_json: AsJson = False) -> None:
    """Give the split new weights; who has a branch keeps it, unless its weight is 0.

    Example: [bold]balancer split set shop master=80 test=20[/].
    """
    with connect() as client:
        found = client.set_weights(name, _weights(weights))
        _show(found, as_json=as_json)
        if not as_json and (steered_by := _steering(client, name)):
            output.plain(
                f"The {steered_by} that gives this split its weights waits as long as these hold: balancer "
                f"{steered_by} resume {name}"
            )
        progress.follow(client, name, tail=tail, as_json=as_json)


def _steering(client: Client, name: str) -> str | None:
    """Return whether a rollout or a bandit of an app goes on: then it is not people alone who weigh its split."""
    with contextlib.suppress(RolloutNotFound):
        if RolloutState(client.rollout(name).rollout.state) in WATCHED:
            return "rollout"
    with contextlib.suppress(BanditNotFound):
        if RolloutState(client.bandit(name).bandit.state) in WATCHED:
            return "bandit"
    return None


@app.command("list")
def list_(name: AppArgument, as_json: AsJson = False) -> None:
    """List the splits of an app, the newest first. Example: [bold]balancer split list shop[/]."""
    with connect() as client:
        found = client.splits(name)
    if as_json:
        output.print_json(found)
    elif not found:
        output.plain(f"{name} has had no split yet; begin one with: balancer split start {name} master=50 test=50")
    else:
        output.table(
            *("Split", "State", "Name", "Variants", "Winner", "Began", "Ended"),
            rows=[
                (
                    *(each.id, each.state, each.brief.name, _shares(each), each.winner),
                    *(output.ago(each.phases[0].started_at), output.ago(each.ended_at)),
                )
                for each in found
            ],
        )


@app.command()
def show(name: AppArgument, split: Chosen = None, as_json: AsJson = False) -> None:
    """Show a split with its phases. Example: [bold]balancer split show shop s3[/]."""
    with connect() as client:
        found = client.split(name, split)
    _show(found, as_json=as_json)
    if not as_json and len(found.phases) > 1:
        output.table(
            *("Phase", "Began", "Variants"),
            rows=[(each.number, output.ago(each.started_at), _listed(each.weights)) for each in found.phases],
        )


@app.command()
def pause(name: AppArgument, tail: Tail = False, as_json: AsJson = False) -> None:
    """Assign nobody new; who has a branch keeps it. Example: [bold]balancer split pause shop[/]."""
    with connect() as client:
        found = client.change_split(name, "pause")
        _show(found, as_json=as_json)
        progress.follow(client, name, tail=tail, as_json=as_json)


@app.command()
def resume(name: AppArgument, tail: Tail = False, as_json: AsJson = False) -> None:
    """Assign visitors again. Example: [bold]balancer split resume shop[/]."""
    with connect() as client:
        found = client.change_split(name, "resume")
        _show(found, as_json=as_json)
        progress.follow(client, name, tail=tail, as_json=as_json)


@app.command()
def reshuffle(name: AppArgument, tail: Tail = False, as_json: AsJson = False) -> None:
    """Begin the split anew: everyone is assigned anew. Example: [bold]balancer split reshuffle shop[/]."""
    with connect() as client:
        found = client.change_split(name, "reshuffle")
        _show(found, as_json=as_json)
        progress.follow(client, name, tail=tail, as_json=as_json)


@app.command()
def conclude(
    name: AppArgument,
    winner: Annotated[str, typer.Option(help="The branch that everyone is to see.", show_default=False)],
    tail: Tail = False,
    as_json: AsJson = False,
) -> None:
    """End the split with a winner, whose release becomes the default branch's.

    Example: [bold]balancer split conclude shop --winner test[/].
    """
    with connect() as client:
        progress.show(client, name, client.conclude_split(name, winner), as_json=as_json, tail=tail)


@app.command()
def promote(name: AppArgument, tail: Tail = False, as_json: AsJson = False) -> None:
    """Make the winner that visitors see the default branch's release, where that failed when the split was concluded.

    Example: [bold]balancer split promote shop[/].
    """
    with connect() as client:
        progress.show(client, name, client.promote(name), as_json=as_json, tail=tail)


@app.command()
def cancel(name: AppArgument, tail: Tail = False, as_json: AsJson = False) -> None:
    """End the split; everyone sees the default branch. Example: [bold]balancer split cancel shop[/]."""
    with connect() as client:
        found = client.cancel_split(name)
        _show(found, as_json=as_json)
        progress.follow(client, name, tail=tail, as_json=as_json)


def _weights(texts: list[str]) -> WeightsBody:
    return WeightsBody(weights={name: Decimal(units) / 100 for name, units in parse_weights(texts).items()})


def _percentage(text: str) -> Decimal:
    try:
        return Decimal(text.removesuffix("%"))
    except ArithmeticError as reason:
        raise InvalidInput(f"--hold-out {text}: write a percentage, such as 10") from reason


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)  # without an offset it is in the app's time zone, which the platform knows
    except ValueError as reason:
        raise InvalidInput(f"--decide-at {text}: write a date, such as 2026-12-24 or 2026-12-24T18:00") from reason


def _show(split: SplitBody, *, as_json: bool) -> None:
    if as_json:
        output.print_json(split)
        return
    phase, brief = split.phases[-1], split.brief
    called = f" ({brief.name})" if brief.name else ""
    output.plain(
        f"Split {split.id}{called} of {split.app}, {split.state}: {_shares(split)} "
        f"(control: {split.control}, phase {phase.number})"
    )
    audience = brief.parsed().audience
    facts = (
        ("Hypothesis", brief.hypothesis),
        ("Decided by", brief.metric),
        ("Decided at", f"{brief.decide_at:%Y-%m-%d %H:%M %Z}" if brief.decide_at else ""),
        ("Metrics", ", ".join(metric.name for metric in brief.metrics)),
        ("A/A", _sameness(split)),
        ("Only for", "" if audience == EVERYONE else describe(audience)),
        ("Held out", f"{brief.held_out:f} % of all visitors" if brief.held_out else ""),
        ("Winner", split.winner),
    )
    for label, text in facts:
        if text:
            output.plain(f"  {label}: {text}")


def _sameness(split: SplitBody) -> str:
    if split.brief.twin:
        return f"{split.brief.twin} is what {split.control} is, and goes when the split ends"
    return "nothing is to differ between its variants" if split.brief.aa else ""


def _shares(split: SplitBody) -> str:
    return _listed(split.phases[-1].weights)


def _listed(weights: dict[str, float]) -> str:
    return ", ".join(f"{branch} {percent(round(weight * 100))}" for branch, weight in weights.items())
