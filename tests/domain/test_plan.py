"""Plans lead from what is to what should be, and disturb nobody on the way."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.domain.manifest import WEB, Manifest, ProcessType, Source
from balancer.domain.plan import (
    LINGERING,
    STEADY_AFTER,
    AbandonRelease,
    Action,
    DrainInstance,
    Exit,
    MarkStopped,
    Observed,
    RetireRelease,
    StartInstance,
    StopInstance,
    back_off,
    drain_timeout,
    plan,
)
from balancer.domain.release import LEAVING, Instance, InstanceState, Release, ReleaseState
from balancer.domain.snapshot import Snapshot
from values import START, app, instance, release

T = TypeVar("T")
SECOND = timedelta(seconds=1)
# Histories go on for minutes: what stands by is to be over within them.
WARM = timedelta(seconds=30)
LIVE, DRAINING = ReleaseState.LIVE, ReleaseState.DRAINING
UNFINISHED = (ReleaseState.BUILDING, ReleaseState.STARTING)


def patient(drain_timeout_seconds: float) -> Manifest:
    """Return the manifest of a release that drains for so long."""
    commands = {WEB: "serve"}
    return Manifest(source=Source.MANIFEST, processes=commands, drain_timeout_seconds=drain_timeout_seconds)


class World:
    """A registry and processes that are only told of, with a clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = START
        self.releases: dict[int, Release] = {}
        self.sizes: dict[int, int] = {}
        """How many instances a release was started with."""
        self.instances: dict[int, Instance] = {}
        self.running: set[int] = set()
        self.stopping: set[int] = set()
        self.busy: set[int] = set()
        self.reachable: set[int] = set()
        self.deserted: frozenset[int] = frozenset()
        self.exits: dict[int, Exit] = {}
        self.started_at: dict[int, timedelta] = {}
        self.opened = 0
        """How many instances there ever were."""

    @property
    def desired(self) -> Snapshot:
        with_instances = {each.release_id for each in self.instances.values()}
        over = (ReleaseState.RETIRED, ReleaseState.FAILED)
        return Snapshot(
            apps=(app(),),
            releases=tuple(r for r in self.releases.values() if r.state not in over or r.id in with_instances),
            instances=tuple(self.instances.values()),
        )

    @property
    def observed(self) -> Observed:
        return Observed(
            now=self.now,
            running=frozenset(self.running),
            busy=frozenset(self.busy),
            reachable=frozenset(self.reachable),
            deserted=self.deserted,
            exits=dict(self.exits),
        )

    # What people and the world do.

    def push(self, pick: int) -> None:
        """Someone pushes: a release is being built."""
        number = len(self.releases) + 1
        self.releases[number] = release(
            number, ("master", "test")[pick % 2], state=ReleaseState.BUILDING, manifest=patient((4, 40, 100)[pick % 3])
        )

    def start(self, pick: int) -> None:
        """A build is done: one instance or two are started."""
        if chosen := self._pick([r for r in self.releases.values() if r.state is ReleaseState.BUILDING], pick):
            self._to(chosen, ReleaseState.STARTING)
            self._launch(chosen, pick)

    def activate(self, pick: int) -> None:
        """A started release is healthy and goes live; the one before drains."""
        ready = [r for r in self.releases.values() if r.state is ReleaseState.STARTING and r.id not in self.deserted]
        if chosen := self._pick(ready, pick):
            self._make_live(chosen)

    def roll_back(self, pick: int) -> None:
        """A release that drains is wanted again: as it is, if no instance has ended or been asked to, else anew."""
        if chosen := self._pick([r for r in self.releases.values() if r.state is DRAINING], pick):
            there = sum(each.release_id == chosen.id for each in self.instances.values())
            if there == self.serving(chosen) == self.sizes[chosen.id]:
                self._make_live(chosen)
            else:
                self._to(chosen, ReleaseState.STARTING)
                self._launch(chosen, pick)

    def fail(self, pick: int) -> None:
        """A deploy fails, or a rollback."""
        if chosen := self._pick([r for r in self.releases.values() if r.state in UNFINISHED], pick):
            self._to(chosen, ReleaseState.RETIRED if chosen.activated_at else ReleaseState.FAILED)

    def crash(self, pick: int) -> None:
        """A process dies by itself."""
        if (number := self._pick(sorted(self.running), pick)) is not None:
            self._end(number)

    def hang(self, pick: int) -> None:
        """A request begins that will not end, on an instance that stands by or drains: it came before."""
        leaving = [each.id for each in self.instances.values() if each.state in LEAVING]
        if (number := self._pick(leaving, pick)) is not None and number in self.running - self.stopping:
            self.busy.add(number)

    def reload(self, pick: int) -> None:
        """The proxy is reloaded; an idle connection of its old worker still leads to all that serves."""
        known = {each.id for each in self.instances.values() if each.state is not InstanceState.STARTING}
        self.reachable |= known & (self.running - self.stopping)

    def close(self, pick: int) -> None:
        """The idle connections of old workers end."""
        self.reachable.clear()

    def finish(self, pick: int) -> None:
        """A request ends."""
        if (number := self._pick(sorted(self.busy), pick)) is not None:
            self.busy.discard(number)

    def restart_daemon(self, pick: int) -> None:
        """The daemon is killed and started again: it forgets, and what it was deploying is deserted."""
        self.exits.clear()
        self.deserted = frozenset(r.id for r in self.releases.values() if r.state in UNFINISHED)

    def wait(self, pick: int) -> None:
        """Time goes by; processes that were told to stop do."""
        self.now += SECOND * (1 + pick % 40)
        for number in sorted(self.stopping):
            self._end(number)

    # What a plan does.

    def reconcile(self, pick: int = 0) -> tuple[Action, ...]:
        """Plan and apply, and check that each action is one that disturbs nobody."""
        actions = plan(self.desired, self.observed, WARM)
        for action in actions:
            match action:
                case StartInstance(started, of):
                    assert of.state is LIVE
                    assert started.id not in self.running
                    end = self.exits.get(started.id)
                    assert end is None or self.now >= end.at + back_off(end.restarts)
                    self._run(started.id)
                case DrainInstance(warm):
                    assert warm.standby_since is not None
                    assert self.now >= warm.standby_since + WARM
                    self._move(warm, InstanceState.DRAINING)
                case StopInstance(stopped):
                    assert stopped.state is not InstanceState.STANDBY
                    draining = stopped.state is InstanceState.DRAINING
                    assert draining or self.releases[stopped.release_id].state is not LIVE
                    if stopped.id in self.busy | self.reachable:
                        assert stopped.draining_since is not None
                        lasted = self.now - stopped.draining_since
                        assert lasted >= drain_timeout(self.releases[stopped.release_id])
                        assert stopped.id not in self.reachable or lasted >= LINGERING
                    self.stopping.add(stopped.id)
                case MarkStopped(over):
                    assert over.id not in self.running
                    del self.instances[over.id]
                case RetireRelease(drained):
                    assert drained.state is DRAINING
                    self._to(drained, ReleaseState.RETIRED)
                case AbandonRelease(left):
                    assert left.id in self.deserted
                    self._to(left, ReleaseState.FAILED)
        return actions

    def settle(self) -> None:
        """Reconcile each second for three minutes: longer than any drain here and any back-off."""
        for _ in range(180):
            self.reconcile()
            self.wait(0)

    def _pick(self, of: list[T], pick: int) -> T | None:
        return of[pick % len(of)] if of else None

    def serving(self, of: Release) -> int:
        serving = self.running - self.stopping
        return sum(each.release_id == of.id and each.id in serving for each in self.instances.values())

    def _to(self, moved: Release, state: ReleaseState) -> None:
        self.releases[moved.id] = replace(moved, state=state)

    def _launch(self, chosen: Release, pick: int) -> None:
        self.sizes[chosen.id] = 1 + pick % 2
        for index in range(1, 1 + self.sizes[chosen.id]):
            self.opened += 1
            number = 100 * chosen.id + self.opened
            self.instances[number] = instance(number, chosen, InstanceState.STARTING, index=index)
            self._run(number)

    def _make_live(self, chosen: Release) -> None:
        """Do what the registry does in one transaction."""
        of = {each.id: each for each in self.releases.values() if each.branch == chosen.branch}
        for each in list(self.instances.values()):
            leaves = each.state in (InstanceState.STANDBY, InstanceState.DRAINING)
            if each.release_id == chosen.id and (chosen.state is DRAINING or not leaves):
                self._move(each, InstanceState.HEALTHY)
            elif each.release_id in of and each.state is InstanceState.STANDBY:
                self._move(each, InstanceState.DRAINING)
            elif each.release_id in of and of[each.release_id].state is LIVE:
                serves = each.state is InstanceState.HEALTHY
                self._move(each, InstanceState.STANDBY if serves else InstanceState.DRAINING)
        for other in of.values():
            if other.state is LIVE:
                self._to(other, DRAINING)
        self.releases[chosen.id] = replace(chosen, state=LIVE, activated_at=self.now)

    def _move(self, moved: Instance, state: InstanceState) -> None:
        if state is not moved.state:
            draining = self.now if state is InstanceState.DRAINING else None
            standby = self.now if state is InstanceState.STANDBY else None
            self.instances[moved.id] = replace(moved, state=state, draining_since=draining, standby_since=standby)

    def _run(self, number: int) -> None:
        self.running.add(number)
        self.started_at[number] = self.now - START

    def _end(self, number: int) -> None:
        before = self.exits.get(number)
        steady = self.now - START - self.started_at[number] >= STEADY_AFTER
        restarts = 0 if before is None or steady else before.restarts + 1
        self.exits[number] = Exit(at=self.now, restarts=restarts)
        for numbers in (self.running, self.stopping, self.busy, self.reachable):
            numbers.discard(number)


