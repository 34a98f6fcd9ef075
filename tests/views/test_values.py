import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.services.split_detail import BranchValues, Values
from balancer.stats.distribution import distribution, leading
from balancer.views.table import csv_of
from balancer.views.values import distribution_of
from charts.drawn import hints, labels, read, result


def values(**numbers: list[float]) -> Values:
    """Return what the visitors of each branch gave."""
    counted = [(leading(branch, number), 1) for branch, each in numbers.items() for number in each if number]
    found = distribution(list(numbers), {branch: len(each) for branch, each in numbers.items()}, counted)
    return Values(
        metric="revenue",
        metrics=("revenue",),
        branches=tuple(
            BranchValues(branch=each.variant, visitors=each.visitors, nothing=each.nothing, bins=each.bins)
            for each in found.variants
        ),
    )


FOUND = values(master=[0, 0, 5, 20], test=[0, 5, 5, 40])


def test_the_chart_says_who_gave_nothing_and_where_the_middle_is() -> None:
    assert result(distribution_of(FOUND).wide) == (
        "master: 50.0% nothing; half of the rest below 6; test: 25.0% nothing; half of the rest below 6."
    )


def test_bins_between_two_are_there_though_nobody_is_in_them() -> None:
    found = [name for name in labels(distribution_of(FOUND).wide) if name.isdigit()]
    assert found == ["5", "6", "7", "8", "9", "10", "20", "30", "40"]


def test_a_column_tells_how_many_of_how_many() -> None:
    assert "5 to 6: 2 of 4 visitors" in hints(distribution_of(FOUND).wide)


def test_the_table_counts_every_visitor_once() -> None:
    rows = [line.split(",") for line in csv_of(distribution_of(FOUND).table).splitlines()[1:]]
    assert [sum(int(row[place]) for row in rows) for place in (2, 4)] == [4, 4]


def test_what_was_given_back_stands_below_nothing() -> None:
    (first, *_) = distribution_of(values(test=[-20.0, 10.0])).table.rows[1:]
    assert [cell.raw for cell in first[:2]] == [-30.0, -20.0]


@pytest.mark.parametrize("numbers", [[], [0.0]])
def test_where_nobody_gave_anything_it_says_so(numbers: list[float]) -> None:
    assert labels(distribution_of(values(test=numbers)).wide) == ["No visitor has given a value yet."]


@given(st.lists(st.floats(-1e12, 1e12), max_size=8), st.lists(st.floats(-1e12, 1e12), max_size=8))
def test_any_numbers_make_a_chart_whose_table_is_whole(master: list[float], test: list[float]) -> None:
    near = [[round(number, 4) for number in each] for each in (master, test)]
    figure = distribution_of(values(master=near[0], test=near[1]))
    read(figure.wide)
    read(figure.narrow)
    assert [sum(int(str(row[place].raw)) for row in figure.table.rows) for place in (2, 4)] == [len(master), len(test)]
