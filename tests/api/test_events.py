"""Events sent to the API, on a platform whose proxy and clock are fake, and whose spool is real."""

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balancer.client import Client
from balancer.domain.entry import Batch, Reason
from balancer.services import acceptance
from balancer.services.acceptance import BODY_LIMIT_BYTES
from balancer.store import spool
from balancer.store.spool_lines import read_line
from balancer.wire.events import SentEventBody
from edge_lines import visitor
from served import Served, served

pytestmark = pytest.mark.anyio
ROUTE = "/api/apps/shop/events"
JSON, LINES = "application/json", "application/x-ndjson"


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Served]:
    """A platform with the shop."""
    async with served(tmp_path) as made:
        await made.create("shop")
        yield made


def event(number: int = 1, **fields: object) -> dict[str, Any]:
    return {"visitor": visitor(number), "name": "purchase", **fields}


async def post(
    on: Served, body: bytes, kind: str = JSON, encoding: str | None = None, route: str = ROUTE
) -> httpx.Response:
    headers = {"Content-Type": kind} | ({"Content-Encoding": encoding} if encoding else {})
    async with on.client() as client:
        return await client.post(route, content=body, headers=headers)


def spooled(on: Served) -> Batch:
    """Return all that is in the spool."""
    batch = Batch()
    for segment in sorted((on.platform.directory / "spool").glob("*.ndjson")):
        for line in segment.read_bytes().splitlines():
            read_line(line, batch)
    return batch


async def test_a_batch_is_on_the_disk_when_it_is_answered(on: Served) -> None:
    now = int(on.platform.clock().timestamp() * 1000)
    answer = await post(
        on, json.dumps([event(), event(2, value=-3, ts=now - 1, id="a", dims={"plan": "pro"})]).encode()
    )
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2, "refused": []})
    first, second = spooled(on).all_entries()
    assert (first.app, first.visitor, first.ts, first.value) == ("shop", visitor(1), now, None)
    assert (second.ts, second.value, second.id, second.dims) == (now - 1, -3, "a", '{"plan":"pro"}')


@pytest.mark.parametrize("encoding", [None, "identity", "gzip"])
@pytest.mark.parametrize("kind", [JSON, LINES, "application/JSON; charset=utf-8"])
async def test_lists_and_lines_packed_or_not_are_the_same(on: Served, kind: str, encoding: str | None) -> None:
    events = [event(number) for number in range(5)]
    body = b"\n".join(json.dumps(each).encode() for each in events) if kind == LINES else json.dumps(events).encode()
    answer = await post(on, gzip.compress(body) if encoding == "gzip" else body, kind, encoding)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 5)
    assert [entry.visitor for entry in spooled(on).all_entries()] == [visitor(number) for number in range(5)]


async def test_what_is_refused_is_told_with_its_place_and_counted_in_the_spool(on: Served) -> None:
    events = [event(), event(name=""), event(value="1"), event(value=1e308), event(2), 7]
    answer = await post(on, json.dumps(events).encode())
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 2
    assert [(each["index"], each["reason"]) for each in answer.json()["refused"]] == [
        (1, "name"), (2, "value"), (3, "value"), (5, "not JSON"),
    ]  # fmt: skip
    assert answer.json()["refused"][1]["message"] == "'1' is no number within ±10¹²"
    batch = spooled(on)
    assert len(batch.all_entries()) == 2
    assert batch.refused == {("shop", Reason.NAME): 1, ("shop", Reason.VALUE): 2, ("shop", Reason.NOT_JSON): 1}


async def test_an_empty_batch_leaves_nothing(on: Served) -> None:
    answer = await post(on, b"[]")
    assert (answer.status_code, answer.json()) == (202, {"accepted": 0, "refused": []})
    assert list((on.platform.directory / "spool").iterdir()) == []


@pytest.mark.parametrize(
    ("body", "kind", "encoding", "status", "error"),
    [
        (b"nonsense", JSON, None, 400, "body-unreadable"),
        (b"", JSON, None, 400, "body-unreadable"),
        (b"\xff\xfe", LINES, None, 400, "body-unreadable"),
        (b"[]", JSON, "gzip", 400, "body-unreadable"),
        (gzip.compress(b"[]")[:-5], JSON, "gzip", 400, "body-unreadable"),
        (gzip.compress(b"[]") + b"x", JSON, "gzip", 400, "body-unreadable"),
        (b"", JSON, "gzip", 400, "body-unreadable"),
        (b"[]", "text/plain", None, 415, "body-unsupported"),
        (b"[]", "", None, 415, "body-unsupported"),
        (b"[]", JSON, "br", 415, "body-unsupported"),
        (b"[" + b",".join([b"{}"] * 10_001) + b"]", JSON, None, 413, "body-too-large"),
        (b" " * (BODY_LIMIT_BYTES + 1), JSON, None, 413, "body-too-large"),
        (gzip.compress(b" " * (200 << 20), 1), JSON, "gzip", 413, "body-too-large"),
    ],
    ids=range(13),
)  # fmt: skip
async def test_a_body_that_cannot_be_taken_is_refused_as_a_whole(
    on: Served, body: bytes, kind: str, encoding: str | None, status: int, error: str
) -> None:
    answer = await post(on, body, kind, encoding)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert list((on.platform.directory / "spool").iterdir()) == []