EVENTS: list[Callable[[World, int], object]] = [
    World.push,
    World.start,
    World.activate,
    World.roll_back,
    World.fail,
    World.crash,
    World.hang,
    World.finish,
    World.reload,
    World.close,
    World.restart_daemon,
    World.wait,
    World.reconcile,
]
HISTORIES = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 99)), max_size=60)


def world_after(history: list[tuple[Callable[[World, int], object], int]]) -> World:
    """Return the world after two releases of master, the first still with a request in flight, and then `history`."""
    world = World()
    for _ in range(2):
        world.push(0)
        world.start(0)
        world.activate(0)
    world.hang(0)
    for event, pick in history:
        event(world, pick)
    return world


@given(HISTORIES)
@settings(max_examples=150)
def test_whatever_happened_plans_lead_to_what_should_be_and_the_next_plan_is_empty(
    history: list[tuple[Callable[[World, int], object], int]],
) -> None:
    world = world_after(history)

    world.settle()

    assert plan(world.desired, world.observed, WARM) == ()
    looked_after = {r.id for r in world.releases.values() if r.state in UNFINISHED} - world.deserted
    wanted = {
        each.id
        for each in world.instances.values()
        if world.releases[each.release_id].state is LIVE and each.state not in LEAVING
    }
    deploying = {each.id for each in world.instances.values() if each.release_id in looked_after}
    assert set(world.instances) == wanted | deploying
    assert wanted <= world.running <= wanted | deploying
    assert all(world.serving(r) == world.sizes[r.id] for r in world.releases.values() if r.state is LIVE)
    states = {r.state for r in world.releases.values() if r.id not in looked_after}
    assert states <= {LIVE, ReleaseState.RETIRED, ReleaseState.FAILED}


