"""What HAProxy reads follows from the route table alone, and HAProxy takes it."""

import os
import re
import socket
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, ip_network
from pathlib import Path

import pytest

from balancer.domain.allocation import BUCKETS
from balancer.domain.app import AppMode
from balancer.domain.audience import Audience
from balancer.domain.manifest import Privacy
from balancer.domain.release import InstanceState, ReleaseState
from balancer.domain.routing import AppRoute, RouteTable, RouteTables, route_table
from balancer.domain.snapshot import Snapshot
from balancer.domain.split import Split
from balancer.proxy.frontend import BEACON_LIMIT_BYTES
from balancer.proxy.installed import find_executable
from balancer.proxy.render import Renderer, Rendering, render, server_arguments
from values import LOCALHOST, app, instance, release, split

EVEN = {"master": 5000, "test": 5000}


def table(*splits: Split, domains: tuple[str, ...] = (), test_instances: int = 1) -> RouteTable:
    """Return the routes of a shop with master and test, and of a blog with master."""
    master, test, blog = release(1), release(2, "test"), release(3, app="blog")
    instances = [instance(11, master), instance(13, blog)]
    instances += [instance(20 + index, test) for index in range(test_instances)]
    snapshot = Snapshot(
        apps=(app(domains=domains), app("blog")),
        releases=(master, test, blog),
        instances=tuple(instances),
        splits=splits,
    )
    return route_table(snapshot, LOCALHOST)


def rendered(routes: RouteTable) -> Rendering:
    """Render with few connections."""
    return render(routes, maxconn=100)


def block_of(blocks: Mapping[IPv4Network, str], address: int) -> str:
    """Return what HAProxy's map_ip finds, the only block that holds the address."""
    (found,) = (value for block, value in blocks.items() if IPv4Address(address) in block)
    return found


def test_the_same_table_gives_the_same_text() -> None:
    assert rendered(table(split(EVEN))).files() == rendered(table(split(EVEN))).files()


def test_the_number_of_connections_is_the_one_that_was_asked_for() -> None:
    assert "  maxconn 4711\n" in render(RouteTable(), maxconn=4711).config


@pytest.mark.parametrize(
    "routes",
    [
        table(test_instances=3),
        table(split(EVEN)),
        table(split({"master": 1, "test": 9999}, number=9)),
        table(split(EVEN, {"test": 2000, "master": 8000})),
        table(domains=("shop.example",)),
    ],
)
def test_servers_splits_and_domains_change_without_a_reload(routes: RouteTable) -> None:
    assert rendered(routes).skeleton == rendered(table()).skeleton


def test_an_app_or_a_branch_that_comes_or_goes_needs_a_reload() -> None:
    routes = table()
    shop, blog = routes.apps
    fewer_apps = RouteTable(apps=(shop,))
    fewer_branches = RouteTable(apps=(replace(shop, backends=shop.backends[:1]), blog))
    skeletons = {rendered(each).skeleton for each in (routes, fewer_apps, fewer_branches, RouteTable())}
    assert len(skeletons) == 4


def test_only_an_app_with_a_latency_objective_has_rules_for_it_and_another_one_needs_a_reload() -> None:
    shop, blog = table().apps
    timed = [RouteTable(apps=(replace(shop, slow_after_milliseconds=each), blog)) for each in (None, 800, 900)]
    assert len({rendered(each).skeleton for each in timed}) == 3
    rules = [rendered(each).config.count("http-request set-var(txn.asked)") for each in timed]
    assert rules == [0, len(shop.backends), len(shop.backends)]


def test_another_limit_of_connections_needs_a_reload() -> None:
    assert render(table(), maxconn=100).skeleton != render(table(), maxconn=101).skeleton


def test_other_trusted_proxies_need_a_reload() -> None:
    found = [
        render(table(), maxconn=100, trusted_proxies=[ip_network(each) for each in trusted]).skeleton
        for trusted in ([], ["192.0.2.7"], ["192.0.2.7", "::1"])
    ]
    assert len(set(found)) == 3
    assert found[0] == rendered(table()).skeleton


def test_the_configuration_tells_its_own_skeleton() -> None:
    found = rendered(table())
    assert f"  set-var proc.skeleton str({found.skeleton})\n" in found.config
    assert re.fullmatch(r"[0-9a-f]{16}", found.skeleton)


def test_every_file_that_the_configuration_reads_is_rendered() -> None:
    found = rendered(table(split(EVEN)))
    read = set(re.findall(r"\./([\w/]+\.(?:map|html|http|js|lua|lst))\b", found.config))
    assert read == set(found.files()) - {"haproxy.cfg"}
    assert list(found.files())[-1] == "haproxy.cfg"


def test_hosts_lead_to_apps_and_branches_of_their_own() -> None:
    maps = rendered(table(domains=("shop.example",))).maps
    assert maps["maps/hosts.map"] == {"shop.localhost": "shop", "shop.example": "shop", "blog.localhost": "blog"}
    assert maps["maps/defaults.map"] == {"shop": "master--shop", "blog": "master--blog"}
    assert maps["maps/branches.map"] == {
        "master--shop.localhost": "master--shop",
        "test--shop.localhost": "test--shop",
        "master--blog.localhost": "master--blog",
    }


