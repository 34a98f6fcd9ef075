"""What is noted of calls: who, what, and how it ended; over HTTP, and by real git."""

import asyncio
import hashlib
import hmac
import io
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.test_access import routes
from balancer.api.access import READING
from balancer.api.noting import _NOT_NOTED
from balancer.domain.audit_words import ACTS
from balancer.errors import DiskFull
from balancer.store import audit as stored
from platforms import app_files, probe_quickly
from served import Served, served
from waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A platform that is served, and asks its instances more often."""
    probe_quickly(monkeypatch)
    async with served(tmp_path) as made:
        yield made


async def noted(on: Served, **query: str) -> list[dict[str, Any]]:
    """Return the audit log, the newest first."""
    async with on.client() as client:
        found: list[dict[str, Any]] = (await client.get("/api/audit", params=query)).json()
    return found


async def call(on: Served, method: str, path: str, body: object = None) -> int:
    async with on.client() as client:
        return (await client.request(method, path, json=body)).status_code


def archive(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


def short(entry: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(entry[name]) for name in ("who", "what", "app", "summary", "outcome"))


async def test_a_change_is_there_as_soon_as_it_is_answered(on: Served) -> None:
    await call(on, "POST", "/api/apps", {"name": "shop", "default_branch": "master"})
    (entry,) = await noted(on)
    assert short(entry) == ("token operator", "POST /api/apps", "shop", "default_branch master", "done")
    assert entry["at"] == "2026-03-01T12:00:00Z"


async def test_reading_leaves_nothing(on: Served) -> None:
    await call(on, "GET", "/api/apps")
    await call(on, "GET", "/api/apps/nope")
    assert await noted(on) == []


async def test_what_is_refused_is_noted_with_the_error(on: Served) -> None:
    await call(on, "DELETE", "/api/apps/shop/split")
    await call(on, "POST", "/api/apps/shop/split", {"weights": {"master": 1, "test": "x"}})
    assert [(each["what"], each["outcome"]) for each in await noted(on)] == [
        ("POST /api/apps/{app}/split", "invalid-input"),
        ("DELETE /api/apps/{app}/split", "app-not-found"),
    ]


async def test_a_stream_is_noted_by_its_last_line(on: Served) -> None:
    await on.create("shop")
    assert await call(on, "POST", "/api/apps/shop/rollback", {}) == 200
    assert short((await noted(on))[0])[1:] == ("POST /api/apps/{app}/rollback", "shop", "", "branch-not-found")


async def test_values_of_config_vars_and_passwords_are_never_noted(on: Served) -> None:
    await on.create("shop")
    await call(on, "PATCH", "/api/apps/shop/config", {"config": {"KEY": "s3cret", "OLD": None}, "later": True})
    await call(on, "PUT", "/api/apps/shop/source", {"url": "https://s3cret:s3cret@git.example/shop.git?s3cret"})
    assert [each["summary"] for each in await noted(on)][:2] == [
        "url https://git.example/shop.git",
        "set KEY, unset OLD, later",
    ]
    assert b"s3cret" not in (on.platform.directory / "registry.db-wal").read_bytes()


async def test_no_visitor_is_noted(on: Served) -> None:
    await on.create("shop")
    visitor = "abcdefghijklmnopqrstuv"
    await call(on, "DELETE", f"/api/apps/shop/visitors/{visitor}")
    (entry, _) = await noted(on)
    assert entry["what"] == "DELETE /api/apps/{app}/visitors/{visitor}"
    assert visitor not in json.dumps(entry)


async def test_who_has_no_token_leaves_nothing(on: Served) -> None:
    async with on.client(token="wrong") as client:
        assert (await client.post("/api/apps", json={"name": "shop"})).status_code == 401
    assert await noted(on) == []


async def test_batches_of_events_are_not_changes(on: Served) -> None:
    await on.create("shop")
    assert await call(on, "POST", "/api/apps/shop/events", []) in (202, 422)
    assert [each["what"] for each in await noted(on)] == ["POST /api/apps"]


async def test_a_push_is_noted_for_each_branch(on: Served) -> None:
    work = await on.create("shop")
    commit = work.commit(app_files("one"), "master")
    await asyncio.to_thread(work.git, "push", "balancer", "master")
    assert short((await noted(on))[0]) == (
        "token operator",
        "git push",
        "shop",
        f"ref master, commit {commit[:10]}",
        "done",
    )


async def test_a_push_that_is_refused_is_noted_so(on: Served) -> None:
    work = await on.create("shop")
    work.commit({"Procfile": "release: exit 3\nweb: x\n"}, "master")
    await asyncio.to_thread(work.git, "push", "balancer", "master", check=False)
    assert (await noted(on))[0]["outcome"] == "build-failed"


async def test_a_fetch_is_no_change(on: Served) -> None:
    work = await on.create("shop")
    await asyncio.to_thread(work.git, "fetch", "balancer")
    assert [each["what"] for each in await noted(on)] == ["POST /api/apps"]


async def test_a_deploy_whose_caller_went_away_was_broken_off(on: Served) -> None:
    await on.create("shop")

    async def send() -> None:
        async with on.client() as client:
            body = archive({"Procfile": "release: sleep 100\nweb: x\n"})
            await client.post("/api/apps/shop/deploys/archive", content=body, params={"branch": "test"})

    async def builds() -> bool:
        return (await on.platform.states()).get(1) == "building"

    async def is_noted() -> bool:
        return short((await noted(on))[0])[3:] == ("branch test", "broken off")

    sending = asyncio.ensure_future(send())
    await eventually(builds, 30)
    sending.cancel()
    await eventually(is_noted, 30)


async def test_the_call_of_a_provider_is_noted_as_a_webhook(on: Served) -> None:
    await on.create("shop")
    async with on.client() as client:
        set_ = await client.put("/api/apps/shop/source", json={"url": "https://127.0.0.1:1/shop.git"})
        body = json.dumps({"ref": "refs/heads/master", "after": "c0ffee" + "0" * 34}).encode()
        signature = hmac.new(set_.json()["secret"].encode(), body, hashlib.sha256).hexdigest()
        headers = {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Event": "push"}
        assert (await client.post("/hooks/shop", content=body, headers=headers)).status_code == 202
        assert (await client.post("/hooks/shop", content=body)).status_code == 401
    # What came of it, a failed fetch, may be noted by now as well.
    (entry,) = [each for each in await noted(on) if each["who"] == "webhook"]
    assert short(entry) == ("webhook", "POST /hooks/{app}", "shop", "branch master, commit c0ffee0000", "begun")
    await on.platform.pulls.end()


async def test_it_is_asked_for_by_app_and_time_and_outlives_the_app(on: Served) -> None:
    await on.create("shop")
    await on.create("blog")
    on.platform.clock.advance(3600)
    await call(on, "DELETE", "/api/apps/shop")
    assert [each["what"] for each in await noted(on, app="shop")] == ["DELETE /api/apps/{app}", "POST /api/apps"]
    assert [each["app"] for each in await noted(on, since="30m")] == ["shop"]
    assert len(await noted(on, since="2026-03-01")) == 3
    assert len(await noted(on, limit="2")) == 2
    async with on.client() as client:
        assert (await client.get("/api/audit", params={"since": "soon"})).json()["error"] == "invalid-input"


async def test_an_entry_goes_after_a_year(on: Served) -> None:
    await call(on, "POST", "/api/apps", {"name": "shop"})
    on.platform.clock.advance(365 * 86_400 + 1)
    await call(on, "POST", "/api/apps", {"name": "blog"})
    assert [each["app"] for each in await noted(on)] == ["blog"]


async def test_what_cannot_be_noted_is_done_all_the_same(on: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise DiskFull

    monkeypatch.setattr(stored, "add", full)
    assert await call(on, "POST", "/api/apps", {"name": "shop"}) == 201


def test_every_route_that_changes_something_has_its_words() -> None:
    """A new one needs them in `domain/audit_words.py`, and what is noted of it then says so to people."""
    noted = {f"{method} {path}" for method, path in routes() if method not in READING} - _NOT_NOTED
    assert len(noted) > 70
    assert noted - {"POST /git/{app}/options", "POST /git/{app}/update"} <= ACTS.keys(), "those two are `git push`"


async def test_what_is_noted_is_told_in_words_too(on: Served) -> None:
    await on.create("shop")
    await call(on, "POST", "/api/apps/shop/rollback", {"branch": "master", "release": 7})
    (entry, created) = await noted(on)
    assert (created["what"], created["words"], created["rest"]) == ("POST /api/apps", "Created shop", "")
    assert (entry["what"], entry["words"]) == (
        "POST /api/apps/{app}/rollback",
        "Tried to roll back shop master to release 7",
    )
