"""A visitor is a random UUID; an event has a harmless name and a finite value."""

import math
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.event import EVENT_ID_LIMIT, EVENT_NAME_LIMIT, VALUE_LIMIT, Event, EventName, VisitorId
from balancer.errors import InvalidInput, InvalidName


@given(st.uuids())
def test_every_uuid_is_a_visitor(visitor: uuid.UUID) -> None:
    assert VisitorId(str(visitor)) == str(visitor)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada@example.org",
        "4B6D2E1C-7A0F-4D7E-9C55-0123456789AB",
        "4b6d2e1c7a0f4d7e9c550123456789ab",
        "4b6d2e1c-7a0f-4d7e-9c55-0123456789ab\n",
        "{4b6d2e1c-7a0f-4d7e-9c55-0123456789ab}",
        "x" * 100_000,
    ],
)
def test_what_is_no_lower_case_uuid_is_no_visitor(text: str) -> None:
    with pytest.raises(InvalidName, match="is no visitor") as refused:
        VisitorId(text)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("text", ["purchase", "a", "Sign-up", "cart.item_2:added", "x" * EVENT_NAME_LIMIT])
def test_a_name_of_an_event_is_what_was_given(text: str) -> None:
    assert EventName(text) == text


@pytest.mark.parametrize(
    "text", ["", "2nd", "$exposure", "a b", "a\n", "a,b", "a=1", '"', "é", "_a", "x" * (EVENT_NAME_LIMIT + 1)]
)
def test_what_is_no_name_of_an_event_is_refused(text: str) -> None:
    with pytest.raises(InvalidName, match="is no name for an event"):
        EventName(text)


@given(st.floats(-VALUE_LIMIT, VALUE_LIMIT))
def test_a_finite_value_within_the_limit_is_kept(value: float) -> None:
    assert Event(name=EventName("purchase"), value=value).value == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, VALUE_LIMIT * 1.0001, -VALUE_LIMIT * 1.0001])
def test_any_other_value_cannot_be_in_an_event(value: float) -> None:
    with pytest.raises(InvalidInput, match="not finite or beyond"):
        Event(name=EventName("purchase"), value=value)


def test_an_event_needs_neither_value_nor_id() -> None:
    event = Event(name=EventName("signup"))
    assert (event.value, event.id) == (None, None)


@pytest.mark.parametrize("text", ["", "a b", "a\n", "é", "x" * (EVENT_ID_LIMIT + 1)])
def test_an_id_that_does_not_parse_cannot_be_in_an_event(text: str) -> None:
    with pytest.raises(InvalidInput, match="the event id"):
        Event(name=EventName("purchase"), id=text)


def test_an_id_may_be_as_the_script_makes_it() -> None:
    assert Event(name=EventName("purchase"), id="lq3x1z-8f7a6b5c4d").id == "lq3x1z-8f7a6b5c4d"
