"""A release and an instance only ever move as drawn."""

from itertools import product

import pytest

from balancer.domain.release import (
    INSTANCE_MOVES,
    RELEASE_MOVES,
    Instance,
    InstanceState,
    ReleaseState,
    check_instance_move,
    check_release_move,
)
from balancer.errors import IllegalTransition

LEGAL_RELEASE_MOVES = {
    ("building", "starting"),
    ("building", "failed"),
    ("starting", "live"),
    ("starting", "failed"),
    ("starting", "retired"),
    ("live", "draining"),
    ("draining", "retired"),
    ("draining", "live"),
    ("draining", "starting"),
    ("retired", "starting"),
}


@pytest.mark.parametrize(("before", "after"), list(product(ReleaseState, repeat=2)))
def test_a_release_moves_as_drawn_and_no_other_way(before: ReleaseState, after: ReleaseState) -> None:
    if (before.value, after.value) in LEGAL_RELEASE_MOVES:
        check_release_move(before, after)
    else:
        with pytest.raises(IllegalTransition, match=f"a {before.value} release cannot become {after.value}"):
            check_release_move(before, after)


@pytest.mark.parametrize(("before", "after"), list(product(InstanceState, repeat=2)))
def test_an_instance_moves_as_drawn_and_no_other_way(before: InstanceState, after: InstanceState) -> None:
    if after in INSTANCE_MOVES[before]:
        check_instance_move(before, after)
    else:
        with pytest.raises(IllegalTransition, match=f"a {before.value} instance cannot become {after.value}"):
            check_instance_move(before, after)


def test_a_failed_release_and_a_stopped_instance_are_over() -> None:
    assert not RELEASE_MOVES[ReleaseState.FAILED]
    assert not INSTANCE_MOVES[InstanceState.STOPPED]


def test_every_instance_can_be_stopped_whatever_it_is_doing() -> None:
    others = [state for state in InstanceState if state is not InstanceState.STOPPED]
    assert all(InstanceState.STOPPED in INSTANCE_MOVES[state] for state in others)


def test_every_state_can_be_reached_from_the_first_one() -> None:
    reached, before = {ReleaseState.BUILDING}, set[ReleaseState]()
    while reached != before:
        before = set(reached)
        reached |= {after for state in before for after in RELEASE_MOVES[state]}
    assert reached == set(ReleaseState)


def test_an_instance_is_known_to_the_proxy_by_its_release_and_its_own_number() -> None:
    instance = Instance(
        id=40, release_id=12, index=1, port=20000, state=InstanceState.STARTING, process=None, draining_since=None
    )
    assert instance.server == "r12-i40"
