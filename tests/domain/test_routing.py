"""What the proxy should do follows from apps, live releases and splits."""

from dataclasses import replace

import pytest

from balancer.domain.app import BranchName
from balancer.domain.release import InstanceState, ReleaseState
from balancer.domain.routing import (
    AppRoute,
    Role,
    RouteTable,
    RouteTables,
    backend_name,
    branch_host,
    hosts_of,
    route_table,
)
from balancer.domain.snapshot import Snapshot
from values import LOCALHOST, MASTER, TEST, app, instance, release, split

EVEN = {"master": 5000, "test": 5000}
A, B, D, S = Role.ACTIVE, Role.BACKUP, Role.DRAINING, Role.STANDBY
H, U = InstanceState.HEALTHY, InstanceState.UNHEALTHY


def route(snapshot: Snapshot) -> AppRoute:
    """Return the route of the one app."""
    (found,) = route_table(snapshot, LOCALHOST).apps
    return found


def servers(found: AppRoute) -> dict[str, list[tuple[str, Role]]]:
    """Return the servers of each backend."""
    return {backend.name: [(s.name, s.role) for s in backend.servers] for backend in found.backends}


def two_branches(*, in_a_split: bool = True) -> Snapshot:
    """Return the shop with master and test live, one instance each."""
    master, test = release(1, "master"), release(2, "test")
    return Snapshot(
        apps=(app(),),
        releases=(master, test),
        instances=(instance(11, master), instance(12, test)),
        splits=(split(EVEN),) if in_a_split else (),
    )


def test_nothing_leads_to_no_routes() -> None:
    assert route_table(Snapshot(), LOCALHOST) == RouteTable()


def test_the_same_snapshot_gives_the_same_table() -> None:
    assert route_table(two_branches(), LOCALHOST) == route_table(two_branches(), LOCALHOST)


def test_an_app_without_a_live_release_has_its_hosts_and_no_backend() -> None:
    snapshot = Snapshot(apps=(app(default=None, domains=("shop.example",)),))
    assert route(snapshot).hosts == ("shop.localhost", "shop.example")
    assert route(snapshot).default_backend is None
    assert route(snapshot).backends == ()


def test_an_app_whose_default_branch_is_not_live_sends_nobody_elsewhere() -> None:
    found = route(Snapshot(apps=(app(default="master"),), releases=(release(1, "test"),)))
    assert found.default_backend is None
    assert [backend.name for backend in found.backends] == ["test--shop"]


def test_every_live_branch_has_a_backend_and_a_host_of_its_own() -> None:
    found = route(two_branches(in_a_split=False))
    assert found.branch_hosts == {
        "master--shop.localhost": "master--shop",
        "test--shop.localhost": "test--shop",
    }
    assert found.default_backend == "master--shop"
    assert servers(found) == {"master--shop": [("r1-i11", A)], "test--shop": [("r2-i12", A)]}
    assert found.split is None


def test_a_branch_that_is_no_label_has_a_host_all_the_same() -> None:
    odd = BranchName("feat/X")
    assert branch_host("shop", odd, LOCALHOST) == f"{odd.slug}--shop.localhost"
    assert backend_name("shop", odd) == f"{odd.slug}--shop"


def test_the_platforms_own_host_comes_first() -> None:
    assert hosts_of(app(domains=("b.example", "a.example")), LOCALHOST) == (
        "shop.localhost",
        "b.example",
        "a.example",
    )


def test_only_instances_of_live_releases_get_new_requests() -> None:
    snapshots = {
        state: Snapshot(
            apps=(app(),), releases=(release(1), release(2, state=state)), instances=(instance(11, 1), instance(12, 2))
        )
        for state in ReleaseState
        if state is not ReleaseState.LIVE
    }
    for state, snapshot in snapshots.items():
        assert servers(route(snapshot)) == {"master--shop": [("r1-i11", A)]}, state


