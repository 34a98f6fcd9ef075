"""The form that begins a split: what its fields ask for."""

from decimal import Decimal

import pytest

from balancer.errors import BalancerError
from balancer.wire.split_form import fields_of, new_split
from balancer.wire.splits import NewSplit, NewTwin

PLAIN = {"branch:master": "yes", "branch:test": "yes", "weight:master": "", "weight:test": "", "metric": ""}


def split(form: dict[str, str]) -> NewSplit:
    """Return the split of several branches that a form asks for."""
    new = new_split(form)
    assert isinstance(new, NewSplit)
    return new


def test_two_branches_that_are_checked_share_the_visitors_evenly() -> None:
    new = split(PLAIN)
    assert new.weights == {"master": Decimal(50), "test": Decimal(50)}
    assert (new.control, new.brief.metric, new.brief.name) == (None, None, None)


def test_a_weight_that_is_typed_leaves_the_rest_to_the_others_and_that_of_an_unchecked_branch_counts_not() -> None:
    new = split({**PLAIN, "weight:test": "12.5", "weight:blue": "30"})
    assert new.weights == {"master": Decimal("87.5"), "test": Decimal("12.5")}


def test_all_fields_are_what_the_options_of_the_command_are() -> None:
    new = split(
        PLAIN
        | {
            "metric": " purchase ",
            "title": "Blue button",
            "hypothesis": "Blue sells",
            "control": "test",
            "decide_at": "2026-12-24",
            "path": "/checkout",
            "held_out": "10",
            "aa": "yes",
            "countries": "DE, AT",
            "country_header": "x-country",
            "headers": "x-beta=1\r\n\r\nx-plan=pro,team\r\n",
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
    assert brief.aa
    assert [(each.name, each.values) for each in brief.headers] == [
        ("x-beta", ["1"]),
        ("x-plan", ["pro", "team"]),
        ("x-country", ["DE", "AT"]),
    ]


def test_one_branch_of_which_nothing_is_to_differ_asks_for_a_twin_of_it() -> None:
    new = new_split({"branch:master": "yes", "aa": "yes", "metric": "purchase"})
    assert isinstance(new, NewTwin)
    assert (new.control, new.brief.aa, new.brief.metric) == ("master", True, "purchase")
    assert split({**PLAIN, "aa": "yes"}).brief.aa, "two are compared with each other"


def test_countries_are_told_by_the_header_that_most_proxies_send() -> None:
    assert [each.name for each in split({**PLAIN, "countries": "DE"}).brief.headers] == ["cf-ipcountry"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"branch:master": "yes"}, "check two branches at least"),
        (PLAIN | {"weight:master": "60", "weight:test": "60"}, "add up to 120 %"),
        (PLAIN | {"weight:master": "100"}, "leave nothing to test"),
        (PLAIN | {"weight:master": "half"}, "'half', is no number"),
        (PLAIN | {"decide_at": "soon"}, "'soon' is no date"),
        (PLAIN | {"headers": "x-beta"}, "'x-beta' is no condition: write NAME=VALUE"),
        (PLAIN | {"held_out": "some"}, "the part that is left alone, 'some', is no number"),
    ],
)
def test_what_cannot_be_is_refused_by_name(fields: dict[str, str], said: str) -> None:
    with pytest.raises(BalancerError, match=said):
        new_split(fields)


def test_what_else_a_form_has_is_none_of_it() -> None:
    assert fields_of({**PLAIN, "csrf": "x", "served": "master"}) == PLAIN