@given(HISTORIES)
@settings(max_examples=100)
def test_what_is_live_and_runs_is_never_touched(history: list[tuple[Callable[[World, int], object], int]]) -> None:
    world = world_after(history)
    well = {
        each.id
        for each in world.instances.values()
        if world.releases[each.release_id].state is LIVE and each.state not in LEAVING and each.id in world.running
    }
    for action in plan(world.desired, world.observed, WARM):
        if isinstance(action, StartInstance | StopInstance | MarkStopped):
            assert action.instance.id not in well


@given(HISTORIES)
@settings(max_examples=100)
def test_at_most_one_release_of_a_branch_stands_by(history: list[tuple[Callable[[World, int], object], int]]) -> None:
    world = world_after(history)
    warm = {each.release_id for each in world.instances.values() if each.state is InstanceState.STANDBY}
    branches = [world.releases[number].branch for number in warm]
    assert len(branches) == len(set(branches))


def observed(**values: object) -> Observed:
    """Return an observation at the start, with nothing but `values`."""
    return Observed(**{"now": START, "exits": {}, **values})  # type: ignore[arg-type]


def test_nothing_is_planned_for_nothing() -> None:
    assert plan(Snapshot(), observed()) == ()


def test_a_draining_instance_is_stopped_when_it_is_idle() -> None:
    old = release(1, state=DRAINING)
    draining = instance(11, old, InstanceState.DRAINING)
    desired = Snapshot(releases=(old,), instances=(draining,))
    assert plan(desired, observed(running=frozenset({11}), busy=frozenset({11}))) == ()
    assert plan(desired, observed(running=frozenset({11}))) == (StopInstance(draining),)


