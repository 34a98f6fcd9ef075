"""The page that begins a split, over HTTP: what it offers at first, and what it refuses before anything has begun."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.pages.test_acting import operator
from balancer.domain.app import BranchName
from platforms import probe_quickly
from running import app_files
from served import Served, served
from values import MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio
BLUE = BranchName("blue")
BOTH = {"branch:master": "yes", "branch:test": "yes"}


@pytest.fixture
async def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A platform with a shop of three live branches, whose ledger is away."""
    probe_quickly(monkeypatch)
    async with served(tmp_path) as made:
        work = await made.platform.create("shop")
        for branch in (MASTER, TEST, BLUE):
            await made.platform.push(work, app_files(branch), branch)
        yield made


async def test_of_many_branches_what_visitors_see_takes_part_at_first_and_nothing_is_begun_by_looking(
    on: Served,
) -> None:
    async with operator(on) as (client, _):
        page = (await client.get("/apps/shop/split/start")).text
        assert 'name="branch:master" value="yes" checked' in page
        assert 'name="branch:blue" value="yes">' in page
        answer = await client.get("/apps/shop/split/start", params=BOTH)
        assert (answer.status_code, "What will happen" in answer.text) == (200, True)
    assert await on.platform.registry.splits(SHOP) == ()


async def test_what_cannot_begin_is_refused_before_it_is_asked_for(on: Served) -> None:
    refused = {
        ("control", "blue"): "the control blue must be one of the branches of the split: master, test",
        ("decide_at", "2020-01-01"): "the decision is to be in the future",
        ("path", "checkout"): "must begin with /",
        ("branch:gone", "yes"): "shop has no live branch gone",
    }
    async with operator(on) as (client, _):
        for (name, text), said in refused.items():
            answer = await client.get("/apps/shop/split/start", params={**BOTH, name: text})
            assert answer.status_code in (404, 422), name
            assert said in answer.text
            assert "What will happen" not in answer.text


async def test_where_visitors_see_another_branch_by_now_that_is_said_and_nothing_has_begun(on: Served) -> None:
    async with operator(on) as (client, csrf):
        form = {"csrf": csrf, "served": "master", **BOTH}
        await on.platform.experiments.start(SHOP, {MASTER: 5000, BLUE: 5000}, MASTER)
        await on.platform.registry.conclude_split(SHOP, BLUE)
        answer = await client.post("/apps/shop/split/start", data=form)
        assert answer.status_code == 409
        assert "meanwhile visitors of shop see blue" in answer.text
        assert "blue takes no part" in answer.text
        assert len(await on.platform.registry.splits(SHOP)) == 1
        answer = await client.post("/apps/shop/split/start", data={**form, "served": "blue"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/apps/shop/split")
        said = (await client.get("/apps/shop/split/end")).text
        assert "does not say just now whether there is a verdict" in said
    assert (await on.platform.registry.split(SHOP)).phase.weights == {MASTER: 5000, TEST: 5000}
