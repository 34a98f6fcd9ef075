"""The check of sent batches: what is right is accepted, what is wrong has its reason, whatever the bytes are."""

import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.entry import Reason
from balancer.domain.sent import BATCH_LIMIT, FUTURE_MILLISECONDS, PAST_MILLISECONDS, SentEvent
from balancer.domain.sent_body import Form, shown
from balancer.domain.sent_check import Checked, check
from balancer.errors import BodyTooLarge, BodyUnreadable

NOW = 1_800_000_000_000  # 2027-01-15T08:00:00Z
VISITOR = "0f0e0d0c-0b0a-4908-8706-050403020100"
RIGHT = {"visitor": VISITOR, "name": "purchase"}
WRONG = b'{"visitor": "nobody", "name": "a"}'


def event(**fields: object) -> dict[str, Any]:
    return {**RIGHT, **fields}


def as_list(*events: object) -> bytes:
    return json.dumps(events).encode()


def reasons(checked: Checked) -> list[tuple[int, str]]:
    return [(refusal.index, refusal.reason.value) for refusal in checked.refused]


def both_ways(*events: object) -> Checked:
    """Check events, alone and beside one that is wrong, as a list and as lines; return what was made of them."""
    listed = check(as_list(*events), Form.JSON, NOW)
    lines = b"\n".join(json.dumps(each).encode() for each in events)
    beside = check(b"[%s, %s]" % (as_list(*events)[1:-1], WRONG), Form.JSON, NOW)
    assert reasons(beside)[:-1] == reasons(listed)
    assert beside.events == listed.events
    if listed.events:
        assert check(lines, Form.LINES, NOW) == listed
    return listed


def test_an_event_that_is_right_is_accepted_with_all_it_says() -> None:
    whole = event(value=19.99, ts=NOW - 1000, id="order-17", dims={"plan": "pro", "area": "Zürich"})
    checked = both_ways(RIGHT, whole)
    assert checked.refused == []
    assert checked.events == [
        SentEvent(VISITOR, NOW, "purchase", None, None, None),
        SentEvent(VISITOR, NOW - 1000, "purchase", 19.99, "order-17", '{"area":"Zürich","plan":"pro"}'),
    ]


def test_what_is_null_is_as_if_it_were_not_there() -> None:
    assert both_ways(event(value=None, ts=None, id=None, dims=None)) == both_ways(RIGHT)


@pytest.mark.parametrize("value", [0, -3, 1e12, -1e12, 0.1, -0.0])
def test_values_within_the_limits_are_accepted_negative_ones_too(value: float) -> None:
    assert [each.value for each in both_ways(event(value=value)).events] == [value]


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 1e308, 1.1e12, -1.1e12, 10**400, 10**20, "19.99", "", True, [], {}]
)
def test_other_values_are_refused(value: object) -> None:
    assert reasons(both_ways(RIGHT, event(value=value))) == [(1, "value")]


def test_a_number_that_is_too_large_for_any_float_is_refused() -> None:
    body = as_list(RIGHT, event(value=1.5)).replace(b"1.5", b"1e999")
    assert reasons(check(body, Form.JSON, NOW)) == [(1, "value")]


@pytest.mark.parametrize(
    ("ts", "milliseconds"),
    [
        (NOW, NOW),
        (NOW - PAST_MILLISECONDS, NOW - PAST_MILLISECONDS),
        (NOW + FUTURE_MILLISECONDS, NOW + FUTURE_MILLISECONDS),
        (NOW - 0.5, NOW - 1),
        ("2027-01-15T08:00:00Z", NOW),
        ("2027-01-15T08:00:00.0019+00:00", NOW + 1),
        ("2027-01-15T09:00:00+01:00", NOW),
        ("20270115T080000Z", NOW),
        ("2027-01-15 07:59:59.999Z", NOW - 1),
    ],
)
def test_times_are_read(ts: object, milliseconds: int) -> None:
    assert [each.ts for each in both_ways(event(ts=ts)).events] == [milliseconds]


