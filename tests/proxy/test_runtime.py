"""The runtime API of HAProxy: every call ends, and no unexpected answer is ignored."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from balancer.domain.hard_stop import Answers
from balancer.domain.release import InstanceState, ReleaseState
from balancer.domain.routing import RouteTable, route_table
from balancer.domain.snapshot import Snapshot
from balancer.domain.traffic import Traffic
from balancer.errors import ProxyFailed
from balancer.proxy import runtime
from balancer.proxy.render import render
from balancer.proxy.state import AddServer, Admin, DeleteServer, ReplaceMap, SetServer
from proxies import running_proxy
from values import LOCALHOST, app, instance, release

pytestmark = pytest.mark.anyio
SERVER = "127.0.0.1:20999 check"


def one_branch() -> RouteTable:
    """Return a shop with one live instance that nobody listens for."""
    live = release(1)
    return route_table(Snapshot(apps=(app(),), releases=(live,), instances=(instance(11, live),)), LOCALHOST)


@asynccontextmanager
async def answering(path: Path, answer: Callable[[str], bytes | None]) -> AsyncIterator[Path]:
    """Give a socket that answers commands as told; None: not at all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        text = answer((await reader.read()).decode())
        if text is None:
            await reader.read()
            await silence.wait()
        else:
            writer.write(text)
        writer.close()

    silence = asyncio.Event()
    server = await asyncio.start_unix_server(serve, path)
    try:
        yield path
    finally:
        silence.set()
        server.close()
        await server.wait_closed()


async def test_a_command_is_a_line_and_its_answer_is_without_the_empty_lines_around_it(tmp_path: Path) -> None:
    heard: list[str] = []

    def answer(command: str) -> bytes:
        heard.append(command)
        return b"\nfine\n\n"

    async with answering(tmp_path / "s", answer) as path:
        assert await runtime.ask(path, "show info") == "fine"
    assert heard == ["show info\n"]


async def test_nobody_behind_the_socket_is_a_failure_that_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ProxyFailed, match="does not answer `show info`"):
        await runtime.ask(tmp_path / "none.sock", "show info\nand more")


async def test_one_that_never_answers_is_a_failure_after_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "_TIMEOUT_SECONDS", 0.1)
    async with answering(tmp_path / "s", lambda _: None) as path:
        with pytest.raises(ProxyFailed, match="TimeoutError"):
            await runtime.ask(path, "show info")


