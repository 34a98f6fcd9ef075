"""The distribution of a visitor's number: which part gave how much, by branch."""

import math
from itertools import accumulate

from balancer.charts.histogram import histogram
from balancer.charts.panels import Column, Panel
from balancer.services.split_detail import BranchValues, Values
from balancer.stats.distribution import Bin
from balancer.views.figure import Figure, drawn
from balancer.views.table import Cell, Head, Table, number, whole, word
from balancer.views.written import counted


def distribution_of(values: Values) -> Figure:
    """Return the bins of a metric as columns of one width each; who gave nothing is told in words."""
    ends = _every_bin(values)
    places = {end: place for place, end in enumerate(ends)}
    panels = [
        Panel(
            name=branch.branch,
            columns=tuple(
                Column(
                    start=places[each.low, each.high],
                    end=places[each.low, each.high] + 1,
                    height=each.visitors / branch.visitors if branch.visitors else 0.0,
                    text=f"{_span(each)}: {each.visitors:,} of {counted(branch.visitors, 'visitor')}",
                )
                for each in branch.bins
            ),
            note=_note(branch),
        )
        for branch in values.branches
    ]
    title = f"{values.metric} of a visitor"
    names = [f"{low:g}" for low, _ in ends]
    pictures = drawn(lambda width: histogram(title, panels, names, width))
    heads = [Head(text="From", name="from", figures=True), Head(text="Below", name="below", figures=True)]
    for branch in values.branches:
        heads += [
            Head(text=branch.branch, name=f"{branch.branch} visitors", figures=True),
            Head(text="share", name=f"{branch.branch} share", figures=True),
        ]
    rows = [_row(None, values)] + [_row(end, values) for end in ends]
    return Figure(
        name="values",
        title=title,
        pictures=pictures,
        table=Table(caption=f"Visitors by {values.metric}", heads=tuple(heads), rows=tuple(rows)),
        note="Parts of all exposed visitors. Columns are 1 to 2, 2 to 3 … 9 to 10, 10 to 20, and so on.",
    )


def _every_bin(values: Values) -> list[tuple[float, float]]:
    """Return the bins from the least to the greatest that has visitors, those between them without any too."""
    found = sorted({(each.low, each.high) for branch in values.branches for each in branch.bins})
    losses = [(-high, -low) for low, high in reversed(found) if high <= 0]
    gains = [(low, high) for low, high in found if low >= 0]
    return [(-high, -low) for low, high in reversed(_between(losses))] + _between(gains)


def _between(bins: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if not bins:
        return []
    exponent = math.floor(math.log10(bins[0][0]) + 1e-9)
    every: list[tuple[float, float]] = []
    while not every or every[-1] < bins[-1]:
        each = [(float(f"{digit}e{exponent}"), float(f"{digit + 1}e{exponent}")) for digit in range(1, 10)]
        every += [ends for ends in each if bins[0] <= ends <= bins[-1]]
        exponent += 1
    return every


def _row(ends: tuple[float, float] | None, values: Values) -> tuple[Cell, ...]:
    cells = [word("nothing"), word("")] if ends is None else [number(f"{end:g}", end) for end in ends]
    for branch in values.branches:
        visitors = branch.nothing
        if ends is not None:
            visitors = sum(each.visitors for each in branch.bins if (each.low, each.high) == ends)
        share = visitors / branch.visitors if branch.visitors else None
        cells += [whole(visitors), number("" if share is None else f"{share:.2%}", share)]
    return tuple(cells)


def _span(each: Bin) -> str:
    return f"{each.low:g} to {each.high:g}"


def _note(branch: BranchValues) -> str:
    """Return how many gave nothing, and where the middle of the others lies."""
    if not branch.visitors:
        return "no visitor"
    told = f"{branch.nothing / branch.visitors:.1%} nothing"
    gave = branch.visitors - branch.nothing
    if not gave:
        return told
    sums = accumulate(each.visitors for each in branch.bins)
    middle = next(each for each, sum_ in zip(branch.bins, sums, strict=True) if sum_ * 2 >= gave)
    return f"{told}; half of the rest below {middle.high:g}"
