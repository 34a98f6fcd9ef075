"""How an app stands, from what the registry, the processes and the proxy say."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from balancer.domain.app import AppMode
from balancer.domain.plan import Exit
from balancer.domain.release import InstanceState, ReleaseState
from balancer.domain.rollout import Plan, Rollout, RolloutState, Watch
from balancer.domain.snapshot import Snapshot
from balancer.domain.split import SplitId
from balancer.services.overview import AppStanding, Health, standing_of
from balancer.services.rates import Rate, Series
from balancer.services.rollouts import Standing
from values import LOCALHOST, MASTER, SHOP, START, TEST, app, instance, release, split


def standing(
    snapshot: Snapshot,
    *,
    running: frozenset[int] | None = None,
    exits: Mapping[int, Exit] | None = None,
    rollout: Standing | None = None,
    **steps: str,
) -> AppStanding:
    """Return how the only app of a snapshot stands; every instance runs where nothing else is said."""
    (part,) = map(snapshot.part, snapshot.apps)
    return standing_of(
        part,
        running=frozenset(each.id for each in snapshot.instances) if running is None else running,
        exits=exits or {},
        series={MASTER: Series((Rate(1.0, 0.0),))},
        failed=(),
        said=None,
        rollout=rollout,
        steps={int(number.removeprefix("r")): step for number, step in steps.items()},
        domain=LOCALHOST,
        site=":8080",
    )


def test_live_branches_come_with_their_urls_the_default_one_first() -> None:
    releases = (release(1, "blue"), release(2), release(3, state=ReleaseState.DRAINING))
    found = standing(Snapshot(apps=(app(),), releases=releases))
    assert [(each.branch, each.release, each.default) for each in found.branches] == [
        ("master", 2, True),
        ("blue", 1, False),
    ]
    assert found.branches[1].url == "http://blue--shop.localhost:8080/"
    assert found.urls == ("http://shop.localhost:8080/",)
    assert found.branches[0].series.present == Rate(1.0, 0.0)
    assert found.branches[1].series.present is None


def test_of_many_branches_those_that_matter_are_shown_at_a_glance_and_of_few_all() -> None:
    releases = (release(1), *(release(number, f"b{number:02}") for number in range(2, 31)))
    sick = instance(1, releases[25], InstanceState.UNHEALTHY)
    runs = split({"master": 5000, "b20": 5000})
    found = standing(Snapshot(apps=(app(),), releases=releases, instances=(sick,), splits=(runs,)))
    assert len(found.branches) == 30
    shown = [each.branch for each in found.foremost]
    assert shown == ["master", *(f"b{number:02}" for number in range(2, 9)), "b20", "b26"]
    few = standing(Snapshot(apps=(app(),), releases=releases[:10]))
    assert few.foremost == few.branches


def test_an_instance_is_healthy_that_was_found_so_and_runs_and_what_leaves_is_not_wanted() -> None:
    live = release(1)
    instances = (
        instance(1, live),
        instance(2, live),
        instance(3, live, InstanceState.UNHEALTHY),
        instance(4, live, InstanceState.DRAINING),
        instance(5, live, InstanceState.STANDBY),
    )
    found = standing(Snapshot(apps=(app(),), releases=(live,), instances=instances), running=frozenset({1, 3, 4, 5}))
    assert (found.branches[0].healthy, found.branches[0].wanted) == (1, 3)
    assert found.health is Health.DEGRADED


def test_how_an_instance_ended_is_known_until_it_is_healthy_again() -> None:
    live = release(1)
    snapshot = Snapshot(apps=(app(),), releases=(live,), instances=(instance(1, live), instance(2, live)))
    ended = Exit(at=START, restarts=4, ending="it ended with 1")

    def ending(running: set[int], end: Exit) -> str:
        return standing(snapshot, running=frozenset(running), exits={2: end}).branches[0].ending

    assert ending({1}, ended) == "it ended with 1, 5 times in a row"
    assert ending({1}, replace(ended, restarts=0)) == "it ended with 1"
    assert ending({1, 2}, ended) == ""


def test_the_health_of_an_app_is_the_worst_of_its_branches() -> None:
    live, other = release(1), release(2, "test")
    healthy, broken = instance(1, live), instance(2, other, InstanceState.UNHEALTHY)
    both = Snapshot(apps=(app(),), releases=(live, other), instances=(healthy, broken))
    assert standing(both).health is Health.DOWN
    assert standing(replace(both, instances=(healthy, instance(2, other)))).health is Health.HEALTHY
    assert standing(Snapshot(apps=(app(default=None),))).health is Health.EMPTY


@pytest.mark.parametrize("mode", [AppMode.STOPPED, AppMode.PAUSED, AppMode.MAINTENANCE])
def test_a_mode_that_keeps_visitors_away_is_said_before_everything(mode: AppMode) -> None:
    found = standing(Snapshot(apps=(replace(app(), mode=mode),), releases=(release(1),)))
    assert found.health.value == mode.value


def test_a_deploy_under_way_has_its_state_and_the_latest_step_of_its_log() -> None:
    releases = (
        release(1),
        release(2, state=ReleaseState.STARTING),
        release(3, "test", state=ReleaseState.BUILDING),
    )
    found = standing(Snapshot(apps=(app(),), releases=releases), r2="Waiting")
    assert [(each.release, each.state, each.step) for each in found.deploys] == [
        (2, ReleaseState.STARTING, "Waiting"),
        (3, ReleaseState.BUILDING, ""),
    ]


def test_a_split_shows_the_control_first_and_each_branch_its_weight() -> None:
    releases = (release(1), release(2, "test"))
    running = split({"test": 2500, "master": 7500}, control="master")
    found = standing(Snapshot(apps=(app(),), releases=releases, splits=(running,)))
    assert found.split is not None
    assert found.split.shares == (("master", 7500), ("test", 2500))
    assert [each.weight for each in found.branches] == [7500, 2500]


def test_what_was_rolled_back_is_known_before_any_figure_of_its_split_until_its_branch_is_given_weight_again() -> None:
    plan = Plan(steps=(1000, 5000))
    stopped = Rollout(
        number=1,
        app=SHOP,
        branch=TEST,
        split=SplitId("s1"),
        plan=plan,
        state=RolloutState.ROLLED_BACK,
        step=0,
        phase=1,
        watch=Watch(ticks=0.0),
        reason="errors",
    )
    it = Standing(rollout=stopped, seen=None, action=None, hold=None)

    def left(weights: dict[str, int], rollout: Standing) -> Rollout | None:
        snapshot = Snapshot(apps=(app(),), releases=(release(1),), splits=(split(weights),))
        found = standing(snapshot, rollout=rollout).split
        assert found is not None
        return found.rolled_back

    assert left({"master": 10_000, "test": 0}, it) == stopped
    assert left({"master": 9000, "test": 1000}, it) is None
    assert (
        left({"master": 10_000, "test": 0}, replace(it, rollout=replace(stopped, state=RolloutState.RUNNING))) is None
    )
