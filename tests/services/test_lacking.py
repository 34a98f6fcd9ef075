"""Which apps lack something that serves."""

from dataclasses import replace

from balancer.domain.app import AppMode
from balancer.domain.release import InstanceState, ReleaseState
from balancer.domain.snapshot import Snapshot
from balancer.services.lacking import lacking
from values import BLOG, SHOP, app, instance, release


def test_an_app_lacks_an_instance_that_is_not_healthy_or_whose_process_is_not_there() -> None:
    shop, blog = release(1), release(2, app="blog")
    both = Snapshot(
        apps=(app(), app("blog")),
        releases=(shop, blog),
        instances=(instance(1, shop), instance(2, blog), instance(3, shop, InstanceState.STANDBY)),
    )
    assert lacking(both, {1, 2}) == frozenset()
    assert lacking(both, {1}) == {BLOG}
    sick = replace(both, instances=(instance(1, shop, InstanceState.UNHEALTHY), instance(2, blog)))
    assert lacking(sick, {1, 2}) == {SHOP}


def test_what_is_not_live_and_what_was_stopped_on_purpose_lacks_nothing() -> None:
    shop = release(1)
    stopped = Snapshot(apps=(replace(app(), mode=AppMode.STOPPED),), releases=(shop,), instances=(instance(1, shop),))
    assert lacking(stopped, set()) == frozenset()
    building = release(1, state=ReleaseState.BUILDING)
    begun = Snapshot(apps=(app(),), releases=(building,), instances=(instance(1, building, InstanceState.STARTING),))
    assert lacking(begun, set()) == frozenset()
