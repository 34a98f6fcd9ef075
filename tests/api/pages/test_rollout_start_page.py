"""The page that begins a rollout, over HTTP: beside what a rollout before has left, and without a ledger."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from api.pages.test_acting import operator
from balancer.domain.rollout import Plan, RolloutState
from platforms import probe_quickly
from running import app_files
from served import Served, served
from values import MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio
ASKED = {"branch": "test", "steps": "10,50,100", "step_time": "1h"}


@pytest.fixture
async def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A platform with a shop of two live branches, whose ledger is away."""
    probe_quickly(monkeypatch)
    async with served(tmp_path) as made:
        work = await made.platform.create("shop")
        for branch in (MASTER, TEST):
            await made.platform.push(work, app_files(branch), branch)
        yield made


async def test_without_a_ledger_a_rollout_begins_and_that_there_is_no_plan_is_said(on: Served) -> None:
    await on.platform.experiments.start(SHOP, {MASTER: 5000, TEST: 5000}, MASTER)
    await on.platform.experiments.cancel(SHOP)
    async with operator(on) as (client, csrf):
        page = (await client.get("/apps/shop/rollout/start", params=ASKED)).text
        assert "Nobody knows just now: the ledger" in page
        answer = await client.post("/apps/shop/rollout/start", data={"csrf": csrf, "served": "test", **ASKED})
        assert (answer.status_code, "meanwhile visitors of shop see master" in answer.text) == (409, True)
        answer = await client.post("/apps/shop/rollout/start", data={"csrf": csrf, "served": "master", **ASKED})
        assert (answer.status_code, answer.headers["location"]) == (303, "/apps/shop")
        answer = await client.post("/apps/shop/rollout/start", data={"csrf": csrf, "served": "master", **ASKED})
        assert (answer.status_code, "a rollout of shop goes on" in answer.text) == (409, True)
        assert (await client.get("/apps/shop/rollout/vanish")).status_code == 404
    rollout = await on.platform.registry.rollout(SHOP)
    assert (rollout.branch, rollout.plan) == (TEST, Plan(steps=(1000, 5000, 10_000), step_seconds=3600))


async def test_the_split_that_a_stopped_rollout_has_left_is_in_the_way_of_a_split_but_of_no_rollout(
    on: Served,
) -> None:
    async with operator(on) as (client, csrf):
        answer = await client.post("/apps/shop/rollout/start", data={"csrf": csrf, "served": "master", **ASKED})
        before = await on.platform.registry.rollout(SHOP)
        assert "End the split…" not in (await client.get("/apps/shop")).text
        stopped = replace(before, state=RolloutState.ROLLED_BACK, reason="it did harm")
        await on.platform.registry.move_rollout(before, stopped, None)
        page = (await client.get("/apps/shop")).text
        assert "/apps/shop/split/end" in page
        assert "/apps/shop/rollout/start" in page
        assert (await client.get("/apps/shop/split/start")).status_code == 409
        assert (await client.get("/apps/shop/rollout/start")).status_code == 200
        answer = await client.post("/apps/shop/rollout/start", data={"csrf": csrf, "served": "master", **ASKED})
        assert answer.status_code == 303
    assert (await on.platform.registry.rollout(SHOP)).number == before.number + 1
