import pytest

from balancer.views.table import Cell, Head, Table, csv_of, number, whole, word

HEADS = (Head(text="Branch", name="branch"), Head(text="Rate", name="rate", figures=True))


def test_the_file_has_figures_where_the_table_has_words() -> None:
    table = Table(
        caption="t", heads=HEADS, rows=((word("test"), number("5.90%", 0.059)), (word("a"), number("", None)))
    )
    assert csv_of(table) == "branch,rate\ntest,0.059\na,\n"
    assert [row[1].text for row in table.rows] == ["5.90%", "–"]


def test_no_spreadsheet_takes_a_name_for_a_formula() -> None:
    table = Table(caption="t", heads=HEADS, rows=((word("=1+1"), Cell(text="-0.5", raw=-0.5)),))
    assert csv_of(table).splitlines()[1] == "'=1+1,-0.5"


def test_how_many_there_are_has_its_thousands_apart() -> None:
    assert (whole(12345).text, whole(12345).raw) == ("12,345", 12345)


def test_a_row_that_is_too_short_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="has not 2 cells"):
        Table(caption="t", heads=HEADS, rows=((word("test"),),))
