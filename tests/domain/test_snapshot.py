"""What the registry says should be, asked for by app, by release and by branch."""

from balancer.domain.release import ReleaseState
from balancer.domain.snapshot import Snapshot
from values import BLOG, MASTER, SHOP, TEST, app, instance, release, split


def test_an_empty_snapshot_has_nothing_of_any_app() -> None:
    nothing = Snapshot()
    assert nothing.live(SHOP) == {}
    assert nothing.split_of(SHOP) is None
    assert nothing.instances_of(release(1)) == ()


def test_live_is_one_release_a_branch_of_that_app_alone() -> None:
    others = [release(number, state=state) for number, state in enumerate(ReleaseState, 10) if state.value != "live"]
    master, test, blog = release(1, "master"), release(2, "test"), release(3, "master", app="blog")
    snapshot = Snapshot(apps=(app(), app("blog")), releases=(*others, master, test, blog))
    assert snapshot.live(SHOP) == {MASTER: master, TEST: test}
    assert snapshot.live(BLOG) == {MASTER: blog}


def test_instances_of_a_release_come_oldest_first() -> None:
    one, two = release(1), release(2)
    snapshot = Snapshot(releases=(one, two), instances=(instance(3, one), instance(4, two), instance(5, one)))
    assert [found.id for found in snapshot.instances_of(one)] == [3, 5]


def test_a_split_is_that_of_its_app() -> None:
    shops, blogs = split({"master": 5000, "test": 5000}), split({"master": 9000, "new": 1000}, number=2, app="blog")
    snapshot = Snapshot(splits=(shops, blogs))
    assert snapshot.split_of(SHOP) == shops
    assert snapshot.split_of(BLOG) == blogs
