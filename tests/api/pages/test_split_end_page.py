"""The page that ends a split, over HTTP: only the split that it was of, whatever the ledger does."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.pages.test_acting import operator
from platforms import probe_quickly
from running import app_files
from served import Served, served
from values import MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio


@pytest.fixture
async def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A platform with a shop whose split runs, and whose ledger is away."""
    probe_quickly(monkeypatch)
    async with served(tmp_path) as made:
        work = await made.platform.create("shop")
        for branch in (MASTER, TEST):
            await made.platform.push(work, app_files(branch), branch)
        await made.platform.experiments.start(SHOP, {MASTER: 5000, TEST: 5000}, MASTER)
        yield made


async def test_a_split_is_ended_while_the_ledger_is_away_and_the_one_that_the_page_was_of(on: Served) -> None:
    async with operator(on) as (client, csrf):
        answer = await client.post("/apps/shop/split/cancel", data={"csrf": csrf, "split": "s7"})
        assert (answer.status_code, "the page was of another split" in answer.text) == (409, True)
        answer = await client.post("/apps/shop/split/conclude", data={"csrf": csrf, "split": "s1"})
        assert (answer.status_code, "say which branch everyone is to see" in answer.text) == (422, True)
        answer = await client.post("/apps/shop/split/vanish", data={"csrf": csrf, "split": "s1"})
        assert answer.status_code == 404
        assert (await on.platform.registry.split(SHOP)).ended_at is None
        answer = await client.post("/apps/shop/split/cancel", data={"csrf": csrf, "split": "s1"})
        assert answer.status_code == 303
        again = await client.post("/apps/shop/split/cancel", data={"csrf": csrf, "split": "s1"})
        assert (again.status_code, "no split of shop runs" in again.text) == (404, True)
    assert (await on.platform.registry.split(SHOP)).state.value == "cancelled"
