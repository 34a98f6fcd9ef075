"""What the registry says should be, asked for by app, by release and by branch."""

from dataclasses import replace

from balancer.domain.release import ReleaseState
from balancer.domain.snapshot import AppPart, Snapshot
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


def test_the_part_of_an_app_is_all_that_is_its_own_and_nothing_else() -> None:
    master, blog = release(1), release(2, app="blog")
    one, two = instance(11, master), instance(12, blog)
    shops = split({"master": 5000, "test": 5000})
    snapshot = Snapshot(apps=(app(), app("blog")), releases=(master, blog), instances=(one, two), splits=(shops,))
    shop, blog_app = snapshot.apps
    assert snapshot.part(shop) == AppPart(shop, (master,), ((one,),), shops)
    assert snapshot.part(blog_app) == AppPart(blog_app, (blog,), ((two,),), None)


def test_how_it_is_looked_up_is_no_part_of_what_it_is() -> None:
    one = Snapshot(apps=(app(),), releases=(release(1),))
    assert one == Snapshot(apps=(app(),), releases=(release(1),))
    assert replace(one, releases=()).releases_of(SHOP) == ()
    assert "_releases_of" not in repr(one)