@pytest.mark.parametrize(("seconds", "drains"), [(0, False), (899.999, False), (900, True), (3600, True)])
def test_an_instance_that_stands_by_drains_after_15_minutes(seconds: float, drains: bool) -> None:
    old = release(1, state=DRAINING)
    warm = instance(11, old, InstanceState.STANDBY)
    seen = observed(now=START + SECOND * seconds, running=frozenset({11}))
    actions = plan(Snapshot(releases=(old,), instances=(warm,)), seen)
    assert actions == ((DrainInstance(warm),) if drains else ())


def test_an_instance_that_dies_while_it_stands_by_is_over() -> None:
    old = release(1, state=DRAINING)
    warm = instance(11, old, InstanceState.STANDBY)
    assert plan(Snapshot(releases=(old,), instances=(warm,)), observed()) == (MarkStopped(warm),)


SECONDS_AND_END = [(4, 3.999, False), (4, 4, True), (600, 599.999, False), (600, 600, True), (600, 9999, True)]


@pytest.mark.parametrize(("timeout", "seconds", "stopped"), SECONDS_AND_END)
def test_what_is_in_flight_goes_on_until_the_drain_timeout_of_its_release(
    timeout: float, seconds: float, stopped: bool
) -> None:
    old = release(1, state=DRAINING, manifest=patient(timeout))
    draining = instance(11, old, InstanceState.DRAINING)
    seen = observed(now=START + SECOND * seconds, running=frozenset({11}), busy=frozenset({11}))
    actions = plan(Snapshot(releases=(old,), instances=(draining,)), seen)
    assert actions == ((StopInstance(draining),) if stopped else ())


def test_the_drain_timeout_is_600_seconds_where_nothing_was_said() -> None:
    assert drain_timeout(release(1)) == drain_timeout(release(1, manifest=None)) == SECOND * 600


@pytest.mark.parametrize(("timeout", "end"), [(4, 30), (600, 600)])
def test_what_an_idle_connection_leads_to_waits_for_it_30_seconds_at_least(timeout: float, end: float) -> None:
    old = release(1, state=DRAINING, manifest=patient(timeout))
    draining = instance(11, old, InstanceState.DRAINING)
    desired = Snapshot(releases=(old,), instances=(draining,))

    def actions(seconds: float, reachable: frozenset[int]) -> tuple[Action, ...]:
        seen = observed(now=START + SECOND * seconds, running=frozenset({11}), reachable=reachable)
        return plan(desired, seen)

    assert actions(end - 0.001, frozenset({11})) == ()
    assert actions(end - 0.001, frozenset({12})) == (StopInstance(draining),)
    assert actions(end, frozenset({11})) == (StopInstance(draining),)