@pytest.mark.parametrize(
    ("ts", "reason"),
    [
        (NOW - PAST_MILLISECONDS - 1, "past"),
        (NOW + FUTURE_MILLISECONDS + 1, "future"),
        (NOW // 1000, "past"),
        (0, "past"),
        (-(10**30), "past"),
        (10**30, "future"),
        (1e300, "future"),
        ("0001-01-01T00:00:00+23:59", "past"),
        ("9999-12-31T23:59:59-23:59", "future"),
        (math.nan, "time"),
        (math.inf, "time"),
        (True, "time"),
        ("2027-01-15T08:00:00", "time"),
        ("2027-01-15", "time"),
        ("yesterday", "time"),
        ("", "time"),
        (str(NOW), "time"),
        ([], "time"),
    ],
)
def test_other_times_are_refused(ts: object, reason: str) -> None:
    assert reasons(both_ways(RIGHT, event(ts=ts))) == [(1, reason)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"visitor": VISITOR.upper()}, "visitor"),
        ({"visitor": "nobody"}, "visitor"),
        ({"visitor": VISITOR + "\n"}, "visitor"),
        ({"visitor": None}, "visitor"),
        ({"visitor": 7}, "visitor"),
        ({"name": ""}, "name"),
        ({"name": "$exposure"}, "name"),
        ({"name": "a" * 65}, "name"),
        ({"name": "a\n"}, "name"),
        ({"name": None}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"id": ""}, "id"),
        ({"id": "a b"}, "id"),
        ({"id": "a" * 65}, "id"),
        ({"id": 17}, "id"),
        ({"dims": []}, "dims"),
        ({"dims": "pro"}, "dims"),
        ({"dims": {"plan": 7}}, "dims"),
        ({"dims": {"plan": None}}, "dims"),
        ({"dims": {"1plan": "pro"}}, "dims"),
        ({"dims": {"p" * 33: "pro"}}, "dims"),
        ({"dims": {"plan": "x" * 65}}, "dims"),
        ({"dims": {"plan": "a\nb"}}, "dims"),
        ({"dims": {"plan": "\udcff"}}, "dims"),
        ({"dims": {f"d{number}": "x" for number in range(9)}}, "dims"),
        ({"split": "s1"}, "field"),
        ({"Visitor": VISITOR}, "field"),
    ],
)
def test_what_is_wrong_is_refused_with_its_reason_and_place(fields: dict[str, object], reason: str) -> None:
    checked = both_ways(RIGHT, event(**fields), RIGHT)
    assert reasons(checked) == [(1, reason)]
    assert len(checked.events) == 2
    assert checked.refused[0].message.isprintable()


@pytest.mark.parametrize("item", [7, "text", None, True, [], [RIGHT], {}])
def test_an_item_that_is_no_event_is_refused(item: object) -> None:
    assert reasons(both_ways(RIGHT, item)) == [(1, "visitor" if item == {} else "not JSON")]


def test_the_limits_themselves_are_accepted() -> None:
    dims = {f"{number}".rjust(32, "d"): "é" * 64 for number in range(8)}
    assert both_ways(event(name="n" * 64, id="i" * 64, dims=dims)).refused == []


def test_bytes_that_are_not_utf8_cost_the_event_that_they_are_in() -> None:
    right, bad = json.dumps(RIGHT).encode(), b'{"visitor": "%s", "name": "\xff"}' % VISITOR.encode()
    assert reasons(check(b"[%s,%s]" % (right, bad), Form.JSON, NOW)) == [(1, "not JSON")]
    assert reasons(check(b"%s\n%s\n\xff\xfe" % (right, bad), Form.LINES, NOW)) == [(1, "not JSON"), (2, "not JSON")]


def test_a_control_character_costs_the_event_that_it_is_in() -> None:
    bad = json.dumps(event(dims={"plan": "?"})).replace("?", "\t").encode()
    for beside in (json.dumps(RIGHT).encode(), WRONG):
        assert reasons(check(b"[%s,%s]" % (bad, beside), Form.JSON, NOW))[0] == (0, "dims")


def test_a_line_that_is_torn_costs_itself_and_empty_lines_are_none() -> None:
    right = json.dumps(RIGHT).encode()
    checked = check(b"\n\r\n%s\r\n  \n%s\n{}\n%s x" % (right, right[:20], right), Form.LINES, NOW)
    assert len(checked.events) == 1
    assert reasons(checked) == [(1, "not JSON"), (2, "visitor"), (3, "not JSON")]


def test_one_object_is_a_batch_of_one() -> None:
    assert len(check(json.dumps(RIGHT).encode(), Form.JSON, NOW).events) == 1


