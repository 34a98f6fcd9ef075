"""The form that begins a split: what its fields ask for."""

from decimal import Decimal

import pytest

from balancer.errors import BalancerError
from balancer.wire.split_form import fields_of, new_split

PLAIN = {"branch:master": "yes", "branch:test": "yes", "weight:master": "", "weight:test": "", "metric": ""}


def test_two_branches_that_are_checked_share_the_visitors_evenly() -> None:
    new = new_split(PLAIN)
    assert new.weights == {"master": Decimal(50), "test": Decimal(50)}
    assert (new.control, new.brief.metric, new.brief.name) == (None, None, None)


def test_a_weight_that_is_typed_leaves_the_rest_to_the_others_and_that_of_an_unchecked_branch_counts_not() -> None:
    new = new_split({**PLAIN, "weight:test": "12.5", "weight:blue": "30"})
    assert new.weights == {"master": Decimal("87.5"), "test": Decimal("12.5")}


def test_all_fields_are_what_the_options_of_the_command_are() -> None:
    new = new_split(
        PLAIN
        | {
            "metric": " purchase ",
            "title": "Blue button",
            "hypothesis": "Blue sells",
            "control": "test",
            "decide_at": "2026-12-24",
            "path": "/checkout",
            "held_out": "10",
        }
    )
    brief = new.brief
    assert (brief.metric, brief.name, brief.hypothesis, new.control) == (
        "purchase",
        "Blue button",
        "Blue sells",
        "test",
    )
    assert brief.decide_at is not None
    assert (brief.decide_at.isoformat(), brief.path, brief.held_out) == (
        "2026-12-24T00:00:00",
        "/checkout",
        Decimal(10),
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"branch:master": "yes"}, "check two branches at least"),
        (PLAIN | {"weight:master": "60", "weight:test": "60"}, "add up to 120 %"),
        (PLAIN | {"weight:master": "100"}, "leave nothing to test"),
        (PLAIN | {"weight:master": "half"}, "'half', is no number"),
        (PLAIN | {"decide_at": "soon"}, "'soon' is no date"),
        (PLAIN | {"held_out": "some"}, "the part that is left alone, 'some', is no number"),
    ],
)
def test_what_cannot_be_is_refused_by_name(fields: dict[str, str], said: str) -> None:
    with pytest.raises(BalancerError, match=said):
        new_split(fields)


def test_what_else_a_form_has_is_none_of_it() -> None:
    assert fields_of({**PLAIN, "csrf": "x", "served": "master"}) == PLAIN