def test_an_instance_that_drains_stays_known_to_its_branch_until_it_is_stopped() -> None:
    old, new = release(1, state=ReleaseState.DRAINING), release(2)
    draining = instance(11, old, InstanceState.DRAINING)
    snapshot = Snapshot(apps=(app(),), releases=(old, new), instances=(draining, instance(12, new)))
    assert servers(route(snapshot)) == {"master--shop": [("r2-i12", A), ("r1-i11", D)]}
    assert servers(route(Snapshot(apps=(app(),), releases=(old, new), instances=(instance(12, new),)))) == {
        "master--shop": [("r2-i12", A)]
    }


def test_an_instance_that_stands_by_serves_only_while_no_active_one_can() -> None:
    """Its server of before drains; another one is a backup."""
    old, new = release(1, state=ReleaseState.DRAINING), release(2)
    warm = instance(11, old, InstanceState.STANDBY)
    snapshot = Snapshot(apps=(app(),), releases=(old, new), instances=(warm, instance(12, new)))
    assert servers(route(snapshot)) == {"master--shop": [("r2-i12", A), ("r1-i11", D), ("standby.r1-i11", S)]}


def test_what_stands_by_serves_its_own_branch_and_no_other() -> None:
    snapshot = two_branches()
    old = release(3, "test", state=ReleaseState.DRAINING)
    wider = Snapshot(
        apps=snapshot.apps,
        releases=(*snapshot.releases, old),
        instances=(*snapshot.instances, instance(13, old, InstanceState.STANDBY)),
        splits=snapshot.splits,
    )
    assert servers(route(wider)) == {
        "master--shop": [("r1-i11", A), ("backup.r2-i12", B)],
        "test--shop": [("r2-i12", A), ("r3-i13", D), ("standby.r3-i13", S), ("backup.r1-i11", B)],
    }


def test_an_instance_that_drains_gets_nothing_new_even_while_its_release_is_live() -> None:
    live = release(1)
    snapshot = Snapshot(
        apps=(app(),), releases=(live,), instances=(instance(11, live), instance(12, live, InstanceState.DRAINING))
    )
    assert servers(route(snapshot)) == {"master--shop": [("r1-i11", A), ("r1-i12", D)]}


@pytest.mark.parametrize(
    ("states", "roles"),
    [
        ((H, U, InstanceState.STARTING), [("r1-i1", A), ("r1-i2", D)]),
        ((U, H), [("r1-i2", A), ("r1-i1", D)]),
        ((U, U), [("r1-i1", A), ("r1-i2", A)]),
    ],
)
def test_unhealthy_instances_get_nothing_new_while_one_is_well(
    states: tuple[InstanceState, ...], roles: list[tuple[str, Role]]
) -> None:
    live = release(1)
    snapshot = Snapshot(
        apps=(app(),), releases=(live,), instances=tuple(instance(n, live, s) for n, s in enumerate(states, 1))
    )
    assert servers(route(snapshot)) == {"master--shop": roles}


def test_where_all_of_a_variant_are_unhealthy_its_stand_ins_serve() -> None:
    snapshot = two_branches()
    sick = replace(snapshot, instances=tuple(replace(i, state=U) if i.id == 12 else i for i in snapshot.instances))
    assert servers(route(sick)) == {
        "master--shop": [("r1-i11", A)],
        "test--shop": [("r2-i12", D), ("backup.r1-i11", B)],
    }


def test_an_instance_is_routed_to_where_it_listens() -> None:
    live = release(1)
    snapshot = Snapshot(apps=(app(),), releases=(live,), instances=(instance(11, live, host="::1"),))
    (server,) = route(snapshot).backends[0].servers
    assert (server.host, server.port) == ("::1", 20011)


def test_a_backend_is_reached_only_through_hosts_of_its_own_app() -> None:
    shop, blog = release(1, app="shop"), release(2, app="blog")
    table = route_table(Snapshot(apps=(app("shop"), app("blog")), releases=(shop, blog)), LOCALHOST)
    for found in table.apps:
        assert found.default_backend == f"master--{found.name}"
        assert set(found.branch_hosts.values()) == {f"master--{found.name}"}
        assert all(host.endswith(f"{found.name}.localhost") for host in (*found.hosts, *found.branch_hosts))