@pytest.mark.parametrize("body", [b"[]", b" [ ] \n"])
def test_an_empty_list_is_an_empty_batch(body: bytes) -> None:
    assert check(body, Form.JSON, NOW) == Checked(events=[], refused=[])
    assert check(b"", Form.LINES, NOW) == check(b"\n\n", Form.LINES, NOW) == Checked(events=[], refused=[])


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"nonsense", b"7", b'"text"', b"\xff", b"null", b"[", b"[[", b"[" * 100_000, b"[1,]", b"[,1]",
        b"[1 2]", b"[1]]", b"[1] x", as_list(RIGHT)[:-1], as_list(RIGHT, RIGHT)[:-9], b"[%s,]" % as_list(RIGHT)[1:-1],
        b"{} {}", b'{"a":' * 100_000, b"\xef\xbb\xbf[]", b"[" + b"9" * 5000 + b"]", b"[NaN",
    ],
)  # fmt: skip
def test_what_is_not_json_is_unreadable_and_nothing_of_it_is_accepted(body: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        check(body, Form.JSON, NOW)


@pytest.mark.parametrize("body", [b"nonsense", b"\xff\xfe\n\x00", b"\x1f\x8b\x08\n\n\x00"])
def test_lines_of_which_not_one_is_json_are_unreadable(body: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        check(body, Form.LINES, NOW)


@pytest.mark.parametrize("item", [json.dumps(RIGHT).encode(), b"7", b"NaN"])
def test_one_event_more_than_a_batch_may_have_is_too_much(item: bytes) -> None:
    for form, before, between, after in ((Form.JSON, b"[", b",", b"]"), (Form.LINES, b"", b"\n", b"\n")):
        most = check(before + between.join([item] * BATCH_LIMIT) + after, form, NOW)
        assert len(most.events) + len(most.refused) == BATCH_LIMIT
        with pytest.raises(BodyTooLarge, match="more than 10,000 events"):
            check(before + between.join([item] * (BATCH_LIMIT + 1)) + after, form, NOW)


def test_a_list_of_millions_is_not_made_before_it_is_counted() -> None:
    with pytest.raises(BodyTooLarge):
        check(b"[" + b"7," * (4 << 20) + b"}", Form.JSON, NOW)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.fixed_dictionaries(
    {"visitor": st.just(VISITOR) | ANYTHING, "name": st.sampled_from(["a", "b-1", "", "$x"]) | ANYTHING},
    optional={
        "value": st.floats(-1e13, 1e13) | st.integers() | ANYTHING,
        "ts": st.integers(NOW - 10**9, NOW + 10**6) | st.datetimes().map(str) | ANYTHING,
        "id": st.text("abc-", max_size=70) | ANYTHING,
        "dims": st.dictionaries(st.text("ab1", max_size=3), st.text(max_size=5), max_size=3) | ANYTHING,
    },
)
ITEMS = st.lists(EVENTS | ANYTHING, max_size=6)


@given(items=ITEMS)
def test_accepted_and_refused_are_what_was_sent_each_at_its_place(items: list[object]) -> None:
    checked = check(as_list(*items), Form.JSON, NOW)
    refused = [refusal.index for refusal in checked.refused]
    assert refused == sorted(set(refused))
    assert len(checked.events) + len(refused) == len(items)


@given(items=ITEMS)
def test_what_becomes_of_an_event_does_not_depend_on_those_beside_it(items: list[object]) -> None:
    together = check(as_list(*items, 7), Form.JSON, NOW)
    alone = [check(as_list(item), Form.JSON, NOW) for item in items]
    assert together.events == list(itertools.chain.from_iterable(one.events for one in alone))
    assert reasons(together)[:-1] == [
        (index, refusal.reason.value) for index, one in enumerate(alone) for refusal in one.refused
    ]


@given(body=st.binary() | st.text().map(str.encode) | ITEMS.map(lambda items: as_list(*items)), cut=st.integers(0, 200))
def test_whatever_the_bytes_are_nothing_else_is_raised(body: bytes, cut: int) -> None:
    for form in Form:
        for each in (body, body[:cut], body[:cut] + b"\xff" + body[cut:]):
            try:
                checked = check(each, form, NOW)
            except BodyUnreadable:
                continue
            assert all(isinstance(refusal.reason, Reason) for refusal in checked.refused)


@given(said=ANYTHING)
def test_what_was_wrong_is_shown_short_and_in_ascii(said: object) -> None:
    assert shown(said).isascii()
    assert len(shown(said)) <= 60 * 10 + 2
