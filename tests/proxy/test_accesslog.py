"""What a line of the edge log says, and that no line can hurt."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.entry import ERROR, EXPOSURE, SLOW, Batch, Entry, Reason
from balancer.domain.event import VALUE_LIMIT, EventSource
from balancer.domain.split import SplitId
from balancer.proxy.accesslog import EVENT_TOO_LONG, EVENTS_LIMIT, read_line
from edge_lines import ASSIGNED_AT, cookie, line, visitor

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def read(*lines: bytes) -> Batch:
    batch = Batch()
    for each in lines:
        read_line(each, batch)
    return batch


def said(batch: Batch) -> list[tuple[str, float | None, str | None]]:
    return [(entry.name, entry.value, entry.id) for entry in batch.entries]


def reasons(batch: Batch) -> dict[str, int]:
    assert {app for app, _ in batch.refused} <= {"shop"}
    return {reason.value: n for (_, reason), n in batch.refused.items()}


def test_an_entry_has_everything_that_the_line_tells() -> None:
    batch = read(line(event="purchase=19.99;id=o-1", t=ASSIGNED_AT + 7))
    assert batch.entries == [
        Entry(
            app="shop",
            split=SplitId("s1"),
            variant="test",
            phase=1,
            visitor=visitor(1),
            assigned_at=ASSIGNED_AT,
            ts=ASSIGNED_AT + 7,
            name="purchase",
            value=19.99,
            id="o-1",
            source=EventSource.HEADER,
            release=3,
            stood_in=False,
        )
    ]
    assert not batch.refused


def test_an_exposure_is_an_entry_of_the_edge() -> None:
    (entry,) = read(line(exposed="1")).entries
    assert (entry.name, entry.source, entry.value) == (EXPOSURE, EventSource.EDGE, 3.0)


@pytest.mark.parametrize(("ms", "value"), [(0, 0.0), (12_345, 12_345.0), (-1, None), (10**13, None)])
def test_exposures_and_errors_say_how_long_the_answer_took_where_it_is_known(ms: int, value: float | None) -> None:
    assert [entry.value for entry in read(line(exposed="1", status=500, ms=ms)).entries] == [value, value]


def test_an_exposure_has_its_dimensions_and_what_is_beside_it_none() -> None:
    exposure, event = read(line(exposed="1", about="mobile;AT;pricing;plan=pro", event="a")).entries
    assert exposure.dims == '{"country":"AT","device":"mobile","path":"/pricing","plan":"pro"}'
    assert event.dims is None


@pytest.mark.parametrize(("status", "errors"), [(499, 0), (500, 1), (503, 1), (-1, 0)])
def test_a_failure_of_an_assigned_visitor_is_an_entry(status: int, errors: int) -> None:
    assert [entry.name for entry in read(line(status=status)).entries] == [ERROR] * errors


@pytest.mark.parametrize(("slow", "values"), [("-", []), ("812", [812.0]), ("-3", [None]), ("9" * 400, [None])])
def test_a_slow_answer_is_an_entry_that_says_after_how_long_it_began(slow: str, values: list[float | None]) -> None:
    found = read(line(slow=slow, exposed="0", ms=9000)).entries
    assert [(entry.name, entry.value, entry.source) for entry in found] == [
        (SLOW, value, EventSource.EDGE) for value in values
    ]


def test_one_line_gives_exposure_error_and_events_together() -> None:
    batch = read(line(exposed="1", status=502, slow="900", event="a", body='[{"name": "b"}, {"name": "c"}]'))
    assert [entry.name for entry in batch.entries] == [EXPOSURE, ERROR, SLOW, "a", "b", "c"]
    assert [entry.source.value for entry in batch.entries] == ["edge", "edge", "edge", "header", "beacon", "beacon"]


def test_on_the_fast_path_the_backend_tells_the_app() -> None:
    (entry,) = read(line(app="-", backend="feat-x-1a2b3c4d--my-shop", event="a")).entries
    assert entry.app == "my-shop"


@pytest.mark.parametrize(
    ("served", "release", "stood_in"),
    [
        ("test--shop/r3-i4", 3, False),
        ("test--shop/backup.r12-i9", 12, True),
        ("master--shop/r12-i9", 12, True),
        ("window.3/previous.r12-i9", 12, False),
        ("web/<NOSRV>", None, False),
        ("web/r9999999999999999999-i1", None, False),
    ],
)
def test_the_server_tells_the_release_and_whether_another_branch_stood_in(
    served: str, release: int | None, stood_in: bool
) -> None:
    (entry,) = read(line(served=served, event="a")).entries
    assert (entry.release, entry.stood_in) == (release, stood_in)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("signup", [("signup", None, None)]),
        ("purchase=19.99, signup", [("purchase", 19.99, None), ("signup", None, None)]),
        ("a=-1,b=+2.5e1 ,c=3.", [("a", -1.0, None), ("b", 25.0, None), ("c", 3.0, None)]),
        (" a = 1 ; id = x.1 ,, b;id=y,", [("a", 1.0, "x.1"), ("b", None, "y")]),
        ("a=1000000000000", [("a", 1e12, None)]),
    ],
)
def test_a_header_holds_events_separated_by_commas(
    header: str, expected: list[tuple[str, float | None, str | None]]
) -> None:
    batch = read(line(event=header))
    assert said(batch) == expected
    assert not batch.refused


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("1st", "name"),
        ("$exposure", "name"),
        ("käse", "name"),
        ("a b", "name"),
        ("=3", "name"),
        ("n" * 65, "name"),
        ("a=", "value"),
        ("a=nan", "value"),
        ("a=inf", "value"),
        ("a=1_000", "value"),
        ("a=1e308", "value"),
        ("a=1e999", "value"),
        ("a=1000000000001", "value"),
        ("a=١", "value"),
        ("a=1=2", "value"),
        ("a;id=", "id"),
        ("a;id=with space", "id"),
        ("a;id=" + "x" * 65, "id"),
        ("a;colour=red", "id"),
    ],
)
def test_a_bad_event_in_a_header_is_refused_alone(header: str, reason: str) -> None:
    batch = read(line(event=f"good, {header}, better=1"))
    assert said(batch) == [("good", None, None), ("better", 1.0, None)]
    assert reasons(batch) == {reason: 1}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ('{"name": "a"}', ("a", None, None)),
        ('{"name": "a", "value": null, "id": null}', ("a", None, None)),
        ('{"name": "a", "value": 3, "id": "x", "colour": ["red"]}', ("a", 3.0, "x")),
        ('{"name": "a", "value": -2.5}', ("a", -2.5, None)),
    ],
)
def test_a_beacon_is_one_object_or_a_list_of_them(item: str, expected: tuple[str, float | None, str | None]) -> None:
    assert said(read(line(body=item))) == [expected]
    assert said(read(line(body=f" [{item}, {item}]"))) == [expected, expected]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("{}", "name"),
        ('{"name": 3}', "name"),
        ('{"name": "$error"}', "name"),
        ('{"name": "a", "value": "3"}', "value"),
        ('{"name": "a", "value": true}', "value"),
        ('{"name": "a", "value": 1e308}', "value"),
        ('{"name": "a", "value": -1000000000001}', "value"),
        ('{"name": "a", "value": ' + "9" * 400 + "}", "value"),
        ('{"name": "a", "value": 1e400}', "not JSON"),
        ('{"name": "a", "value": ' + "9" * 5000 + "}", "not JSON"),
        ('{"name": "a", "id": 7}', "id"),
        ('{"name": "a", "id": ""}', "id"),
        ('"a"', "not JSON"),
        ("[]", "not JSON"),
    ],
)
def test_a_bad_event_in_a_beacon_is_refused_alone(item: str, reason: str) -> None:
    batch = read(line(body=f'[{{"name": "good"}}, {item}, {{"name": "better"}}]'))
    assert [name for name, _, _ in said(batch)] == ["good", "better"]
    assert reasons(batch) == {reason: 1}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "nonsense",
        "NaN",
        '{"name": "a", "value": NaN}',
        '[{"name": "a", "value": Infinity}]',
        '{"name": "a"',
        '{"name": "a"} {"name": "b"}',
        "[" * 5000 + "]" * 5000,
        '{"name":' * 5000,
        '[{"name": "a"}, {"name": "\\ud800"}]',  # half of a surrogate pair
    ],
)
def test_a_beacon_that_is_no_json_is_one_refusal(body: str) -> None:
    batch = read(line(body=body))
    assert not batch.entries
    assert reasons(batch) == {"not JSON": 1}


def test_what_is_beyond_a_hundred_events_of_a_request_is_refused() -> None:
    many = json.dumps([{"name": "a"}] * (EVENTS_LIMIT + 2))
    assert (len(read(line(body=many)).entries), reasons(read(line(body=many)))) == (100, {"too many": 2})
    header = ",".join(["a"] * (EVENTS_LIMIT + 3))
    assert (len(read(line(event=header)).entries), reasons(read(line(event=header)))) == (100, {"too many": 3})
    assert reasons(read(line(event=EVENT_TOO_LONG))) == {"too many": 1}


@pytest.mark.parametrize(
    "of_nobody",
    [
        "-",
        "",
        "nonsense",
        cookie(1).replace("s1", "s0"),
        cookie(1).replace("s1", "s99999"),
        cookie(1).upper(),
        cookie(1) + ".more",
        cookie(1, phase=100_000),
        cookie(1, assigned_at=17),
    ],
)
def test_events_of_nobody_are_refused(of_nobody: str) -> None:
    batch = read(line(cookie=of_nobody, event="a, b=1, c=x", body='{"name": "d"}', status=500))
    assert not batch.entries
    assert reasons(batch) == {"no visitor": 3, "value": 1}


@pytest.mark.parametrize(
    "torn",
    [
        b"",
        b"\x00" * 50,
        b"[NOTICE]   (71) : haproxy version is 2.6.12",
        b"Proxy web stopped (cumulated conns: FE: 6, BE: 0).",
        line(event="a")[:-1],
        line(event="a")[5:],
        line(event="a") + line(event="b"),
        line(t="yesterday"),
        line(t=0),
        line(t=-1),
        line(t=10**20),
        line(t=None),
        line(n=-1),
        line(n="1"),
        line(p=2**40),
        line(status="200"),
        line(event=None),
        line(event=["a"]),
        line(event="a").replace(b'"a"', b'"\xff"'),
        b"[" * 100_000,
        b'{"t":1,"more":' + b"[" * 100_000,
        b'{"t":' + b"9" * 10_000 + b"}",
        b"x" * 1_000_000,
    ],
)
def test_a_line_that_is_none_is_counted_and_nothing_more(torn: bytes) -> None:
    batch = read(line(event="before"), torn, line(event="after"))
    assert [entry.name for entry in batch.entries] == ["before", "after"]
    assert dict(batch.refused) == {("-", Reason.NOT_A_LINE): 1}


@pytest.mark.parametrize(("app", "backend"), [("-", "-"), ("-", "web"), ("no app", "-"), ("", "a--b")])
def test_a_line_that_tells_no_app_is_counted_so(app: str, backend: str) -> None:
    assert dict(read(line(app=app, backend=backend, event="a")).refused) == {("-", Reason.NO_APP): 1}


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_raise(anything: bytes) -> None:
    read(anything)


@given(st.dictionaries(st.sampled_from(list(json.loads(line()))), JSON))
def test_no_field_makes_the_reader_raise(fields: dict[str, object]) -> None:
    check(read(line(**fields)))


@given(st.text(max_size=200) | JSON.map(json.dumps), st.text(alphabet="a1.,;=id -+e", max_size=60))
def test_no_event_makes_the_reader_raise(body: str, header: str) -> None:
    check(read(line(body=body, event=header)))


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=200))
def test_a_line_that_is_cut_or_damaged_anywhere_never_makes_the_reader_raise(at: int, byte: int) -> None:
    whole = bytearray(line(event="a=1;id=x", body='[{"name": "b"}]', exposed="1"))
    read(bytes(whole[: at % len(whole)]))
    whole[at % len(whole)] = byte
    check(read(bytes(whole)))


def check(batch: Batch) -> None:
    """Assert that the engine can take in every entry."""
    for entry in batch.entries:
        assert 0 < entry.ts < 2**53
        assert entry.value is None or abs(entry.value) <= VALUE_LIMIT
        assert entry.id is None or 1 <= len(entry.id) <= 64
        assert entry.name.isascii()
        assert 0 <= entry.phase < 100_000


def test_a_line_has_its_number_noted_also_where_all_it_says_is_refused() -> None:
    batch = read(
        line(n=0, p=7, event="a"), line(n=1, p=7, t=0), line(n=2, p=7, app="no app"), line(n=3, p=7, cookie="-")
    )
    assert (batch.expected, batch.lost) == ({7: 4}, 0)


def test_a_line_without_a_number_is_read_and_misses_nothing() -> None:
    whole = json.loads(line(event="a"))
    del whole["n"], whole["p"]
    batch = read(json.dumps(whole).encode())
    assert (len(batch.entries), batch.expected, batch.lost) == (1, {}, 0)


def test_a_smaller_number_is_of_a_new_worker_with_the_pid_of_an_old_one() -> None:
    batch = read(*[line(n=number, p=7) for number in (0, 1, 2, 0, 1, 5, 3)])
    assert (batch.expected, batch.lost) == ({7: 4}, 3 + 3)


def test_what_was_known_before_is_gone_on_from_and_left_as_it_is() -> None:
    batch = Batch(expected_before={7: 10, 8: 20})
    for each in (line(n=12, p=7), line(n=13, p=7), line(n=0, p=9)):
        read_line(each, batch)
    assert (batch.expected_before, batch.expected, batch.lost) == ({7: 10, 8: 20}, {7: 14, 9: 1}, 2)


@given(st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=60), st.integers(0, 60))
def test_of_lines_in_any_order_of_workers_those_before_the_last_that_came_are_counted_exactly(
    written: list[tuple[int, bool]], cut: int
) -> None:
    """Each worker writes its own numbers, some are lost, and the reading is broken off somewhere and gone on with."""
    given_out: dict[int, int] = {}
    lost_since: dict[int, int] = {}
    came: list[bytes] = []
    lost = 0
    for worker, comes in written:
        number = given_out.get(worker, 0)
        given_out[worker] = number + 1
        if comes:
            came.append(line(n=number, p=worker))
            lost += lost_since.pop(worker, 0)
        else:
            lost_since[worker] = lost_since.get(worker, 0) + 1
    first = read(*came[:cut])
    second = Batch(expected_before=first.expected)
    for each in came[cut:]:
        read_line(each, second)
    assert first.lost + second.lost == lost