def test_a_split_gives_its_allocation_and_the_backend_of_each_variant() -> None:
    found = route(two_branches()).split
    assert found is not None
    assert (found.id, found.phase) == ("s1", 1)
    assert found.backends == {"master": "master--shop", "test": "test--shop"}
    assert [(piece.start, piece.stop, piece.variant) for piece in found.allocation] == [
        (0, 32_768, MASTER),
        (32_768, 65_536, TEST),
    ]


def test_of_several_variants_that_have_weight_none_leads_to_that_of_weight_0() -> None:
    third = release(3, "third")
    snapshot = two_branches(in_a_split=False)
    snapshot = replace(
        snapshot,
        releases=(*snapshot.releases, third),
        splits=(split({**EVEN, "third": 0}),),
    )
    found = route(snapshot).split
    assert found is not None
    assert found.backends == {"master": "master--shop", "test": "test--shop"}


@pytest.mark.parametrize("only", ["master", "test"])
def test_where_one_variant_has_all_the_weight_every_variant_leads_to_it(only: str) -> None:
    weights = {branch: 10_000 if branch == only else 0 for branch in EVEN}
    found = route(replace(two_branches(), splits=(split(EVEN, weights),))).split
    assert found is not None
    assert found.backends == {"master": f"{only}--shop", "test": f"{only}--shop"}
    assert {piece.variant for piece in found.allocation} == {only}


def test_the_latency_objective_is_that_of_the_default_branch() -> None:
    master, test = two_branches().releases
    slow = [
        replace(each, manifest=replace(each.manifest, slow_after_milliseconds=number))
        for each, number in ((master, 800), (test, 5))
        if each.manifest
    ]
    assert route(two_branches()).slow_after_milliseconds is None
    assert route(replace(two_branches(), releases=tuple(slow))).slow_after_milliseconds == 800


def test_in_a_split_the_control_stands_in_for_a_variant_and_the_others_for_the_control() -> None:
    assert servers(route(two_branches())) == {
        "master--shop": [("r1-i11", A), ("backup.r2-i12", B)],
        "test--shop": [("r2-i12", A), ("backup.r1-i11", B)],
    }


def test_among_three_variants_only_the_control_stands_in_for_the_other_two() -> None:
    releases = tuple(release(n, name) for n, name in enumerate(("master", "test", "blue"), 1))
    snapshot = Snapshot(
        apps=(app(),),
        releases=releases,
        instances=tuple(instance(each.id + 10, each) for each in releases),
        splits=(split({"master": 4000, "test": 3000, "blue": 3000}, control="test"),),
    )
    assert servers(route(snapshot)) == {
        "master--shop": [("r1-i11", A), ("backup.r2-i12", B)],
        "test--shop": [("r2-i12", A), ("backup.r1-i11", B), ("backup.r3-i13", B)],
        "blue--shop": [("r3-i13", A), ("backup.r2-i12", B)],
    }


def test_a_live_branch_outside_the_split_has_nobody_to_stand_in() -> None:
    snapshot = two_branches()
    blue = release(3, "blue")
    wider = Snapshot(
        apps=snapshot.apps,
        releases=(*snapshot.releases, blue),
        instances=(*snapshot.instances, instance(13, blue)),
        splits=snapshot.splits,
    )
    assert servers(route(wider))["blue--shop"] == [("r3-i13", A)]


def test_a_draining_instance_stands_in_for_nobody() -> None:
    snapshot = two_branches()
    old = release(3, "test", state=ReleaseState.DRAINING)
    wider = Snapshot(
        apps=snapshot.apps,
        releases=(*snapshot.releases, old),
        instances=(*snapshot.instances, instance(13, old, InstanceState.DRAINING)),
        splits=snapshot.splits,
    )
    assert servers(route(wider)) == {
        "master--shop": [("r1-i11", A), ("backup.r2-i12", B)],
        "test--shop": [("r2-i12", A), ("r3-i13", D), ("backup.r1-i11", B)],
    }


