"""Freezes: dates in the app's time zone, and deploys to the default branch that wait."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.domain.app import BranchName
from balancer.errors import AppNotFound, Frozen, InvalidInput, NotFound
from platforms import InProcess, app_files, in_process, probe_quickly
from running import Repository
from values import BLOG, MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio
TOKYO = 'timezone = "Asia/Tokyo"\n'


@pytest.fixture
async def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcess]:
    probe_quickly(monkeypatch)
    async with in_process(tmp_path) as made:
        yield made


@pytest.fixture
async def work(platform: InProcess) -> Repository:
    """A developer's repository of the shop, whose default branch is live."""
    made = await platform.create()
    await platform.push(made, app_files("one", **{"balancer.toml": TOKYO}))
    return made


async def freeze(platform: InProcess, **since: str) -> None:
    """Freeze the shop for a day from now on."""
    until = platform.clock.now + timedelta(days=1)
    await platform.freezes.add(SHOP, since.get("since"), until.isoformat(), "Christmas")


async def test_dates_are_those_of_the_app_and_a_date_that_ends_it_belongs_to_it(
    platform: InProcess, work: Repository
) -> None:
    mine = await platform.freezes.add(SHOP, "2026-12-20", "2027-01-02", "Christmas")
    assert mine.since.isoformat() == "2026-12-19T15:00:00+00:00"
    assert mine.until.isoformat() == "2027-01-02T15:00:00+00:00"
    everybodys = await platform.freezes.add(None, "2026-12-20T18:00", "2026-12-21T08:00+00:00", "the fair")
    assert everybodys.since.isoformat() == "2026-12-20T17:00:00+00:00", "in Vienna, where the platform is"
    assert everybodys.until.isoformat() == "2026-12-21T08:00:00+00:00"
    now = await platform.freezes.add(SHOP, None, "2026-03-02", "from now on")
    assert now.since == platform.clock.now
    assert await platform.freezes.every() == (now, mine, everybodys)
    await platform.freezes.remove(mine.number)
    with pytest.raises(NotFound):
        await platform.freezes.remove(mine.number)


async def test_what_makes_no_freeze_is_refused(platform: InProcess, work: Repository) -> None:
    with pytest.raises(InvalidInput, match="'soon' is no date"):
        await platform.freezes.add(SHOP, "soon", "2027-01-02", "Christmas")
    with pytest.raises(InvalidInput, match="is to end in the future, and 2025-12-31T00:00"):
        await platform.freezes.add(None, "2025-12-20", "2025-12-30", "Christmas")
    with pytest.raises(InvalidInput, match="within a year"):
        await platform.freezes.add(SHOP, "2026-12-20", "2028-01-02", "Christmas")
    with pytest.raises(AppNotFound):
        await platform.freezes.add(BLOG, None, "2027-01-02", "Christmas")


async def test_a_push_to_the_default_branch_is_refused_until_the_freeze_is_over(
    platform: InProcess, work: Repository
) -> None:
    await freeze(platform)
    with pytest.raises(Frozen) as refused:
        await platform.push(work, app_files("two"))
    message = str(refused.value)
    assert "a freeze until 2026-03-02T21:00+09:00 (Christmas)" in message
    assert "git push -o during-freeze" in message
    live = await platform.live()
    assert live is not None
    assert (live.number, await platform.page(live), await platform.states()) == (1, "one", {1: "live"})
    platform.clock.advance(86_400)
    assert (await platform.push(work, app_files("two"))).number == 2


async def test_an_emergency_goes_through(platform: InProcess, work: Repository) -> None:
    await freeze(platform)
    commit = platform.commit(work, app_files("two"))
    release = await platform.deploys.push(
        SHOP, MASTER, commit, await platform.live_commit(), platform.told.append, during_freeze=True
    )
    assert await platform.page(release) == "two"


async def test_code_that_comes_otherwise_is_refused_too(platform: InProcess, work: Repository) -> None:
    await freeze(platform)

    async def make(parent: object) -> object:
        raise AssertionError("nothing is fetched")

    with pytest.raises(Frozen):
        await platform.deploys.bring(SHOP, MASTER, make, platform.told.append)  # type: ignore[arg-type]


async def test_other_branches_and_rollbacks_and_restarts_stay_possible(platform: InProcess, work: Repository) -> None:
    await platform.push(work, app_files("two"))
    await freeze(platform)
    await platform.push(work, app_files("three"), "test")
    assert await platform.live(TEST) is not None
    release = await platform.rollbacks.rollback(SHOP, None, None, platform.told.append)
    assert await platform.page(release) == "one"
    await platform.formations.restart(SHOP, MASTER, None, platform.told.append)


async def test_an_app_that_was_never_live_and_one_that_is_not_frozen_are_pushed(
    platform: InProcess, work: Repository
) -> None:
    await platform.freezes.add(None, None, "2026-03-02", "the fair")
    other = await platform.create("blog")
    await platform.push(other, app_files("first"), app=BLOG)
    with pytest.raises(Frozen):
        await platform.freezes.check(BLOG, BranchName("master"), during_freeze=False)
    for each in await platform.freezes.every():
        await platform.freezes.remove(each.number)
    await freeze(platform)
    await platform.push(other, app_files("second"), app=BLOG)


EXPERIMENT = {"balancer.toml": 'rollout = { mode = "experiment", metric = "purchase" }\n'}
CANARY_MODE = {"balancer.toml": 'rollout = "canary"\n'}


async def test_no_experiment_begins_by_itself_in_a_freeze_and_the_branch_is_live_all_the_same(
    platform: InProcess, work: Repository
) -> None:
    await freeze(platform)
    await platform.push(work, app_files("two", **EXPERIMENT), "test")
    assert await platform.live(TEST) is not None
    assert await platform.registry.open_rollouts() == ()
    assert any("no experiment begins" in line and "there is a freeze until" in line for line in platform.told)


async def test_a_canary_of_an_emergency_begins_and_is_held_at_its_first_step(
    platform: InProcess, work: Repository
) -> None:
    await freeze(platform)
    commit = platform.commit(work, app_files("two", **CANARY_MODE))
    before = await platform.live_commit()
    await platform.deploys.push(SHOP, MASTER, commit, before, platform.told.append, during_freeze=True)
    (rollout,) = await platform.registry.open_rollouts()
    hold = await platform.rolling.hold(rollout)
    assert (rollout.step, hold.rule if hold else None) == (0, "freeze")
    (entry,) = await platform.registry.audit(SHOP, None, 10)
    assert (entry.who, entry.what) == ("the platform", "rollout start")
    assert entry.summary == "branch canary, to 1 %: release 2 was pushed"