def test_without_a_split_no_cookie_is_looked_up() -> None:
    maps = rendered(table()).maps
    assert not any(maps[f"maps/{name}.map"] for name in ("splits", "ranges", "variants", "begins"))
    assert maps["maps/fast.map"] == {"shop.localhost/": "master--shop", "blog.localhost/": "master--blog"}


def test_an_app_with_nothing_live_has_no_default() -> None:
    routes = route_table(Snapshot(apps=(app(default=None),)), LOCALHOST)
    assert rendered(routes).maps["maps/defaults.map"] == {}


def test_every_lookup_that_a_cookie_feeds_is_keyed_by_the_host_or_the_app_of_the_host() -> None:
    maps = rendered(table(split(EVEN, {"master": 8000, "test": 2000}), domains=("shop.example",))).maps
    assert maps["maps/splits.map"] == {"shop": "s1"}
    assert maps["maps/variants.map"] == {"shop/s1.master": "master--shop", "shop/s1.test": "test--shop"}
    assert maps["maps/fast.map"] == {
        f"{host}/s1.{slug}.{phase}.{counted}": f"{slug}--shop"
        for host in ("shop.localhost", "shop.example")
        for slug in ("master", "test")
        for phase in (1, 2)
        for counted in (0, 1)
    } | {"blog.localhost/": "master--blog"}
    assert maps["maps/begins.map"] == {"shop.localhost": "shop/s1", "shop.example": "shop/s1"}


def test_new_visitors_go_the_short_way_only_where_everyone_is_assigned() -> None:
    (shop,) = (each for each in table(split(EVEN)).apps if each.name == "shop")
    assert shop.split is not None

    def begins(route: AppRoute) -> Mapping[str, str]:
        return rendered(RouteTable(apps=(route,))).maps["maps/begins.map"]

    assert begins(shop) == {"shop.localhost": "shop/s1"}
    for narrower in (
        replace(shop.split, audience=Audience(path="/pricing")),
        replace(shop.split, allocation=()),
        replace(shop.split, held_out=(BUCKETS - 10, BUCKETS)),
    ):
        assert begins(replace(shop, split=narrower)) == {}
    assert begins(replace(shop, privacy=Privacy(consent=True, gpc=False))) == {}