def test_a_variant_whose_instance_is_gone_is_served_by_the_control_and_keeps_its_visitors() -> None:
    snapshot = two_branches()
    crashed = Snapshot(
        apps=snapshot.apps, releases=snapshot.releases, instances=(instance(11, 1),), splits=snapshot.splits
    )
    found = route(crashed)
    assert servers(found)["test--shop"] == [("backup.r1-i11", B)]
    assert found.split == route(snapshot).split


def test_a_variant_of_the_split_that_is_not_live_is_left_to_the_default_branch() -> None:
    snapshot = two_branches()
    gone = Snapshot(apps=snapshot.apps, releases=snapshot.releases[:1], splits=snapshot.splits)
    found = route(gone).split
    assert found is not None
    assert found.backends == {"master": "master--shop"}
    assert [piece.variant for piece in found.allocation] == [MASTER]


def test_a_push_to_one_of_two_branches_leaves_the_backends_in_their_order() -> None:
    """Another order would be another skeleton of the proxy, and so a reload."""
    before = two_branches(in_a_split=False)
    again = release(3, "master")
    after = replace(before, releases=(before.releases[1], again), instances=(instance(12, 2), instance(13, again)))
    names = [backend.name for backend in route(before).backends]
    assert [backend.name for backend in route(after).backends] == names == ["master--shop", "test--shop"]


def test_what_is_promoted_is_what_visitors_see() -> None:
    before = two_branches(in_a_split=False)
    found = route(replace(before, apps=(replace(app(), promoted=TEST),)))
    assert found.default_backend == "test--shop"
    gone = replace(before, apps=(replace(app(), promoted=TEST),), releases=before.releases[:1])
    assert route(gone).default_backend == "master--shop", "rather than nothing"


def changed_snapshots() -> list[Snapshot]:
    """Return snapshots, each of which differs from the one before in one thing of the shop."""
    master, test, blog = release(1, "master"), release(2, "test"), release(3, app="blog")
    warm = release(4, "test", state=ReleaseState.DRAINING)
    instances = (instance(11, master), instance(12, test), instance(13, blog))
    apps = (app(), app("blog"))
    first = Snapshot(apps=apps, releases=(master, test, blog), instances=instances)
    return [
        first,
        replace(first, splits=(split(EVEN),)),
        replace(first, splits=(split(EVEN, {"master": 1000, "test": 9000}),)),
        replace(first, instances=(instance(11, master, U), *instances[1:])),
        replace(first, instances=(*instances, instance(14, master))),
        replace(first, releases=(*first.releases, warm), instances=(*instances, instance(15, warm, H))),
        replace(
            first, releases=(*first.releases, warm), instances=(*instances, instance(15, warm, InstanceState.STANDBY))
        ),
        replace(first, apps=(app(domains=("shop.example",)), apps[1])),
        replace(first, releases=(master, replace(test, state=ReleaseState.DRAINING), blog)),
        first,
    ]


def test_tables_one_after_the_other_are_those_that_each_snapshot_alone_leads_to() -> None:
    tables = RouteTables(LOCALHOST)
    for snapshot in changed_snapshots():
        assert tables.of(snapshot) == route_table(snapshot, LOCALHOST)
        assert tables.of(snapshot) is tables.of(snapshot)


def test_the_route_of_an_app_of_which_nothing_has_changed_is_the_one_of_before() -> None:
    tables = RouteTables(LOCALHOST)
    before = tables.of(changed_snapshots()[0]).apps
    for snapshot in changed_snapshots()[1:]:
        shop, blog = tables.of(snapshot).apps
        assert blog is before[1]
    assert shop == before[0]


def test_an_app_that_was_gone_is_routed_anew() -> None:
    first = changed_snapshots()[0]
    tables = RouteTables(LOCALHOST)
    tables.of(first)
    assert tables.of(Snapshot()).apps == ()
    assert tables.of(first) == route_table(first, LOCALHOST)
