"""Pushes that go live as canaries and experiments: with their rollout, or not at all; and what git says of them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.domain.app import AppMode, BranchName
from balancer.domain.manifest import WEB, Manifest, Source
from balancer.domain.notice import NoticeKind
from balancer.domain.push_mode import Mode, option
from balancer.domain.release import InstanceState, Release, ReleaseState
from balancer.domain.rollout import Plan, Rollout, RolloutState
from balancer.domain.rollout_decision import Action, What
from balancer.domain.split import CANARY, SplitState
from balancer.errors import (
    BranchInUse,
    Conflict,
    InvalidManifest,
    InvalidRollout,
    InvalidSplit,
    MetricNotFound,
    NotHealthy,
    RefMoved,
    ReleaseNotFound,
    RolloutNotFound,
)
from balancer.services.rollout_planning import RolloutWish
from balancer.stats.cells import EventNames, NamedEvents
from platforms import InProcess, app_files, in_process, probe_quickly
from running import Repository
from values import MASTER, SHOP, TEST
from waiting import eventually

pytestmark = pytest.mark.anyio
EVEN = {MASTER: 5000, TEST: 5000}
EXPERIMENT = 'rollout = {mode = "experiment", metric = "purchase"}\n'


@pytest.fixture
async def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcess]:
    probe_quickly(monkeypatch)
    async with in_process(tmp_path) as made, made.reconciling():
        yield made


@pytest.fixture
async def shop(platform: InProcess) -> Repository:
    """A shop whose default branch is live."""
    made = await platform.create()
    await platform.push(made, app_files("one"))
    platform.told.clear()
    return made


def canary(version: str, **files: str) -> dict[str, str]:
    return app_files(version, **{"balancer.toml": 'rollout = "canary"\n', **files})


def experiment(version: str) -> dict[str, str]:
    return app_files(version, **{"balancer.toml": EXPERIMENT})


async def refs(platform: InProcess) -> dict[str, str]:
    return {str(branch): str(commit) for branch, commit in (await platform.repositories.refs(SHOP)).items()}


async def rollout(platform: InProcess) -> Rollout:
    return await platform.registry.rollout(SHOP)


async def roll_back(platform: InProcess) -> Rollout:
    """Let the figures of the rollout that goes on say that it does harm."""
    (before,) = await platform.registry.open_rollouts()
    acts, action = platform.rolling._acts, Action(what=What.ROLL_BACK, rule="hard stop", reason="it broke")
    watch = acts.watch(before)
    seen = await platform.rolling._figures.of(
        before, await platform.registry.split(SHOP), await platform.registry.snapshot(), watch
    )
    await acts.carry_out(before, watch, seen, action, None)
    return await rollout(platform)


class TestCanary:
    """A push to the default branch that is given to a part of the visitors first."""

    async def test_it_is_live_beside_what_visitors_see_and_its_rollout_has_begun(
        self, platform: InProcess, shop: Repository
    ) -> None:
        control = await platform.live()
        pushed = await platform.push(shop, canary("two"))
        assert (pushed.branch, pushed.state) == (CANARY, ReleaseState.LIVE)
        assert await platform.live() == control, "the control is not touched"
        assert await platform.page(pushed) == "two"
        begun = await rollout(platform)
        assert (begun.branch, begun.state, begun.weight) == (CANARY, RolloutState.RUNNING, 100)
        assert (begun.plan.auto_promote, begun.plan.step_seconds) == (True, 120)
        split = await platform.registry.split(SHOP)
        assert (split.control, dict(split.phase.weights)) == (MASTER, {MASTER: 9900, CANARY: 100})
        assert split.brief.canary == CANARY
        assert platform.proxy.table.apps[0].split is not None

    async def test_whoever_pushes_is_told_what_goes_on_and_git_has_its_commit(
        self, platform: InProcess, shop: Repository
    ) -> None:
        pushed = await platform.push(shop, canary("two"))
        assert platform.told[-3:] == [
            "-----> Live",
            "       http://canary--shop.localhost:8080/",
            "       canary: 1 % of new visitors; watch with `balancer rollout status shop --watch`",
        ]
        assert await refs(platform) == {"master": pushed.commit, "canary": pushed.commit}
        await platform.refs.settle_at_start(SHOP)
        assert await refs(platform) == {"master": pushed.commit, "canary": pushed.commit}

    async def test_the_first_push_of_an_app_switches_at_once(self, platform: InProcess) -> None:
        work = await platform.create()
        pushed = await platform.push(work, canary("one"))
        assert pushed.branch == MASTER
        assert (await platform.registry.app(SHOP)).default_branch == MASTER
        assert (await platform.registry.snapshot()).splits == ()

    async def test_on_another_branch_it_is_just_live(self, platform: InProcess, shop: Repository) -> None:
        pushed = await platform.push(shop, canary("two"), "test")
        assert (pushed.branch, (await platform.registry.snapshot()).splits) == (TEST, ())

    async def test_the_table_of_the_manifest_says_its_steps(self, platform: InProcess, shop: Repository) -> None:
        table = '[rollout]\nmode = "canary"\nsteps = [20, 100]\nstep_time = "0s"\nauto_promote = false\n'
        pushed = await platform.push(shop, canary("two", **{"balancer.toml": table}))
        plan = (await rollout(platform)).plan
        assert (plan.steps, plan.step_seconds, plan.auto_promote) == ((2000, 10_000), 0, False)
        assert pushed.manifest is not None
        assert pushed.manifest.rollout.plan == plan

    async def test_promoted_it_is_the_default_branchs_release_and_its_own_branch_is_gone(
        self, platform: InProcess, shop: Repository
    ) -> None:
        before = await platform.live()
        pushed = await platform.push(shop, canary("two"))
        await platform.rolling.promote(SHOP, platform.told.append)
        master = await platform.live()
        assert master is not None
        assert before is not None
        assert (master.commit, master.tree) == (pushed.commit, pushed.tree)
        assert await platform.page(master) == "two"
        assert await platform.live(CANARY) is None
        app = await platform.registry.app(SHOP)
        assert (app.promoted, app.default_branch) == (None, MASTER)
        assert (await rollout(platform)).state is RolloutState.DONE
        assert await refs(platform) == {"master": pushed.commit}
        warm = {instance.state for instance in await platform.instances(before)}
        assert warm == {InstanceState.STANDBY}, "what it has replaced is kept warm"
        await platform.end_standby()
        assert await platform.page(master) == "two", "its tree is the canary's, and is there"

    async def test_by_force_it_is_promoted_though_the_default_branch_had_other_commits(
        self, platform: InProcess, shop: Repository
    ) -> None:
        shop.git("checkout", "--quiet", "--orphan", "other")
        shop.git("branch", "-D", "master")
        shop.git("branch", "-m", "master")
        pushed = await platform.push(shop, canary("two"))
        await platform.rolling.promote(SHOP, platform.told.append)
        assert await platform.live_commit() == pushed.commit

    async def test_rolled_back_nobody_is_given_it_and_the_ref_goes_back(
        self, platform: InProcess, shop: Repository
    ) -> None:
        live = await platform.live_commit()
        pushed = await platform.push(shop, canary("two"))
        assert (await roll_back(platform)).state is RolloutState.ROLLED_BACK
        assert await platform.live(CANARY) == pushed, "it is there to be looked at"
        assert (await platform.registry.split(SHOP)).phase.weights[CANARY] == 0
        assert await refs(platform) == {"master": live, "canary": pushed.commit}
        await platform.refs.settle_at_start(SHOP)
        assert (await refs(platform))["master"] == live

    async def test_what_was_rolled_back_can_be_pushed_again_and_takes_its_own_place(
        self, platform: InProcess, shop: Repository
    ) -> None:
        first = await platform.push(shop, canary("two"))
        await roll_back(platform)
        again = await platform.push(shop, canary("two"))
        assert await platform.live(CANARY) == again
        assert f"       release 2 ({first.commit.short}) was rolled back: it broke" in platform.told, (
            "who pushes hears it"
        )
        assert ((await rollout(platform)).state, (await rollout(platform)).split) == (RolloutState.RUNNING, "s2")
        _, older = await platform.registry.splits(SHOP)
        assert older.state is SplitState.CANCELLED

    @pytest.mark.parametrize("first", ["running", "rolled back"])
    async def test_aborted_it_is_taken_down_with_its_split(
        self, platform: InProcess, shop: Repository, first: str
    ) -> None:
        live = await platform.live_commit()
        await platform.push(shop, canary("two"))
        if first == "rolled back":
            await roll_back(platform)
        await platform.rolling.abort(SHOP)
        assert await platform.live(CANARY) is None
        assert (await platform.registry.split(SHOP)).state is SplitState.CANCELLED
        assert await refs(platform) == {"master": live}

    async def test_another_push_takes_its_place_against_the_same_control(
        self, platform: InProcess, shop: Repository
    ) -> None:
        control = await platform.live()
        await platform.push(shop, canary("two"))
        await platform.rolling.advance(SHOP)
        older = await rollout(platform)
        newer = await platform.push(shop, canary("three"))
        assert await platform.live() == control
        assert await platform.live(CANARY) == newer
        begun = await rollout(platform)
        assert (begun.step, begun.state, begun.number) == (0, RolloutState.RUNNING, older.number + 1)
        (ended,) = [n for n in platform.teller.told if n.kind is NoticeKind.ROLLOUT_ENDED]
        assert ended.facts["reason"] == f"superseded by release {newer.number}"
        assert (await platform.registry.split(SHOP, older.split)).state is SplitState.CANCELLED
        assert await refs(platform) == {"master": newer.commit, "canary": newer.commit}

    async def test_a_push_that_was_made_before_it_was_rolled_back_is_refused(
        self, platform: InProcess, shop: Repository
    ) -> None:
        first = await platform.push(shop, canary("two"))
        commit = platform.commit(shop, canary("three"))
        await roll_back(platform)
        with pytest.raises(RefMoved):
            await platform.deploys.push(SHOP, MASTER, commit, first.commit, platform.told.append)

    async def test_a_push_while_one_is_being_promoted_finishes_that_first(
        self, platform: InProcess, shop: Repository
    ) -> None:
        first = await platform.push(shop, canary("two"))
        (before,) = await platform.registry.open_rollouts()
        acts = platform.rolling._acts
        promoting = await acts.win(before, None, Action(what=What.PROMOTE, rule="promoted", reason="it is fine"))
        second = await platform.push(shop, canary("three"))
        master = await platform.live()
        assert master is not None
        assert master.commit == first.commit
        assert await platform.live(CANARY) == second
        begun = await rollout(platform)
        assert (begun.state, begun.number) == (RolloutState.RUNNING, before.number + 1)
        told = list(platform.teller.told)
        await platform.rolling.look(promoting)  # as the task that wanted to finish it does
        assert platform.teller.told == told, "it was finished, and told, once"
        assert await platform.live() == master
        assert (await refs(platform))["master"] == second.commit

    async def test_an_emergency_in_a_freeze_begins_one_and_whoever_pushes_is_told_that_it_stays(
        self, platform: InProcess, shop: Repository
    ) -> None:
        now = platform.clock.now
        await platform.registry.add_freeze(SHOP, now, now + timedelta(days=1), "Fair")
        commit, before = platform.commit(shop, canary("two")), await platform.live_commit()
        await platform.deploys.push(SHOP, MASTER, commit, before, platform.told.append, during_freeze=True)
        (told,) = (line for line in platform.told if "freeze" in line)
        assert "(Fair): the canary stays at its first step, or until `balancer rollout advance shop`" in told

    async def test_one_that_is_not_healthy_leaves_everything_as_it_was(
        self, platform: InProcess, shop: Repository
    ) -> None:
        live = await platform.live_commit()
        with pytest.raises(NotHealthy):
            await platform.push(shop, canary("two", Procfile="web: exit 1\n"))
        assert await platform.live(CANARY) is None
        assert (await platform.registry.snapshot()).splits == ()
        assert await platform.refs.wanted(SHOP) == {MASTER: live}

    async def test_an_archive_builds_on_what_was_accepted_and_moves_the_ref(
        self, platform: InProcess, shop: Repository, tmp_path: Path
    ) -> None:
        first = await platform.push(shop, canary("two"))
        shop.git("archive", "--output", str(tmp_path / "tree.tar"), "master")
        second = await platform.arrivals.archive(
            SHOP, None, tmp_path / "tree.tar", message="By hand", author="Ada", tell=platform.told.append
        )
        assert second.branch == CANARY
        assert await platform.repositories.contains(SHOP, second.commit, first.commit)
        assert await refs(platform) == {"master": second.commit, "canary": second.commit}


class TestNothingNew:
    """A push of what is there already: it is not compared with itself."""

    async def again(self, platform: InProcess, release: Release, asked: Mode | None = None) -> Release:
        """Push the commit of a release to the default branch, by force."""
        before = (await platform.refs.wanted(SHOP)).get(MASTER)
        pushed = await platform.deploys.push(
            SHOP, MASTER, release.commit, before, platform.told.append, asked=asked, during_freeze=False
        )
        await platform.repositories.move_ref(SHOP, MASTER, release.commit)
        await platform.refs.settle(SHOP, {MASTER, CANARY})
        return pushed

    async def promoted(self, platform: InProcess, shop: Repository) -> Release:
        """Return what is live, whose manifest wants canaries."""
        await platform.push(shop, canary("two"))
        await platform.rolling.promote(SHOP, platform.told.append)
        platform.told.clear()
        platform.teller.told.clear()
        live = await platform.live()
        assert live is not None
        return live

    async def test_back_to_what_is_live_takes_the_canary_back(self, platform: InProcess, shop: Repository) -> None:
        live = await self.promoted(platform, shop)
        second = await platform.push(shop, canary("three"))
        releases = set(await platform.states())
        assert await self.again(platform, live) == live
        assert set(await platform.states()) == releases, "nothing was deployed"
        ended = await rollout(platform)
        assert (ended.state, ended.reason) == (RolloutState.ABORTED, f"release {live.number} was pushed again")
        assert (await platform.registry.snapshot()).splits == ()
        assert await refs(platform) == {"master": live.commit}
        short = second.commit.short
        assert f"       the canary, release {second.number} ({short}), is taken back" in platform.told
        (told,) = [n for n in platform.teller.told if n.kind is NoticeKind.ROLLOUT_ENDED]
        assert told.facts["reason"] == ended.reason
        (decision,) = await platform.rolling.decisions(SHOP)
        assert (decision.action.what, decision.action.reason) == (What.ABORT, ended.reason)

    async def test_it_is_taken_back_in_a_freeze_too(self, platform: InProcess, shop: Repository) -> None:
        live = await self.promoted(platform, shop)
        await platform.push(shop, canary("three"))
        now = platform.clock.now
        await platform.registry.add_freeze(SHOP, now, now + timedelta(days=1), "Fair")
        assert await self.again(platform, live) == live
        assert (await rollout(platform)).state is RolloutState.ABORTED

    async def test_the_canary_itself_goes_on_as_it_was(self, platform: InProcess, shop: Repository) -> None:
        pushed = await platform.push(shop, canary("two"))
        before, releases = await platform.rolling.advance(SHOP), set(await platform.states())
        assert await self.again(platform, pushed) == pushed
        assert (await rollout(platform), set(await platform.states())) == (before, releases)
        assert f"{pushed.commit.short} is the canary already, release {pushed.number}" in platform.told[-2]

    async def test_what_is_live_and_has_no_canary_beside_it_stays(self, platform: InProcess, shop: Repository) -> None:
        live = await self.promoted(platform, shop)
        releases = set(await platform.states())
        assert await self.again(platform, live) == live
        assert set(await platform.states()) == releases
        assert (await platform.registry.snapshot()).splits == ()

    async def test_what_was_rolled_back_stays_to_be_looked_at(self, platform: InProcess, shop: Repository) -> None:
        live = await self.promoted(platform, shop)
        harmful = await platform.push(shop, canary("three"))
        await roll_back(platform)
        assert await self.again(platform, live) == live
        assert await platform.live(CANARY) == harmful

    async def test_with_other_config_vars_it_is_another_canary(self, platform: InProcess, shop: Repository) -> None:
        live = await self.promoted(platform, shop)
        await platform.config_vars.change(SHOP, {"COLOUR": "red"}, platform.told.append, later=True)
        pushed = await self.again(platform, live)
        assert (pushed.branch, pushed.commit) == (CANARY, live.commit)

    async def test_whoever_wants_to_switch_at_once_deploys_it_anew(self, platform: InProcess, shop: Repository) -> None:
        live = await self.promoted(platform, shop)
        await platform.push(shop, canary("three"))
        pushed = await self.again(platform, live, Mode.NONE)
        assert (pushed.branch, pushed.commit, pushed.number > live.number) == (MASTER, live.commit, True)

    async def test_what_another_branch_has_live_is_a_canary_all_the_same(
        self, platform: InProcess, shop: Repository
    ) -> None:
        tested = await platform.push(shop, canary("two"), "test")
        pushed = await self.again(platform, tested)
        assert (pushed.branch, pushed.commit) == (CANARY, tested.commit)

    async def test_no_experiment_begins_of_what_visitors_see_already(
        self, platform: InProcess, shop: Repository
    ) -> None:
        live = await platform.push(shop, experiment("two"))
        assert live.branch == MASTER
        pushed = await platform.deploys.push(SHOP, TEST, live.commit, None, platform.told.append)
        assert (pushed.branch, (await platform.registry.snapshot()).splits) == (TEST, ())
        assert any("it is the commit that master has live, with the same config vars" in line for line in platform.told)


class TestInstant:
    """What switches at once all the same."""

    async def test_whoever_asks_for_it_switches_at_once_and_ends_the_canary(
        self, platform: InProcess, shop: Repository
    ) -> None:
        await platform.push(shop, canary("two"))
        pushed = await platform.push(shop, canary("three"), asked=Mode.NONE)
        assert pushed.branch == MASTER
        assert await platform.live() == pushed
        assert await platform.live(CANARY) is None
        ended = await rollout(platform)
        assert (ended.state, ended.reason) == (RolloutState.ABORTED, f"superseded by release {pushed.number}")
        assert (await platform.registry.snapshot()).splits == ()
        assert await refs(platform) == {"master": pushed.commit}

    async def test_a_manifest_without_a_rollout_ends_the_canary_too(
        self, platform: InProcess, shop: Repository
    ) -> None:
        await platform.push(shop, canary("two"))
        await roll_back(platform)
        pushed = await platform.push(shop, app_files("three"))
        assert await platform.live() == pushed
        assert await platform.live(CANARY) is None
        assert (await rollout(platform)).state is RolloutState.ROLLED_BACK

    async def test_a_push_of_another_branch_leaves_the_canary_alone(
        self, platform: InProcess, shop: Repository
    ) -> None:
        pushed = await platform.push(shop, canary("two"))
        await platform.push(shop, app_files("three"), "test")
        assert await platform.live(CANARY) == pushed
        assert (await rollout(platform)).state is RolloutState.RUNNING


class TestRefused:
    """What cannot begin is refused before it is built, with what to do."""

    async def refused(self, platform: InProcess, work: Repository, match: str) -> None:
        before = await platform.registry.snapshot()
        with pytest.raises(Conflict, match=match):
            await platform.push(work, canary("two", **{"balancer.toml": 'rollout = "canary"\nbuild = "echo built"\n'}))
        assert "built" not in " ".join(platform.told)
        after = await platform.registry.snapshot()
        assert (after.live(SHOP), after.splits) == (before.live(SHOP), before.splits)

    async def test_while_a_split_of_the_users_own_runs(self, platform: InProcess, shop: Repository) -> None:
        await platform.push(shop, app_files("blue"), "test")
        await platform.experiments.start(SHOP, EVEN, None)
        await self.refused(platform, shop, r"the split s1 of shop runs \(master, test\).*git push -o rollout=none")
        pushed = await platform.push(shop, canary("three"), asked=Mode.NONE)
        assert await platform.live() == pushed

    async def test_while_the_app_is_stopped(self, platform: InProcess, shop: Repository) -> None:
        await platform.registry.set_mode(SHOP, AppMode.STOPPED)
        await self.refused(platform, shop, "shop is stopped.*balancer start shop")

    async def test_while_the_winner_of_a_split_waits_to_be_merged(self, platform: InProcess, shop: Repository) -> None:
        await platform.push(shop, app_files("blue"), "test")
        await platform.experiments.start(SHOP, EVEN, None)
        await platform.experiments.conclude(SHOP, TEST, platform.told.append)
        assert (await platform.registry.app(SHOP)).promoted == TEST
        await self.refused(platform, shop, "test has won a split")

    async def test_the_merge_that_such_a_winner_waits_for_can_be_pushed_as_it_is_told(
        self, platform: InProcess, shop: Repository
    ) -> None:
        await platform.push(shop, canary("two"), asked=Mode.NONE)
        await platform.push(shop, canary("blue"), "test")
        await platform.experiments.start(SHOP, EVEN, None)
        await platform.experiments.conclude(SHOP, TEST, platform.told.append)
        (command,) = [line.strip() for line in platform.told if "git push" in line]
        assert command == "git push -o rollout=none balancer master"
        pushed = await platform.push(shop, canary("three"), asked=option(command.split()[3]))
        assert (pushed.branch, (await platform.registry.app(SHOP)).promoted) == (MASTER, None)
        assert "       visitors see it in the place of test, which has won a split" in platform.told

    async def test_where_a_branch_of_that_name_was_pushed(self, platform: InProcess, shop: Repository) -> None:
        release = await platform.registry.open_release(
            SHOP, CANARY, (await live(platform)).commit, subject="", author=""
        )
        manifest = Manifest(source=Source.PROCFILE, processes={WEB: "serve"})
        await platform.registry.activate((await platform.registry.start_release(release.id, manifest)).id)
        await self.refused(platform, shop, "balancer branches delete shop canary")

    async def test_a_push_to_the_name_of_canaries(self, platform: InProcess, shop: Repository) -> None:
        with pytest.raises(Conflict, match="canary is what Balancer calls a push to the default branch"):
            await platform.push(shop, app_files("two"), "canary")
        assert await platform.states() == {1: "live"}

    async def test_what_would_take_a_canary_from_its_rollout(self, platform: InProcess, shop: Repository) -> None:
        pushed = await platform.push(shop, canary("two"))
        with pytest.raises(InvalidSplit, match="goes with the rollout of a push"):
            await platform.experiments.reshuffle(SHOP)
        with pytest.raises(BranchInUse, match="is live as canary"):
            await platform.branches.set_default(SHOP, CANARY)
        with pytest.raises(InvalidRollout, match="push it again"):
            await platform.rolling.start(SHOP, CANARY, (await rollout(platform)).plan)
        with pytest.raises(Conflict, match="`balancer rollout abort shop` takes it back"):
            await platform.rollbacks.rollback(SHOP, None, None, platform.told.append)
        with pytest.raises(Conflict, match="a canary cannot be gone back to"):
            await platform.rollbacks.rollback(SHOP, CANARY, None, platform.told.append)
        with pytest.raises(ReleaseNotFound):
            await platform.rollbacks.retreat(pushed, "it dies")
        assert await platform.live(CANARY) == pushed


class TestEndings:
    """However a canary ends, its split, its branch and the refs go with it."""

    async def test_its_split_is_cancelled(self, platform: InProcess, shop: Repository) -> None:
        live = await platform.live_commit()
        await platform.push(shop, canary("two"))
        await platform.experiments.cancel(SHOP)
        assert await platform.live(CANARY) is None
        (before,) = await platform.registry.open_rollouts()
        await platform.rolling.look(before)
        assert (await rollout(platform)).state is RolloutState.ABORTED
        assert await refs(platform) == {"master": live}

    async def test_its_split_is_concluded_for_it(self, platform: InProcess, shop: Repository) -> None:
        pushed = await platform.push(shop, canary("two"))
        await platform.experiments.conclude(SHOP, CANARY, platform.told.append)
        assert await platform.live_commit() == pushed.commit
        assert await platform.live(CANARY) is None
        assert await refs(platform) == {"master": pushed.commit}

    async def test_its_branch_is_taken_down(self, platform: InProcess, shop: Repository) -> None:
        live = await platform.live_commit()
        await platform.push(shop, canary("two"))
        (before,) = await platform.registry.open_rollouts()
        await platform.branches.remove_and_settle(SHOP, CANARY, platform.told.append)
        await platform.rolling.look(before)
        assert await refs(platform) == {"master": live}

    async def test_another_rollout_begins_after_it_was_rolled_back(self, platform: InProcess, shop: Repository) -> None:
        await platform.push(shop, canary("two"))
        await platform.push(shop, app_files("blue"), "test")
        plan = (await rollout(platform)).plan
        await roll_back(platform)
        await platform.rolling.start(SHOP, TEST, plan)
        assert await platform.live(CANARY) is None

    async def test_what_everybody_sees_of_it_is_gone_back_from(self, platform: InProcess, shop: Repository) -> None:
        live = await platform.live_commit()
        await platform.push(shop, canary("two"))
        (before,) = await platform.registry.open_rollouts()
        acts = platform.rolling._acts
        await acts.win(before, None, Action(what=What.PROMOTE, rule="promoted", reason="it is fine"))
        await platform.rollbacks.rollback(SHOP, None, None, platform.told.append)
        assert await platform.live(CANARY) is None
        assert (await platform.registry.app(SHOP)).promoted is None
        assert await refs(platform) == {"master": live}


class TestExperiment:
    """A push to another branch that stays in test until its verdict."""

    async def test_it_begins_evenly_beside_what_visitors_see(self, platform: InProcess, shop: Repository) -> None:
        pushed = await platform.push(shop, experiment("blue"), "test")
        begun = await rollout(platform)
        assert (begun.branch, begun.weight, begun.plan.metric) == (TEST, 5000, "purchase")
        assert not begun.plan.auto_promote
        assert await platform.live(TEST) == pushed
        assert platform.told[-1].startswith("       experiment: 50 % of new visitors; watch with")
        assert (await platform.registry.split(SHOP)).brief.canary is None

    async def test_a_later_push_of_its_branch_goes_on_in_it(self, platform: InProcess, shop: Repository) -> None:
        await platform.push(shop, experiment("blue"), "test")
        before = await rollout(platform)
        later = await platform.push(shop, experiment("green"), "test")
        assert await rollout(platform) == before
        assert await platform.live(TEST) == later
        assert any("split s1 of shop goes on" in line for line in platform.told)

    async def test_where_another_split_runs_it_is_live_at_its_own_address_alone(
        self, platform: InProcess, shop: Repository
    ) -> None:
        await platform.push(shop, canary("two"))
        other = await platform.push(shop, experiment("blue"), "test")
        assert await platform.live(TEST) == other
        assert (await rollout(platform)).branch == CANARY
        assert "       no experiment begins, and only its own address shows it: the split s1 runs" in platform.told

    async def test_on_the_default_branch_it_switches_at_once(self, platform: InProcess, shop: Repository) -> None:
        pushed = await platform.push(shop, experiment("two"))
        assert (pushed.branch, (await platform.registry.snapshot()).splits) == (MASTER, ())

    async def test_the_only_metric_of_the_app_decides_and_without_one_it_is_refused(
        self, platform: InProcess, shop: Repository
    ) -> None:
        plain = app_files("blue", **{"balancer.toml": 'rollout = "experiment"\n'})
        with pytest.raises(InvalidManifest, match="an experiment needs the `metric` that decides it"):
            await platform.push(shop, plain, "test")
        metric = '[metrics.revenue]\nkind = "sum"\nevent = "purchase"\n'
        await platform.push(shop, app_files("two", **{"balancer.toml": metric}))
        await platform.push(shop, plain, "test")
        assert (await rollout(platform)).plan.metric == "revenue"

    async def test_whoever_asks_for_it_has_no_experiment(self, platform: InProcess, shop: Repository) -> None:
        await platform.push(shop, experiment("blue"), "test", asked=Mode.NONE)
        assert (await platform.registry.snapshot()).splits == ()


async def live(platform: InProcess) -> Release:
    found = await platform.live()
    assert found is not None
    return found


async def test_a_ref_does_not_move_below_a_push_that_waits_for_its_deploy(
    platform: InProcess, shop: Repository
) -> None:
    first = await platform.push(shop, canary("two"))
    async with platform.turns.of(SHOP, MASTER, platform.told.append):
        (before,) = await platform.registry.open_rollouts()
        await platform.registry.end_rollout(
            before, replace(before, state=RolloutState.ABORTED, reason="by hand"), None, winner=None
        )
        settling = asyncio.ensure_future(platform.refs.settle_default(SHOP))
        assert not (await asyncio.wait([settling], timeout=0.1))[0]
        assert (await refs(platform))["master"] == first.commit
    await settling

    async def settled() -> bool:
        return (await refs(platform))["master"] == await platform.live_commit()

    await eventually(settled, 30)


def test_a_branch_of_that_name_is_what_the_registry_calls_it() -> None:
    assert BranchName("canary") == CANARY


async def test_config_vars_that_are_set_meanwhile_are_the_canarys_too(platform: InProcess, shop: Repository) -> None:
    pushed = await platform.push(shop, canary("two"))
    await platform.config_vars.change(SHOP, {"COLOUR": "red"}, platform.told.append, later=False)
    replaced = await platform.live(CANARY)
    assert replaced is not None
    assert (replaced.commit, replaced.number > pushed.number) == (pushed.commit, True)
    found = await platform.registry.canary(SHOP)
    assert found is not None
    assert (found.release, found.stands) == (replaced, True)
    await platform.rolling.promote(SHOP, platform.told.append)
    master = await live(platform)
    assert (master.commit, await platform.registry.release_config(master.id)) == (pushed.commit, {"COLOUR": "red"})


class Came:
    """A ledger that has seen events of these names."""

    def __init__(self, *names: str) -> None:
        self._names = names

    async def names(self, app: str) -> EventNames:
        """Return them."""
        return EventNames(names=tuple(NamedEvents(event=name, events=1, valued=0) for name in self._names))


async def test_a_push_whose_metric_was_mistyped_is_refused_before_anything_is_built(
    platform: InProcess, shop: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform.known_metrics, "_ledger", Came("purchases"))
    built: list[object] = []
    monkeypatch.setattr(platform.deploys._builds, "build", built.append)
    with pytest.raises(MetricNotFound, match=r"no event of that name was ever seen \(did you mean purchases\?\)"):
        await platform.push(shop, experiment("two"), "test")
    assert built == []
    assert (await platform.states())[2] == "failed"


async def test_a_metric_that_only_the_push_declares_is_refused_unless_it_announces_that_very_event(
    platform: InProcess, shop: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform.known_metrics, "_ledger", Came())
    declares = '[metrics.{}]\nkind = "sum"\nevent = "{}"\n'
    files = app_files("two", **{"balancer.toml": EXPERIMENT + declares.format("purchase", "sold")})
    with pytest.raises(MetricNotFound, match="what is pushed declares it, but the metrics of what is live"):
        await platform.push(shop, files, "test")
    files["balancer.toml"] = EXPERIMENT + declares.format("revenue", "purchase")
    await platform.push(shop, files, "test")
    assert (await rollout(platform)).plan.metric == "purchase"


async def test_a_pusher_is_told_of_a_guardrail_whose_event_never_came(
    platform: InProcess, shop: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform.known_metrics, "_ledger", Came("refund"))
    guardrails = (
        f'[metrics.{name}]\nkind = "converted"\nevent = "{name}"\nguardrail = true\n' for name in ("refnd", "refund")
    )
    await platform.push(shop, app_files("two", **{"balancer.toml": "".join(guardrails)}))
    platform.told.clear()
    await platform.push(shop, canary("three"))
    said = [line.strip() for line in platform.told if "guardrail" in line]
    assert said == [
        "the guardrail refnd counts refnd, of which none was ever seen (refund was): until one comes it stops nothing"
    ]


async def test_a_pusher_is_told_when_everybody_gets_it_where_the_last_splits_tell_how_many_visitors_come(
    platform: InProcess, shop: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = "at the present traffic everybody gets it at 2026-03-04 22:36+01:00, at the earliest"
    known: list[str | None] = [None, soon]

    async def outlook(_rollout: Rollout) -> str | None:
        return known.pop(0)

    monkeypatch.setattr(platform.rollout_planning, "outlook", outlook)
    await platform.push(shop, canary("two"))
    assert not any("at the present traffic" in line for line in platform.told)
    await platform.push(shop, canary("three"))
    assert platform.told[-1] == f"       {soon}: `balancer rollout plan shop`"


async def test_the_canary_that_the_next_push_begins_is_planned_where_none_goes_on(
    platform: InProcess, shop: Repository
) -> None:
    nothing_named = RolloutWish(branch=None, plan=Plan(), visitors_a_day=86_400)
    with pytest.raises(RolloutNotFound, match="no rollout of shop goes on; name the branch"):
        await platform.rollout_planning.plan(SHOP, nothing_named)
    said = '[rollout]\nmode = "canary"\nsteps = [50, 100]\nstep_time = "0s"\n'
    await platform.push(shop, app_files("two", **{"balancer.toml": said}))
    (going_on,) = await platform.registry.open_rollouts()
    assert (await platform.rollout_planning.plan(SHOP, nothing_named)).branch == CANARY
    await platform.rolling.promote(SHOP, platform.told.append)
    found = await platform.rollout_planning.plan(SHOP, nothing_named)
    assert (found.branch, [step.weight for step in found.steps]) == ("master", [50, 100])
    assert found.steps[0].seconds == 400, "200 visitors of half of one a second"
    assert going_on.plan.auto_promote
