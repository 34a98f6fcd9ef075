"""`balancer split`: sharing visitors between branches."""

from decimal import Decimal
from typing import Annotated

import typer

from balancer.cli import output, progress
from balancer.cli.target import AppArgument, AsJson, Tail, connect
from balancer.domain.split import parse_weights, percent
from balancer.wire.splits import SplitBody, WeightsBody

app = typer.Typer(name="split", help="Splits: share an app's visitors between branches.", no_args_is_help=True)
Weights = Annotated[
    list[str], typer.Argument(metavar="BRANCH=PERCENT...", help="Adding up to 100.", show_default=False)
]


@app.command()
def start(
    name: AppArgument,
    weights: Weights,
    control: Annotated[
        str | None, typer.Option(help="The branch to compare with.", show_default="the default branch")
    ] = None,
    tail: Tail = False,
    as_json: AsJson = False,
) -> None:
    """Begin a split. Example: [bold]balancer split start shop master=50 test=50[/]."""
    with connect() as client:
        found = client.start_split(name, _body(weights, control))
        _show(found, as_json=as_json)
        if not as_json:
            output.plain(f"See how it goes with: balancer stats {name}")
        progress.follow(client, name, tail=tail, as_json=as_json)


@app.command("set")
def set_(name: AppArgument, weights: Weights, tail: Tail = False, as_json: AsJson = False) -> None:
    """Give the running split new weights; who has a branch keeps it.

    Example: [bold]balancer split set shop master=80 test=20[/].
    """
    with connect() as client:
        found = client.set_weights(name, _body(weights, None))
        _show(found, as_json=as_json)
        progress.follow(client, name, tail=tail, as_json=as_json)


@app.command()
def show(name: AppArgument, as_json: AsJson = False) -> None:
    """Show the running split, else the one that ended last. Example: [bold]balancer split show shop[/]."""
    with connect() as client:
        found = client.split(name)
    _show(found, as_json=as_json)


@app.command()
def cancel(name: AppArgument, tail: Tail = False, as_json: AsJson = False) -> None:
    """End the running split; everyone sees the default branch. Example: [bold]balancer split cancel shop[/]."""
    with connect() as client:
        found = client.cancel_split(name)
        _show(found, as_json=as_json)
        progress.follow(client, name, tail=tail, as_json=as_json)


def _body(texts: list[str], control: str | None) -> WeightsBody:
    weights = parse_weights(texts)
    return WeightsBody(weights={name: Decimal(units) / 100 for name, units in weights.items()}, control=control)


def _show(split: SplitBody, *, as_json: bool) -> None:
    if as_json:
        output.print_json(split)
        return
    phase = split.phases[-1]
    shares = ", ".join(f"{branch} {percent(round(weight * 100))}" for branch, weight in phase.weights.items())
    output.plain(
        f"Split {split.id} of {split.app}, {split.state}: {shares} (control: {split.control}, phase {phase.number})"
    )
