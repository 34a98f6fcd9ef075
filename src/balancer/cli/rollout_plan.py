"""`balancer rollout plan`: how long a rollout would take, before it begins or while it goes on."""

from typing import Annotated

import typer

from balancer.cli import output
from balancer.cli.plan import number_of
from balancer.cli.rollouts import app
from balancer.cli.steering import Margin, Metric, Mode, OpenHours, Steps, StepTime
from balancer.cli.target import AppArgument, AsJson, connect
from balancer.services.rollout_planning import RolloutForecast
from balancer.views.rollout_plans import rows_of, sentences
from balancer.wire.rollout_plans import RolloutWishBody
from balancer.wire.rollout_words import MARGIN, STEP_TIME, STEPS, plan_body


@app.command()
def plan(
    name: AppArgument,
    branch: Annotated[
        str | None,
        typer.Argument(metavar="[BRANCH]", help="Where none is named, the rollout that goes on, else the next push."),
    ] = None,
    steps: Steps = STEPS,
    metric: Metric = None,
    mode: Mode = "superiority",
    margin: Margin = MARGIN,
    auto_promote: Annotated[bool, typer.Option("--auto-promote", help="With a promotion in the end.")] = False,
    step_time: StepTime = STEP_TIME,
    hours: OpenHours = None,
    effect: Annotated[str, typer.Option(help="What the metric is to show: 10% more, or in its own unit.")] = "10%",
    baseline: Annotated[
        str | None,
        typer.Option(help="What a visitor gives now: a rate, or a mean.", show_default="the last split's control"),
    ] = None,
    sd: Annotated[float | None, typer.Option(help="Of a mean: the standard deviation over visitors.")] = None,
    visitors_a_day: Annotated[
        float | None, typer.Option(help="That come, all of them.", show_default="those of the last split")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell how long each step of a rollout takes at the present traffic, and when everybody would get the branch.

    Example: [bold]balancer rollout plan shop test --metric purchase --hours "Mon-Fri 09:00-17:00"[/].
    """
    wanted, relative = number_of("--effect", effect)
    chosen = plan_body(steps, metric, mode, margin, step_time, hours, auto_promote=auto_promote)
    wish = RolloutWishBody(
        **chosen.model_dump(),
        branch=branch,
        effect=wanted,
        relative=relative,
        baseline=None if baseline is None else number_of("--baseline", baseline)[0],
        sd=sd,
        visitors_a_day=visitors_a_day,
    )
    with connect() as client:
        found = client.plan_rollout(name, wish)
    if as_json:
        output.print_json(found)
    else:
        _show(found)


def _show(found: RolloutForecast) -> None:
    output.table(*("Step>", "Part>", "Visitors a day>", "Begins", "Takes", "Waits for"), rows=rows_of(found))
    for sentence in sentences(found):
        output.plain(sentence)
    if not found.lacking and not found.everybody:
        output.plain(f"In the end somebody has to promote it: balancer rollout promote {found.app}")
