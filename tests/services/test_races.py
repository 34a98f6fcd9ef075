"""Races of one app: a push, a rollout's own step, an operator's command and a rollback that meet each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from balancer.domain.app import BranchName
from balancer.domain.bandit import BanditPlan
from balancer.domain.bandit_decision import BanditAction, BanditWhat
from balancer.domain.calendar import TimeZone
from balancer.domain.notice import NoticeKind
from balancer.domain.push_mode import Mode
from balancer.domain.rollout import Plan, Rollout, RolloutState
from balancer.domain.rollout_decision import Action, What
from balancer.domain.split import CANARY
from balancer.errors import Conflict, Frozen
from balancer.services.reports import Reports
from balancer.store.ledger_client import LedgerClient
from platforms import InProcess, app_files, in_process, probe_quickly
from running import Repository
from services.test_push_modes import canary, experiment, refs, roll_back, rollout
from values import MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio
VIENNA = TimeZone("Europe/Vienna")
PROMOTE = Action(what=What.PROMOTE, rule="promoted", reason="it is fine")


@pytest.fixture
async def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcess]:
    probe_quickly(monkeypatch)
    async with in_process(tmp_path) as made, made.reconciling():
        yield made


@pytest.fixture
async def shop(platform: InProcess) -> Repository:
    """A shop whose default branch is live, and test beside it."""
    made = await platform.create()
    await platform.push(made, app_files("one"))
    await platform.push(made, app_files("blue"), "test")
    made.git("checkout", "--quiet", "master")
    platform.told.clear()
    return made


def just_before(
    monkeypatch: pytest.MonkeyPatch, owner: object, verb: str, happens: Callable[[], Awaitable[object]]
) -> None:
    """Let something happen once, right before a method of `owner` is called."""
    original, left = getattr(owner, verb), [happens]

    async def late(*args: Any, **kwargs: Any) -> Any:
        if left:
            await left.pop()()
        return await original(*args, **kwargs)

    monkeypatch.setattr(owner, verb, late)


async def win(platform: InProcess) -> Rollout:
    """Give everybody the branch of the rollout that goes on; the default branch has not its release yet."""
    (before,) = await platform.registry.open_rollouts()
    return await platform.rolling._acts.win(before, None, PROMOTE)


class TestPromotion:
    """A promotion that several want to finish."""

    async def test_an_operator_is_not_told_of_a_failure_where_the_look_has_finished_it(
        self, platform: InProcess, shop: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await platform.rolling.start(SHOP, TEST, Plan())

        async def look() -> None:
            (promoting,) = await platform.registry.open_rollouts()
            await platform.rolling.look(promoting)

        just_before(monkeypatch, platform.promotions, "promote", look)
        done = await platform.rolling.promote(SHOP, platform.told.append)
        assert done == await rollout(platform)
        assert done.state is RolloutState.DONE
        assert [each.kind for each in platform.teller.told].count(NoticeKind.ROLLOUT_ENDED) == 1

    async def test_nor_is_one_of_a_bandit(
        self, platform: InProcess, shop: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ledger = LedgerClient(platform.directory / "run" / "ledger.sock")
        bandits = platform.bandits(Reports(platform.registry, ledger, platform.clock, VIENNA), ledger)
        await bandits.start(SHOP, (TEST,), BanditPlan(metric="purchase"))

        async def look() -> None:
            (promoting,) = await platform.registry.open_bandits()
            await bandits.look(promoting)

        just_before(monkeypatch, platform.promotions, "promote", look)
        done = await bandits.promote(SHOP, TEST, platform.told.append)
        assert done == await platform.registry.bandit(SHOP)
        assert done.state is RolloutState.DONE

    @pytest.mark.parametrize("what", ["split", "rollout", "experiment"])
    async def test_nothing_takes_a_canary_that_everybody_sees_for_its_control(
        self, platform: InProcess, shop: Repository, what: str
    ) -> None:
        pushed = await platform.push(shop, canary("two"))
        await win(platform)
        if what == "split":
            with pytest.raises(Conflict, match=f"release {pushed.number} of shop has just been promoted"):
                await platform.experiments.start(SHOP, {CANARY: 5000, TEST: 5000}, None)
        elif what == "rollout":
            with pytest.raises(Conflict, match="has just been promoted"):
                await platform.rolling.start(SHOP, TEST, Plan())
        else:
            await platform.push(shop, experiment("green"), "test")
            assert "the rollout of canary is promoting" in " ".join(platform.told)
        assert (await refs(platform))["master"] == pushed.commit
        await platform.rolling._acts.finish(await rollout(platform), platform.told.append)
        assert await platform.live_commit() == pushed.commit
        assert await platform.live(CANARY) is None

    async def test_an_experiment_that_is_pushed_meanwhile_is_live_at_its_own_address(
        self, platform: InProcess, shop: Repository
    ) -> None:
        await platform.rolling.start(SHOP, TEST, Plan())
        await win(platform)
        pushed = await platform.push(shop, experiment("green"), "green")
        assert await platform.live(pushed.branch) == pushed
        assert "the rollout of test is promoting" in " ".join(platform.told)

    async def test_a_canary_that_is_promoted_while_the_next_one_begins_is_not_mistaken_for_that(
        self, platform: InProcess, shop: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = await platform.push(shop, canary("two"))
        just_before(monkeypatch, platform.expectations, "visitors", lambda: win(platform))
        with pytest.raises(Conflict, match=f"release {first.number} of shop has just been promoted"):
            await platform.push(shop, canary("three"))
        assert await platform.live(CANARY) == first
        await platform.rolling.look(await rollout(platform))
        assert await platform.live_commit() == first.commit

    async def test_a_rollback_to_a_release_by_its_number_ends_it_with_its_ref(
        self, platform: InProcess, shop: Repository
    ) -> None:
        await platform.push(shop, app_files("two"))
        await platform.push(shop, canary("three"))
        await win(platform)
        first = await platform.rollbacks.rollback(SHOP, None, 1, platform.told.append)
        assert await platform.live(CANARY) is None
        found = await refs(platform)
        assert (found["master"], "canary" in found) == (first.commit, False)
        await platform.rolling.look(await rollout(platform))
        assert await platform.live_commit() == first.commit


class TestPush:
    """A push, and what happens while it is on its way."""

    async def test_nobody_is_told_that_it_ended_a_rollout_that_was_rolled_back_just_before(
        self, platform: InProcess, shop: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await platform.push(shop, canary("two"))
        just_before(monkeypatch, platform.registry, "activate", lambda: roll_back(platform))
        await platform.push(shop, canary("three"), asked=Mode.NONE)
        assert (await rollout(platform)).state is RolloutState.ROLLED_BACK
        assert NoticeKind.ROLLOUT_ENDED not in [each.kind for each in platform.teller.told]

    async def test_it_is_no_canary_of_a_branch_that_became_the_default_one_meanwhile(
        self, platform: InProcess, shop: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        modes = platform.deploys._modes
        just_before(monkeypatch, modes, "go_live", lambda: platform.branches.set_default(SHOP, TEST))
        with pytest.raises(Conflict, match="the default branch of shop is test by now"):
            await platform.push(shop, canary("two"))
        assert await platform.live(CANARY) is None
        assert (await platform.registry.snapshot()).splits == ()

    async def test_it_does_not_go_live_in_a_freeze_that_began_while_it_was_built(
        self, platform: InProcess, shop: Repository
    ) -> None:
        before = await platform.live()
        await platform.freezes.add(SHOP, "2026-03-02", "2026-03-03", "stocktaking")

        def tell(line: str) -> None:
            platform.told.append(line)
            if "Building" in line:
                platform.clock.advance(86_400)

        commit = platform.commit(shop, app_files("two"))
        with pytest.raises(Frozen, match="stocktaking"):
            await platform.deploys.push(SHOP, MASTER, commit, (await platform.refs.wanted(SHOP))[MASTER], tell)
        assert await platform.live() == before


class TestLeftBehind:
    """A split that nobody steers any more."""

    async def test_a_canary_takes_the_place_of_what_a_bandit_has_left(
        self, platform: InProcess, shop: Repository
    ) -> None:
        ledger = LedgerClient(platform.directory / "run" / "ledger.sock")
        bandits = platform.bandits(Reports(platform.registry, ledger, platform.clock, VIENNA), ledger)
        bandit = await bandits.start(SHOP, (TEST,), BanditPlan(metric="purchase"))
        split = await platform.registry.split(SHOP)
        watch = bandits._acts.watch(bandit)
        sight = await bandits._figures.of(bandit, split, await platform.registry.snapshot(), watch)
        out = BanditAction(
            what=BanditWhat.ROLL_BACK,
            rule="hard stop",
            reason="it broke",
            weights=(("master", 10_000), ("test", 0)),
            out=(("test", "it broke"),),
        )
        await bandits._acts.carry_out(bandit, watch, sight, out, None)
        assert (await platform.registry.bandit(SHOP)).state is RolloutState.ROLLED_BACK
        pushed = await platform.push(shop, canary("two"))
        assert pushed.branch == BranchName("canary")
        assert (await rollout(platform)).split == "s2"