async def test_an_unknown_app_and_a_missing_token_are_told(on: Served) -> None:
    body = json.dumps([event()]).encode()
    answer = await post(on, body, route="/api/apps/nope/events")
    assert (answer.status_code, answer.json()["error"]) == (404, "app-not-found")
    async with on.client("wrong") as client:
        assert (await client.post(ROUTE, content=body, headers={"Content-Type": JSON})).status_code == 401
    assert list((on.platform.directory / "spool").iterdir()) == []


async def test_a_spool_that_is_full_asks_to_try_again(on: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "LEAST_FREE_BYTES", 1 << 60)
    answer = await post(on, json.dumps([event()]).encode())
    assert (answer.status_code, answer.json()["error"]) == (503, "spool-full")
    assert int(answer.headers["Retry-After"]) > 0
    assert spooled(on).all_entries() == []


async def test_more_bodies_at_once_than_memory_is_meant_for_are_asked_to_try_again(
    on: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptance, "HELD_LIMIT_BYTES", 1000)
    body = json.dumps([event()] * 20).encode()
    answer = await post(on, body)
    assert (answer.status_code, answer.json()["error"]) == (503, "spool-full")
    for _ in range(5):  # what was held is given back, also where it was refused
        assert (await post(on, json.dumps([event()] * 5).encode())).status_code == 202


async def test_the_client_sends_typed_events(on: Served) -> None:
    def send() -> tuple[int, list[str]]:
        client = Client(on.url, on.token)
        nan = SentEventBody(visitor=visitor(1), name="a", value=float("nan"))
        answer = client.send_events("shop", [SentEventBody(visitor=visitor(1), name="a", ts=on.platform.clock()), nan])
        client.close()
        return answer.accepted, [refusal.reason for refusal in answer.refused]

    assert await asyncio.to_thread(send) == (1, ["value"])


async def test_many_senders_at_once_are_all_in_once(on: Served) -> None:
    bodies = [json.dumps([event(number, id=f"{number}-{n}") for n in range(50)]).encode() for number in range(40)]
    answers = await asyncio.gather(*(post(on, body) for body in bodies))
    assert {answer.status_code for answer in answers} == {202}
    ids = Counter(entry.id for entry in spooled(on).all_entries())
    assert ids == {f"{number}-{n}": 1 for number in range(40) for n in range(50)}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
EVENTS = st.lists(
    ANYTHING
    | st.fixed_dictionaries(
        {"visitor": st.just(visitor(1)) | ANYTHING, "name": st.just("a") | ANYTHING},
        optional={"value": ANYTHING, "ts": ANYTHING, "id": ANYTHING, "dims": ANYTHING, "more": ANYTHING},
    ),
    max_size=5,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sent=st.binary() | EVENTS,
    kind=st.sampled_from([JSON, LINES]) | st.text("abc/;=", max_size=20),
    encoding=st.sampled_from(["gzip", "identity", "br"]) | st.none(),
    pack=st.booleans(),
)
async def test_whatever_is_sent_it_is_never_a_500_and_each_event_is_accepted_or_refused(
    on: Served, sent: bytes | list[object], kind: str, encoding: str | None, pack: bool
) -> None:
    if isinstance(sent, bytes):
        body = sent
    elif kind == LINES:
        body = b"\n".join(json.dumps(item).encode() for item in sent)
    else:
        body = json.dumps(sent).encode()
    before = spooled(on)
    answer = await post(on, gzip.compress(body) if pack else body, kind, encoding)
    assert answer.status_code in (202, 400, 415)
    after = spooled(on)
    new = len(after.all_entries()) - len(before.all_entries()), after.refused.total() - before.refused.total()
    if answer.status_code == 202:
        assert new == (answer.json()["accepted"], len(answer.json()["refused"]))
        if isinstance(sent, list):
            assert sum(new) == len(sent)
    else:
        assert answer.json()["message"]
        assert new == (0, 0)
