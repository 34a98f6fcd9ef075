"""What a split's page is asked for, as the fields of its forms say it."""

import pytest

from balancer.errors import InvalidInput, InvalidName
from balancer.wire.asked import Asked


def test_a_field_that_was_left_empty_is_not_there() -> None:
    assert Asked(effect="10", metric="", baseline=" ", visitors="800") == Asked(effect="10", visitors="800")


def test_a_wish_is_in_percent_and_may_say_so() -> None:
    wish = Asked(effect="10%", baseline="2.5", visitors="1,200").wish()
    assert wish is not None
    assert (wish.effect, wish.relative, wish.baseline, wish.visitors_a_day) == (0.1, True, 0.025, 1200.0)


def test_without_an_effect_nothing_is_planned() -> None:
    assert Asked(metric="purchase").wish() is None


@pytest.mark.parametrize("text", ["much", "nan", "inf", "1e999", "10 %%"])
def test_what_is_no_number_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no number; write it as 10"):
        Asked(effect=text).wish()


def test_a_metric_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(InvalidName):
        Asked(effect="10", metric="a b").wish()
