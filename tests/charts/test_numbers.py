import pytest

from balancer.charts import numbers

NOTHING = float("nan")


@pytest.mark.parametrize(
    ("written", "value", "text"),
    [
        (numbers.percent, 0.059, "5.90%"),
        (numbers.signed_percent, 0.009, "+0.90%"),
        (numbers.signed_percent, -0.00104, "-0.10%"),
        (numbers.plain, 12345.6, "1.235e+04"),
        (numbers.signed, 1.5, "+1.5"),
        (numbers.count, 12345, "12,345"),
        (numbers.short, 12000, "12k"),
        (numbers.short, 0.25, "0.25"),
        (numbers.axis_percent, 0.025, "2.5%"),
        (numbers.axis_signed_percent, 0.02, "+2%"),
        (numbers.axis_signed_percent, 0, "0"),
        (numbers.axis_signed, -2000, "-2k"),
    ],
)
def test_figures_are_written_for_people(written: numbers.Written, value: float, text: str) -> None:
    assert written(value) == text


def test_what_is_no_number_is_a_dash() -> None:
    written = (numbers.percent, numbers.signed_percent, numbers.plain, numbers.signed, numbers.count, numbers.short)
    assert {each(NOTHING) for each in written} == {"–"}
