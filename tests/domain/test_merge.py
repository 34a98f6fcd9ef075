"""What people are told to merge."""

from dataclasses import replace

from balancer.domain.app import BranchName, Commit
from balancer.domain.merge import Merge

MERGE = Merge(default=BranchName("master"), winner=BranchName("test"), commit=Commit("9278c22f1a" + "0" * 30))


def test_where_pushes_are_canaries_it_asks_to_be_live_at_once() -> None:
    assert replace(MERGE, at_once=True).commands[-1] == "git push -o rollout=none balancer master"


def test_it_is_said_in_one_line_that_can_be_typed() -> None:
    assert str(MERGE) == (
        "master has commits that test has not, so it is not moved; visitors see test in its place until you have "
        "merged: git fetch balancer && git checkout master && git merge --ff-only balancer/master && "
        "git merge 9278c22 && git push balancer master"
    )
    assert str(MERGE).endswith(" && ".join(MERGE.commands))