@pytest.mark.parametrize(
    "running",
    [
        split(EVEN),
        split({"master": 1, "test": 9999}, number=65_535),
        split(EVEN, {"master": 9000, "test": 1000}, {"master": 3333, "test": 6667}, number=300),
        split({"master": 0, "test": 10_000}, number=2),
    ],
)
def test_every_bucket_is_looked_up_as_the_variant_that_it_is_assigned(running: Split) -> None:
    blocks = {IPv4Network(key): value for key, value in rendered(table(running)).maps["maps/ranges.map"].items()}
    assert len(blocks) < 80
    base, phase = running.id.number * BUCKETS, running.phase.number
    assert sum(block.num_addresses for block in blocks) == BUCKETS
    for piece in running.allocation:
        for place in (piece.start, (piece.start + piece.stop) // 2, piece.stop - 1):
            assert block_of(blocks, base + place) == f"{phase}.{piece.variant.slug}"
    shares = Counter[str]()
    for block, value in blocks.items():
        shares[value] += block.num_addresses
    assert all(abs(shares[f"{phase}.{b.slug}"] - w * BUCKETS / 10_000) <= 1 for b, w in running.phase.weights.items())


def test_two_splits_share_no_address() -> None:
    master, new = release(1, app="blog"), release(2, "new", app="blog")
    snapshot = Snapshot(
        apps=(app("blog"), app("shop")),
        releases=(master, new, release(3), release(4, "test")),
        splits=(split({"master": 5000, "new": 5000}, app="blog", number=1), split(EVEN, number=2)),
    )
    blocks = [IPv4Network(key) for key in rendered(route_table(snapshot, LOCALHOST)).maps["maps/ranges.map"]]
    assert sum(block.num_addresses for block in blocks) == 2 * BUCKETS
    assert not [1 for one in blocks for two in blocks if one is not two and one.overlaps(two)]


def test_a_draining_server_is_known_and_not_started_with() -> None:
    old, new = release(1, state=ReleaseState.DRAINING), release(2)
    snapshot = Snapshot(
        apps=(app(),),
        releases=(old, new),
        instances=(instance(11, old, InstanceState.DRAINING), instance(12, new)),
    )
    found = rendered(route_table(snapshot, LOCALHOST))
    assert set(found.servers) == {("master--shop", "r2-i12"), ("master--shop", "r1-i11")}
    assert "server r2-i12 127.0.0.1:20012 check" in found.config
    assert "r1-i11" not in found.config


def test_what_stands_by_is_preferred_to_stand_ins() -> None:
    """Both are backups, and all backups share: by their weights."""
    old, new = release(1, state=ReleaseState.DRAINING), release(2)
    snapshot = Snapshot(
        apps=(app(),), releases=(old, new), instances=(instance(11, old, InstanceState.STANDBY), instance(12, new))
    )
    found = rendered(route_table(snapshot, LOCALHOST))
    of_branch = {name for backend, name in found.servers if backend == "master--shop"}
    assert of_branch == {"r2-i12", "r1-i11", "standby.r1-i11"}
    assert re.findall(r"^  server (\S+ \S+) .* backup weight 256$", found.config, re.MULTILINE) == [
        "standby.r1-i11 127.0.0.1:20011"
    ]
    assert "server r1-i11 " not in found.config


def test_a_stand_in_serves_only_while_no_other_can() -> None:
    found = rendered(table(split(EVEN)))
    for (_, name), server in found.servers.items():
        assert name.startswith("backup.") == server_arguments(server).endswith(" backup")
        assert f"  server {name} {server_arguments(server)}\n" in found.config


def test_a_request_that_may_have_run_is_never_run_again() -> None:
    """But for a GET that was answered 404, in the spare backends, where files of the release before are looked for."""
    common, *backends = rendered(table()).config.split("\nbackend ")
    assert re.findall(r"^  retry-on (.*)$", common, re.MULTILINE) == ["conn-failure"]
    others = {text.split()[0].partition(".")[0] for text in backends if "retry-on" in text}
    assert others == {"window"}
    assert all("retry-on conn-failure 404\n" in text for text in backends if text.startswith("window."))
    assert re.findall(r"^  use_backend \S+windows\.map\S+ if !short (\S+)", common, re.MULTILINE) == ["METH_GET"]


def test_a_beacon_with_every_character_escaped_fits_a_line_of_the_log() -> None:
    (length,) = re.findall(r" len (\d+) ", rendered(table()).config)
    assert int(length) >= 2 * BEACON_LIMIT_BYTES


@pytest.mark.parametrize(
    "routes",
    [
        RouteTable(),
        table(),
        table(split(EVEN), domains=("shop.example",), test_instances=3),
        table(split({"master": 1, "test": 9999}, number=65_535)),
    ],
)
@pytest.mark.parametrize("trusted", [[], ["192.0.2.7", "10.0.0.0/8", "2001:db8::/32"]], ids=["alone", "behind proxies"])
def test_haproxy_takes_the_configuration_without_a_warning(
    routes: RouteTable, trusted: list[str], tmp_path: Path
) -> None:
    found = render(routes, maxconn=100, trusted_proxies=[ip_network(each) for each in trusted])
    for name, text in found.files().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with socket.create_server(("127.0.0.1", 0)) as site:
        done = subprocess.run(
            [find_executable("haproxy"), "-c", "-dW", "-f", "haproxy.cfg"],
            cwd=tmp_path,
            env={**os.environ, "BALANCER_WEB_FD": str(site.fileno()), "BALANCER_EDGE_FD": "1"},
            pass_fds=[site.fileno()],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr


def test_an_app_that_does_not_serve_is_known_by_all_its_hosts_and_has_no_fast_way() -> None:
    routes = table(split(EVEN))
    shop, blog = routes.apps
    serving, paused = rendered(routes), rendered(RouteTable(apps=(replace(shop, mode=AppMode.PAUSED), blog)))
    assert serving.maps["maps/modes.map"] == {}
    assert serving.maps["maps/fast.map"]
    assert paused.maps["maps/modes.map"] == dict.fromkeys(
        ("shop.localhost", "master--shop.localhost", "test--shop.localhost"), "paused"
    )
    assert not [key for key in paused.maps["maps/fast.map"] if key.startswith("shop.")]
    assert paused.maps["maps/begins.map"] == {}
    assert serving.skeleton == paused.skeleton


def test_renderings_one_after_the_other_are_those_that_each_table_alone_leads_to() -> None:
    renderer = Renderer(maxconn=100)
    tables = RouteTables(LOCALHOST)
    standing_by = [instance(11, 1), instance(12, 2), instance(13, 4, InstanceState.STANDBY)]
    releases = (release(1), release(2, "test"), release(4, "test", state=ReleaseState.DRAINING))
    for snapshot in (
        Snapshot(apps=(app(),), releases=releases[:2], instances=tuple(standing_by[:2])),
        Snapshot(apps=(app(),), releases=releases, instances=tuple(standing_by)),
        Snapshot(apps=(app(), app("blog")), releases=releases[:2], instances=tuple(standing_by[:1])),
        Snapshot(apps=(app("blog"), app()), releases=releases[:2], splits=(split(EVEN),)),
        Snapshot(),
        Snapshot(apps=(app(),), releases=releases[:2], instances=tuple(standing_by[:2])),
    ):
        routes = tables.of(snapshot)
        assert renderer.render(routes) == rendered(routes)
        assert renderer.render(routes) is renderer.render(routes)
