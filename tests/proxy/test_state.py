"""The commands between what HAProxy does and what it should do lead there, in an order that fails nobody."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.domain.release import Instance, InstanceState, Release, ReleaseState
from balancer.domain.routing import Role, RouteTable, route_table
from balancer.domain.snapshot import Snapshot
from balancer.proxy.render import Rendering, render, server_arguments
from balancer.proxy.state import AddServer, Admin, Command, DeleteServer, ProxyState, ReplaceMap, SetServer, changes
from values import LOCALHOST, app, instance, release, split

BRANCHES = ("master", "test", "feat/x")
# What tune.bufsize is unless it is set: HAProxy drops a longer command without an error.
BUFFER_BYTES = 16_384


class Simulated:
    """What HAProxy does with commands, by its manual."""

    def __init__(self, state: ProxyState, *, in_use: frozenset[tuple[str, str]] = frozenset()) -> None:
        self.skeleton = state.skeleton
        self.servers = dict(state.servers)
        self.arguments = dict.fromkeys(state.servers, "as in the configuration")
        self.maps = {name: dict(entries) for name, entries in state.maps.items()}
        self.in_use = in_use
        """Servers with connections: they cannot be deleted."""

    @property
    def state(self) -> ProxyState:
        return ProxyState(skeleton=self.skeleton, servers=dict(self.servers), maps=self.maps)

    def execute(self, command: Command) -> None:
        match command:
            case AddServer(backend, server, arguments):
                assert (backend, server) not in self.servers, "already exists a server with the same name"
                self.servers[backend, server] = Admin.READY
                self.arguments[backend, server] = arguments
            case SetServer(backend, server, admin):
                assert (backend, server) in self.servers, "no such server"
                self.servers[backend, server] = admin
            case DeleteServer(backend, server):
                if self.servers[backend, server] is Admin.MAINT and (backend, server) not in self.in_use:
                    del self.servers[backend, server]
            case ReplaceMap(name, chunks):
                entries: dict[str, str] = {}
                for chunk in chunks:
                    assert len(f"add map @1 ./{name} <<\n{chunk}\n".encode()) < BUFFER_BYTES
                    entries |= dict(line.split(" ", 1) for line in chunk.splitlines())
                self.maps[name] = entries


def rendering(instances: list[tuple[str, bool]], weights: list[int] | None, phases: int = 1) -> Rendering:
    """Return a shop with three live branches, (branch, draining) instances, and perhaps a split."""
    live = {branch: release(number, branch) for number, branch in enumerate(BRANCHES, 1)}
    old = {branch: release(number, branch, state=ReleaseState.DRAINING) for number, branch in enumerate(BRANCHES, 11)}
    all_instances: list[Instance] = []
    for number, (branch, draining) in enumerate(instances, 1):
        of: Release = (old if draining else live)[branch]
        state = InstanceState.DRAINING if draining else InstanceState.HEALTHY
        all_instances.append(instance(100 * BRANCHES.index(branch) + number, of, state))
    splits = (split(*[dict(zip(BRANCHES, weights, strict=True))] * phases),) if weights else ()
    snapshot = Snapshot(
        apps=(app(),), releases=(*live.values(), *old.values()), instances=tuple(all_instances), splits=splits
    )
    return render(route_table(snapshot, LOCALHOST), maxconn=100)


RENDERINGS = st.builds(
    rendering,
    st.lists(st.tuples(st.sampled_from(BRANCHES), st.booleans()), max_size=6),
    st.none() | st.sampled_from([[10_000, 0, 0], [5000, 4000, 1000], [3333, 3333, 3334], [0, 1, 9999]]),
    st.integers(1, 3),
)
STATES = st.dictionaries(
    st.tuples(st.sampled_from(["master--shop", "test--shop"]), st.sampled_from([f"r9-i{n}" for n in range(4)])),
    st.sampled_from(Admin),
)


def wanted_servers(wanted: Rendering) -> dict[tuple[str, str], Admin]:
    """Return the servers that should be there and serve."""
    return {key: Admin.READY for key, server in wanted.servers.items() if server.role is not Role.DRAINING}


def loaded(what: Rendering) -> ProxyState:
    """Return what HAProxy does when it has just read `what`."""
    return ProxyState(skeleton=what.skeleton, servers=wanted_servers(what), maps=what.maps)


@given(RENDERINGS, RENDERINGS, STATES)
@settings(max_examples=150)
def test_after_the_commands_the_state_is_what_was_rendered_and_no_command_is_left(
    before: Rendering, wanted: Rendering, strays: dict[tuple[str, str], Admin]
) -> None:
    state = loaded(before)
    proxy = Simulated(ProxyState(skeleton=state.skeleton, servers={**state.servers, **strays}, maps=state.maps))

    for command in changes(proxy.state, wanted) or ():
        proxy.execute(command)

    serving = {key: admin for key, admin in proxy.servers.items() if admin is not Admin.DRAIN}
    assert serving == wanted_servers(wanted)
    draining = {key for key, server in wanted.servers.items() if server.role is Role.DRAINING}
    assert proxy.servers.keys() - serving.keys() <= draining
    assert proxy.maps == {name: dict(entries) for name, entries in wanted.maps.items()}
    assert changes(proxy.state, wanted) == ()


@given(RENDERINGS, RENDERINGS)
@settings(max_examples=100)
def test_servers_come_before_the_maps_that_lead_to_them_and_go_after(before: Rendering, wanted: Rendering) -> None:
    order = {AddServer: 0, ReplaceMap: 1, DeleteServer: 2}
    ranks = []
    for command in changes(loaded(before), wanted) or ():
        if isinstance(command, SetServer):
            ranks.append(0 if command.admin is Admin.READY else 2)
        else:
            ranks.append(order[type(command)])
    assert ranks == sorted(ranks)


@given(RENDERINGS)
def test_a_map_that_leads_elsewhere_comes_before_the_one_that_opens_it(wanted: Rendering) -> None:
    nothing = ProxyState(skeleton=wanted.skeleton, servers={}, maps={})
    names = [command.name for command in changes(nothing, wanted) or () if isinstance(command, ReplaceMap)]
    if "maps/splits.map" in names:
        assert names[-1] == "maps/splits.map"
        assert {"maps/ranges.map", "maps/variants.map"} <= set(names)
    if "maps/begins.map" in names:
        assert {"maps/ranges.map", "maps/variants.map"} <= set(names[: names.index("maps/begins.map")])


def test_another_skeleton_needs_a_reload() -> None:
    here, there = rendering([], None), render(RouteTable(), maxconn=100)
    assert changes(loaded(here), there) is None


def test_nothing_changes_where_nothing_has_changed() -> None:
    here = rendering([("master", False), ("test", False)], [5000, 5000, 0])
    assert changes(loaded(here), here) == ()


def test_a_server_in_use_is_put_into_maintenance_and_deleted_the_next_time() -> None:
    before, wanted = rendering([("master", False)], None), rendering([], None)
    key = ("master--shop", "r1-i1")
    proxy = Simulated(loaded(before), in_use=frozenset({key}))
    commands = changes(proxy.state, wanted)
    assert commands == (SetServer(*key, Admin.MAINT), DeleteServer(*key))
    for command in commands:
        proxy.execute(command)
    assert proxy.servers == {key: Admin.MAINT}
    assert changes(proxy.state, wanted) == (DeleteServer(*key),)


def test_a_rollback_takes_a_draining_server_into_use_again() -> None:
    wanted = rendering([("master", False)], None)
    draining = ProxyState(skeleton=wanted.skeleton, servers={("master--shop", "r1-i1"): Admin.DRAIN}, maps=wanted.maps)
    assert changes(draining, wanted) == (SetServer("master--shop", "r1-i1", Admin.READY),)


def test_a_draining_instance_that_the_proxy_does_not_know_is_not_added() -> None:
    wanted = rendering([("master", True)], None)
    assert changes(ProxyState(skeleton=wanted.skeleton, servers={}, maps=wanted.maps), wanted) == ()


def test_an_added_server_has_the_arguments_of_its_line_in_the_configuration() -> None:
    wanted = rendering([("master", False)], None)
    (command,) = changes(ProxyState(skeleton=wanted.skeleton, servers={}, maps=wanted.maps), wanted) or ()
    assert isinstance(command, AddServer)
    assert command.arguments == server_arguments(wanted.servers["master--shop", "r1-i1"])
    assert f"  server r1-i1 {command.arguments}\n" in wanted.config


@pytest.mark.parametrize("count", [0, 1, 2000])
def test_a_map_of_any_size_is_sent_in_pieces_that_the_buffer_holds(count: int) -> None:
    wanted = rendering([], None)
    hosts = {f"{number:05}.a-rather-long-name-of-a-customer.example": "shop" for number in range(count)}
    wide = Rendering(
        config=wanted.config,
        maps={**wanted.maps, "maps/hosts.map": hosts},
        pages=wanted.pages,
        skeleton=wanted.skeleton,
        servers=wanted.servers,
    )
    proxy = Simulated(loaded(wanted))
    for command in changes(proxy.state, wide) or ():
        proxy.execute(command)
    assert proxy.maps["maps/hosts.map"] == hosts
