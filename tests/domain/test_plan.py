"""Plans lead from what is to what should be, and disturb nobody on the way."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.domain.plan import (
    DRAIN_TIMEOUT,
    STEADY_AFTER,
    AbandonRelease,
    Action,
    Exit,
    MarkStopped,
    Observed,
    RetireRelease,
    StartInstance,
    StopInstance,
    back_off,
    plan,
)
from balancer.domain.release import Instance, InstanceState, Release, ReleaseState
from balancer.domain.snapshot import Snapshot
from values import START, app, instance, release

T = TypeVar("T")
SECOND = timedelta(seconds=1)
LIVE, DRAINING = ReleaseState.LIVE, ReleaseState.DRAINING
UNFINISHED = (ReleaseState.BUILDING, ReleaseState.STARTING)


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
        self.deserted: frozenset[int] = frozenset()
        self.exits: dict[int, Exit] = {}
        self.started_at: dict[int, timedelta] = {}

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
            deserted=self.deserted,
            exits=dict(self.exits),
        )

    # What people and the world do.

    def push(self, pick: int) -> None:
        """Someone pushes: a release is being built."""
        number = len(self.releases) + 1
        self.releases[number] = release(number, ("master", "test")[pick % 2], state=ReleaseState.BUILDING)

    def start(self, pick: int) -> None:
        """A build is done: one instance or two are started."""
        if chosen := self._pick([r for r in self.releases.values() if r.state is ReleaseState.BUILDING], pick):
            self._to(chosen, ReleaseState.STARTING)
            self.sizes[chosen.id] = 1 + pick % 2
            for index in range(1, 1 + self.sizes[chosen.id]):
                number = 100 * chosen.id + index
                self.instances[number] = instance(number, chosen, InstanceState.STARTING, index=index)
                self._run(number)

    def activate(self, pick: int) -> None:
        """A started release is healthy and goes live; the one before drains."""
        ready = [r for r in self.releases.values() if r.state is ReleaseState.STARTING and r.id not in self.deserted]
        if chosen := self._pick(ready, pick):
            self._make_live(chosen)

    def roll_back(self, pick: int) -> None:
        """A release that still drains, and of which no instance has ended or been asked to, is made live again."""
        whole = [r for r in self.releases.values() if r.state is DRAINING and self.serving(r) == self.sizes[r.id]]
        if chosen := self._pick(whole, pick):
            self._make_live(chosen)

    def fail(self, pick: int) -> None:
        """A deploy fails."""
        if chosen := self._pick([r for r in self.releases.values() if r.state in UNFINISHED], pick):
            self._to(chosen, ReleaseState.FAILED)

    def crash(self, pick: int) -> None:
        """A process dies by itself."""
        if (number := self._pick(sorted(self.running), pick)) is not None:
            self._end(number)

    def hang(self, pick: int) -> None:
        """A request begins that will not end, on an instance that drains: it came before."""
        draining = [each.id for each in self.instances.values() if each.state is InstanceState.DRAINING]
        if (number := self._pick(draining, pick)) is not None and number in self.running - self.stopping:
            self.busy.add(number)

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
        actions = plan(self.desired, self.observed)
        for action in actions:
            match action:
                case StartInstance(started, of):
                    assert of.state is LIVE
                    assert started.id not in self.running
                    end = self.exits.get(started.id)
                    assert end is None or self.now >= end.at + back_off(end.restarts)
                    self._run(started.id)
                case StopInstance(stopped):
                    draining = stopped.state is InstanceState.DRAINING
                    assert draining or self.releases[stopped.release_id].state is not LIVE
                    if stopped.id in self.busy:
                        assert stopped.draining_since is not None
                        assert self.now >= stopped.draining_since + DRAIN_TIMEOUT
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
        """Reconcile each second for three minutes: longer than any drain and any back-off."""
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

    def _make_live(self, chosen: Release) -> None:
        for other in list(self.releases.values()):
            if other.state is LIVE and other.branch == chosen.branch:
                self._to(other, DRAINING)
                self._move_instances(other, InstanceState.DRAINING)
        self._to(chosen, LIVE)
        self._move_instances(chosen, InstanceState.HEALTHY)

    def _move_instances(self, of: Release, state: InstanceState) -> None:
        since = self.now if state is InstanceState.DRAINING else None
        for number, each in self.instances.items():
            if each.release_id == of.id:
                self.instances[number] = replace(each, state=state, draining_since=since)

    def _run(self, number: int) -> None:
        self.running.add(number)
        self.started_at[number] = self.now - START

    def _end(self, number: int) -> None:
        before = self.exits.get(number)
        steady = self.now - START - self.started_at[number] >= STEADY_AFTER
        restarts = 0 if before is None or steady else before.restarts + 1
        self.exits[number] = Exit(at=self.now, restarts=restarts)
        for numbers in (self.running, self.stopping, self.busy):
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

    assert plan(world.desired, world.observed) == ()
    looked_after = {r.id for r in world.releases.values() if r.state in UNFINISHED} - world.deserted
    wanted = {
        each.id
        for each in world.instances.values()
        if world.releases[each.release_id].state is LIVE and each.state is not InstanceState.DRAINING
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
        if world.releases[each.release_id].state is LIVE
        and each.state is not InstanceState.DRAINING
        and each.id in world.running
    }
    for action in plan(world.desired, world.observed):
        if isinstance(action, StartInstance | StopInstance | MarkStopped):
            assert action.instance.id not in well


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


@pytest.mark.parametrize(("seconds", "stopped"), [(0, False), (29.999, False), (30, True), (3600, True)])
def test_a_busy_draining_instance_is_stopped_after_30_seconds(seconds: float, stopped: bool) -> None:
    old = release(1, state=DRAINING)
    draining = instance(11, old, InstanceState.DRAINING)
    seen = observed(now=START + SECOND * seconds, running=frozenset({11}), busy=frozenset({11}))
    actions = plan(Snapshot(releases=(old,), instances=(draining,)), seen)
    assert actions == ((StopInstance(draining),) if stopped else ())


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
