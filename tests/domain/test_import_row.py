"""Rows that are brought in: right, or refused with a reason."""

import pytest

from balancer.domain.entry import Reason
from balancer.domain.event_row import EventRow
from balancer.domain.import_row import RowRefused, read_row
from edge_lines import ASSIGNED_AT, visitor

NOW = ASSIGNED_AT + 86_400_000
PLAIN: dict[str, object] = {"visitor": visitor(1), "name": "purchase", "value": 19.9, "ts": ASSIGNED_AT}

VALUES: list[object] = ["nan", "inf", 1e308, "much", True, [1], "\udcff"]
TIMES: list[object] = [None, "yesterday", -1, "2026-11-01T10:00:00", 1e300, True, []]


def read(**changes: object) -> EventRow:
    return read_row(PLAIN | changes, name="abcdefgh", number=7, now=NOW)


def test_a_plain_row_belongs_to_a_visitor_and_gets_an_id_of_its_place() -> None:
    assert read() == EventRow(
        visitor=visitor(1), name="purchase", ts=ASSIGNED_AT, value=19.9, id="i.abcdefgh.7", source="import"
    )
    assert read(id="order-7").id == "order-7"


def test_texts_of_a_csv_are_read_as_what_they_say() -> None:
    said = {"value": "19.9", "ts": str(ASSIGNED_AT), "id": "", "split": "s3", "phase": "2", "variant": "test"}
    row = read(
        **said, assigned_at=str(ASSIGNED_AT), release="", source="beacon", stood_in="true", dims='{"plan":"pro"}'
    )
    assert (row.value, row.ts, row.split, row.phase, row.release) == (19.9, ASSIGNED_AT, "s3", 2, None)
    assert (row.source, row.stood_in, row.dims) == ("beacon", True, '{"plan":"pro"}')


def test_a_time_may_be_iso_8601_and_as_old_as_it_likes() -> None:
    assert read(ts="1999-12-31T23:00:00+01:00").ts == 946_677_600_000
    assert read(ts=0).ts == 0


def test_an_exposure_is_the_proxys_and_needs_its_split() -> None:
    exposed = read(name="$exposure", split="s1", phase=1, variant="test", assigned_at=ASSIGNED_AT, source="import")
    assert (exposed.name, exposed.source) == ("$exposure", "edge")
    with pytest.raises(RowRefused, match="needs its split"):
        read(name="$exposure")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"visitor": "me@example.com"}, Reason.VISITOR),
        ({"visitor": 7}, Reason.VISITOR),
        ({"name": "$other"}, Reason.NAME),
        ({"name": "x" * 65}, Reason.NAME),
        ({"name": None}, Reason.NAME),
        *(({"value": value}, Reason.VALUE) for value in VALUES),
        *(({"ts": ts}, Reason.TIME) for ts in TIMES),
        ({"ts": NOW + 600_000}, Reason.FUTURE),
        ({"id": "a b"}, Reason.ID),
        ({"id": "x" * 65}, Reason.ID),
        ({"split": "17"}, Reason.FIELD),
        ({"split": "s1", "phase": 1, "variant": "Test", "assigned_at": 0}, Reason.FIELD),
        ({"source": "rumour"}, Reason.FIELD),
        ({"colour": "red"}, Reason.FIELD),
        ({"dims": "[]"}, Reason.DIMS),
        ({"dims": {"a": 1}}, Reason.DIMS),
    ],
)
def test_what_is_not_right_is_refused_with_its_reason(changes: dict[str, object], reason: Reason) -> None:
    with pytest.raises(RowRefused) as refused:
        read(**changes)
    assert refused.value.reason is reason


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(RowRefused):
        read_row([1], name="abcdefgh", number=1, now=NOW)