async def test_a_socket_at_the_end_of_a_long_path_is_reached(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    async with answering(tmp_path / "s", lambda _: b"fine\n") as path:
        path.rename(deep / "admin.sock")
        assert await runtime.ask(deep / "admin.sock", "show info") == "fine"


@pytest.mark.parametrize(
    "command",
    [
        AddServer("master--shop", "r1-i1", SERVER),
        SetServer("master--shop", "r1-i1", Admin.READY),
        ReplaceMap("maps/hosts.map", ("a b\n",)),
    ],
)
async def test_an_answer_that_is_not_the_expected_one_is_a_failure(
    tmp_path: Path, command: AddServer | SetServer | ReplaceMap
) -> None:
    async with answering(tmp_path / "s", lambda _: b"No such thing.\n") as path:
        with pytest.raises(ProxyFailed, match=r"HAProxy refused `.*`: No such thing\."):
            await runtime.execute(path, command)


async def test_a_worker_that_does_not_tell_its_skeleton_is_a_failure(tmp_path: Path) -> None:
    async with answering(tmp_path / "s", lambda _: b"Variable not found.\n") as path:
        with pytest.raises(ProxyFailed, match="does not say which configuration it runs"):
            await runtime.skeleton(path)


PROCESSES = b"""\
#<PID>          <type>          <reloads>       <uptime>        <version>
100             master          2 [failed: 0]   0d00h00m05s     2.6.12
# workers
103             worker          0               0d00h00m01s     2.6.12
# old workers
101             worker          2               0d00h00m05s     2.6.12
102             worker          1               0d00h00m03s     2.6.12
# programs
"""


async def test_workers_of_before_and_now_are_told_apart(tmp_path: Path) -> None:
    async with answering(tmp_path / "s", lambda _: PROCESSES) as path:
        assert await runtime.workers(path) == (frozenset({103}), frozenset({101, 102}))


STATISTICS = """\
# pxname,svname,qcur,qmax,scur,smax
web,FRONTEND,,,{clients},9
master--shop,r1-i1,0,0,2,3
master--shop,standby.r1-i2,0,0,0,3
test--shop,backup.r1-i3,0,0,1,1
test--shop,r1-i4,0,0,,
test--shop,BACKEND,0,0,1,9
"""
ALL = {"r1-i1", "r1-i2", "r1-i3", "r1-i4"}


@pytest.mark.parametrize(("clients", "reachable"), [(2, set()), (3, set()), (4, ALL), (9, ALL)])
def test_what_is_in_flight_and_what_an_idle_connection_leads_to_are_read_from_the_statistics(
    clients: int, reachable: set[str]
) -> None:
    assert runtime.traffic_in(STATISTICS.format(clients=clients)) == Traffic(
        busy=frozenset({"r1-i1", "r1-i3"}), reachable=frozenset(reachable)
    )


def test_an_answer_that_is_not_the_statistics_is_a_failure() -> None:
    for silence in ("", "Can't find the target CLI!"):
        with pytest.raises(ProxyFailed, match="does not say which servers are busy"):
            runtime.traffic_in(silence)


def test_what_a_backend_has_answered_is_told_by_its_kinds_of_status() -> None:
    """1xx are no answers yet; a proxy in the mode of TCP has no kinds at all."""
    head = "# pxname,svname,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,"
    said = f"{head}\ntest--shop,BACKEND,9,100,20,3,7,1,\nplain,BACKEND,,,,,,,\n"
    assert runtime.answers_in(said) == {
        "test--shop": Answers(failed=7, other=124),
        "plain": Answers(failed=0, other=0),
    }
    with pytest.raises(ProxyFailed, match="does not say what it has answered"):
        runtime.answers_in("")


async def test_every_worker_is_asked_and_only_old_ones_still_bring_requests(tmp_path: Path) -> None:
    def answer(command: str) -> bytes:
        if command == "show proc\n":
            return PROCESSES
        if command.startswith("@!102 "):
            return b"Can't find the target PID matching the prefix '@!102'\n"
        server, clients = ("r2-i2", 9) if command.startswith("@!103 ") else ("r1-i1", 2)
        return f"# svname,scur\nFRONTEND,{clients}\n{server},1\n".encode()

    async with answering(tmp_path / "s", answer) as path:
        found = await runtime.traffic(path)
    assert found == Traffic(busy=frozenset({"r1-i1", "r2-i2"}), reachable=frozenset({"r1-i1"}))


async def test_a_worker_that_ends_while_it_is_asked_is_over_and_one_that_stays_silent_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(command: str) -> bytes:
        if command == "show proc\n":
            return PROCESSES
        if command.startswith("@!102 ") and not ends:
            return b""
        if command.startswith("@!102 "):
            asked.append(command)
            return b"" if len(asked) < 3 else b"Can't find the target PID matching the prefix '@!102'\n"
        return b"# svname,scur\nFRONTEND,1\nr1-i1,1\n"

    monkeypatch.setattr(runtime, "_ENDING_PAUSE_SECONDS", 0.0)
    async with answering(tmp_path / "s", answer) as path:
        ends = True
        assert await runtime.traffic(path) == Traffic(busy=frozenset({"r1-i1"}))
        assert len(asked) == 3
        ends = False
        with pytest.raises(ProxyFailed, match="worker 102 does not answer"):
            await runtime.traffic(path)


async def test_a_running_haproxy_does_what_it_was_rendered(tmp_path: Path) -> None:
    wanted = render(one_branch(), maxconn=100)
    async with running_proxy(tmp_path, one_branch()) as proxy:
        found = await runtime.observe(proxy.haproxy.admin, tuple(wanted.maps))
    assert found.skeleton == wanted.skeleton
    assert found.servers == {("master--shop", "r1-i11"): Admin.READY}
    assert found.maps == wanted.maps


async def test_a_running_haproxy_carries_out_every_command(tmp_path: Path) -> None:
    backend, added = "master--shop", "r9-i9"
    async with running_proxy(tmp_path, one_branch()) as proxy:
        admin = proxy.haproxy.admin

        async def servers() -> dict[tuple[str, str], Admin]:
            return dict((await runtime.observe(admin, ())).servers)

        await runtime.execute(admin, AddServer(backend, added, SERVER))
        assert (await servers())[backend, added] is Admin.READY
        for asked in (Admin.DRAIN, Admin.READY, Admin.MAINT):
            await runtime.execute(admin, SetServer(backend, added, asked))
            assert (await servers())[backend, added] is asked
        await runtime.execute(admin, DeleteServer(backend, added))
        assert (backend, added) not in await servers()

        with pytest.raises(ProxyFailed, match="HAProxy refused `add server"):
            await runtime.execute(admin, AddServer(backend, "r1-i11", SERVER))
        with pytest.raises(ProxyFailed, match="HAProxy refused `set server"):
            await runtime.execute(admin, SetServer(backend, added, Admin.MAINT))
        with pytest.raises(ProxyFailed, match="HAProxy refused `prepare map"):
            await runtime.execute(admin, ReplaceMap("maps/none.map", ()))


async def test_a_running_haproxy_keeps_what_stays_in_use_when_it_is_told_to_delete_it(tmp_path: Path) -> None:
    async with running_proxy(tmp_path, one_branch()) as proxy:
        # Not in maintenance: it refuses, and that is no failure.
        await runtime.execute(proxy.haproxy.admin, DeleteServer("master--shop", "r1-i11"))
        state = await runtime.observe(proxy.haproxy.admin, ())
        assert state.servers == {("master--shop", "r1-i11"): Admin.READY}


@pytest.mark.parametrize("count", [0, 1, 1500])
async def test_a_map_has_its_new_entries_and_no_old_one(tmp_path: Path, count: int) -> None:
    hosts = {f"{number:05}.a-rather-long-name-of-a-customer.example": "shop" for number in range(count)}
    lines = [f"{key} {value}\n" for key, value in hosts.items()]
    chunks = tuple("".join(lines[at : at + 100]) for at in range(0, len(lines), 100))
    async with running_proxy(tmp_path, one_branch()) as proxy:
        await runtime.execute(proxy.haproxy.admin, ReplaceMap("maps/hosts.map", chunks))
        state = await runtime.observe(proxy.haproxy.admin, ("maps/hosts.map",))
    assert state.maps["maps/hosts.map"] == hosts


async def test_the_state_of_servers_can_be_read_while_one_drains(tmp_path: Path) -> None:
    old, live = release(1, state=ReleaseState.DRAINING), release(2)
    snapshot = Snapshot(apps=(app(),), releases=(live,), instances=(instance(12, live),))
    async with running_proxy(tmp_path, route_table(snapshot, LOCALHOST)) as proxy:
        admin = proxy.haproxy.admin
        await runtime.execute(admin, AddServer("master--shop", "r1-i11", SERVER))
        draining = instance(11, old, InstanceState.DRAINING)
        drained = replace(snapshot, releases=(old, live), instances=(*snapshot.instances, draining))
        await proxy.haproxy.apply(route_table(drained, LOCALHOST))
        state = await runtime.observe(admin, ())
    assert state.servers == {("master--shop", "r1-i11"): Admin.DRAIN, ("master--shop", "r2-i12"): Admin.READY}


async def test_what_is_asked_at_once_is_told_apart_also_where_a_map_is_empty_or_not_there(tmp_path: Path) -> None:
    async with running_proxy(tmp_path, one_branch()) as proxy:
        wanted = render(one_branch(), maxconn=100)
        names = ("maps/modes.map", "maps/hosts.map", "maps/nowhere.map", "maps/splits.map", "maps/branches.map")
        found = await runtime.observe(proxy.haproxy.admin, names)
        assert found.skeleton == wanted.skeleton
        assert found.servers.keys() == wanted.servers.keys()
        assert {name: entries for name, entries in found.maps.items() if entries} == {
            name: wanted.maps[name] for name in ("maps/hosts.map", "maps/branches.map")
        }


async def test_an_answer_that_breaks_off_is_none(tmp_path: Path) -> None:
    async with answering(tmp_path / "s", lambda _: b"1\n# be_name srv_name srv_admin_state\n\n\n") as socket:
        with pytest.raises(ProxyFailed, match=r"answered [0-9] of 5 questions|does not say which"):
            await runtime.observe(socket, ("one.map", "two.map", "three.map"))