def test_a_worker_is_stopped_at_once() -> None:
    old = release(1, state=DRAINING)
    worker = instance(11, old, InstanceState.DRAINING, type=ProcessType("worker"))
    seen = observed(running=frozenset({11}), reachable=frozenset({11}))
    assert plan(Snapshot(releases=(old,), instances=(worker,)), seen) == (StopInstance(worker),)


def test_a_drained_release_is_retired_when_its_last_instance_is_over() -> None:
    old = release(1, state=DRAINING)
    draining = instance(11, old, InstanceState.DRAINING)
    assert plan(Snapshot(releases=(old,), instances=(draining,)), observed()) == (MarkStopped(draining),)
    assert plan(Snapshot(releases=(old,)), observed()) == (RetireRelease(old),)


def test_an_instance_that_died_is_started_again_after_1_2_4_and_so_on_to_60_seconds() -> None:
    live = release(1)
    dead = instance(11, live)
    desired = Snapshot(releases=(live,), instances=(dead,))
    waited = []
    for restarts in range(9):
        exits = {11: Exit(at=START, restarts=restarts)}
        seconds = next(s for s in range(100) if plan(desired, observed(now=START + SECOND * s, exits=exits)) != ())
        assert plan(desired, observed(now=START + SECOND * seconds, exits=exits)) == (StartInstance(dead, live),)
        waited.append(seconds)
    assert waited == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_back_off_stays_at_60_seconds_however_often_it_failed() -> None:
    assert back_off(100_000) == SECOND * 60


def test_an_instance_that_was_never_seen_to_end_is_started_at_once() -> None:
    live = release(1)
    lost = instance(11, live)
    assert plan(Snapshot(releases=(live,), instances=(lost,)), observed()) == (StartInstance(lost, live),)


@pytest.mark.parametrize("state", UNFINISHED)
def test_a_deserted_release_is_abandoned_and_one_that_is_looked_after_is_left_alone(state: ReleaseState) -> None:
    left = release(1, state=state)
    desired = Snapshot(releases=(left,), instances=(instance(11, left, InstanceState.STARTING),))
    assert plan(desired, observed(running=frozenset({11}))) == ()
    assert plan(desired, observed(running=frozenset({11}), deserted=frozenset({1}))) == (AbandonRelease(left),)


@pytest.mark.parametrize("state", [ReleaseState.FAILED, ReleaseState.RETIRED])
def test_what_was_started_of_a_release_that_is_over_is_stopped(state: ReleaseState) -> None:
    over = release(1, state=state)
    started = instance(11, over, InstanceState.STARTING)
    desired = Snapshot(releases=(over,), instances=(started,))
    assert plan(desired, observed(running=frozenset({11}))) == (StopInstance(started),)
    assert plan(desired, observed()) == (MarkStopped(started),)


class TestTheClockWasSetBackAnHour:
    """What was stamped before lies in the future; nothing waits for that."""

    now = START - timedelta(hours=1)

    def test_what_crashed_is_started(self) -> None:
        live = release(1)
        dead = instance(11, live)
        seen = observed(now=self.now, exits={11: Exit(at=START, restarts=9)})
        assert plan(Snapshot(releases=(live,), instances=(dead,)), seen) == (StartInstance(dead, live),)

    def test_what_stands_by_begins_to_drain(self) -> None:
        old = release(1, state=DRAINING)
        warm = instance(11, old, InstanceState.STANDBY, standby_since=START)
        seen = observed(now=self.now, running=frozenset({11}))
        assert plan(Snapshot(releases=(old,), instances=(warm,)), seen) == (DrainInstance(warm),)

    @pytest.mark.parametrize("busy", [True, False])
    def test_what_drains_is_stopped_once_it_is_idle(self, busy: bool) -> None:
        old = release(1, state=DRAINING)
        draining = instance(11, old, InstanceState.DRAINING)
        all_of_it = frozenset({11})
        seen = observed(now=self.now, running=all_of_it, reachable=all_of_it, busy=all_of_it if busy else frozenset())
        assert plan(Snapshot(releases=(old,), instances=(draining,)), seen) == (
            () if busy else (StopInstance(draining),)
        )
