"""Options that commands of rollouts and of bandits have in common: how they go, and how they are shown."""

from typing import Annotated, Literal

import typer

Steps = Annotated[str, typer.Option(metavar="PERCENT,…", help="Its part of the visitors, step by step.")]
Metric = Annotated[str | None, typer.Option(help="The metric, or the event, whose verdict is needed.")]
Mode = Annotated[Literal["superiority", "non-inferiority"], typer.Option(help="What the metric has to show.")]
Margin = Annotated[str, typer.Option(help="The loss that non-inferiority accepts, with its %.")]
StepTime = Annotated[str, typer.Option(help="How long a step lasts at least: 90s, 10m, 2h, 1d.")]
OpenHours = Annotated[
    str | None, typer.Option(help='When it goes on by itself: "Mon-Fri 09:00-17:00".', show_default="always")
]
Watch = Annotated[bool, typer.Option("--watch", help="Go on until it ends, or Ctrl-C.")]
Decisions = Annotated[bool, typer.Option("--decisions", help="All that was decided, with the figures that made it.")]
