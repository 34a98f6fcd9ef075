"""The plan of a rollout in words, as `balancer rollout plan` and the dashboard show it."""

from collections.abc import Iterator

from balancer.services.rollout_planning import PlannedStep, RolloutForecast
from balancer.views.lasting import lasting


def rows_of(found: RolloutForecast) -> tuple[tuple[str, ...], ...]:
    """Return of each step: number, part, visitors a day, when it begins, how long it takes, what it waits for."""
    return tuple(_row(step) for step in found.steps)


def sentences(found: RolloutForecast) -> Iterator[str]:
    """Give what is to be said of a plan beside its steps, without a stop at the end of each."""
    if found.hours:
        yield f"It goes on by itself {found.hours} alone ({found.timezone})"
    if found.visitors_a_day is not None:
        within = f" within {lasting(found.visitors_within)}" if found.visitors_within is not None else ""
        came = f", as {found.visitors_from} had them{within}" if found.visitors_from else ""
        yield f"At {_count(found.visitors_a_day)} visitors a day{came}, if nothing speaks against it"
    if (verdict := found.verdict) is not None and verdict.visitors is not None:
        days = "" if verdict.days is None else f", which is {verdict.days:,} day{'s' * (verdict.days != 1)}"
        if days and verdict.window_seconds:
            days += f"; {lasting(verdict.window_seconds)} later the last of them count"
        yield f"{verdict.metric}: {verdict.because} takes {verdict.visitors:,} visitors{days}"
    if found.lacking:
        yield found.lacking[0].upper() + found.lacking[1:]
    elif found.everybody:
        yield f"Everybody gets {found.branch} at {found.everybody.replace('T', ' ')}, at the earliest"


def _count(a_day: float) -> str:
    """Return how many come a day: whole ones, where there are enough of them."""
    return f"{a_day:,.0f}" if a_day >= 100 else f"{a_day:.3g}"


def _row(step: PlannedStep) -> tuple[str, ...]:
    a_day = "" if step.visitors_a_day is None else _count(step.visitors_a_day)
    takes = lasting(step.seconds) if step.seconds is not None else "not known" if step.waits_for else ""
    begins = "not known" if step.begins is None else step.begins.replace("T", " ")
    return str(step.step), f"{step.weight:g} %", a_day, begins, takes, step.waits_for
