"""The runtime API of HAProxy: commands over its unix sockets, and reading what they answer.

Invariants:
    * Every call ends: it has a deadline, and the sending half is closed so that HAProxy closes too.
    * An answer that is not the one expected is a ProxyFailed, never ignored.
"""

import asyncio
import contextlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from balancer.domain.hard_stop import Answers
from balancer.domain.traffic import Traffic
from balancer.errors import ProxyFailed
from balancer.proxy.state import AddServer, Admin, Command, DeleteServer, ProxyState, ReplaceMap, SetServer
from balancer.sockets import short_path

_TIMEOUT_SECONDS = 5.0
# 1 MB at once: what it says of a thousand apps, read in few pieces.
_ANSWER_BYTES = 2**20
_SKELETON = "get var proc.skeleton"
_CONNECT_TRIES, _CONNECT_PAUSE_SECONDS = 50, 0.01
# Bits of srv_admin_state in `show servers state`: what was forced by command, and what by configuration.
_MAINT_BITS, _DRAIN_BITS = 0x01 | 0x04 | 0x20, 0x08
_NO_SUCH_WORKER, _TOTALS = "Can't find the target", {"FRONTEND", "BACKEND"}
# A worker that ends while it is asked answers nothing, and its master knows of it for some milliseconds still.
_ENDING_TRIES, _ENDING_PAUSE_SECONDS = 50, 0.02
_STAND_ALONE = re.compile(r"^(?P<pid>\d+)\s+worker\s", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """The process that serves, as it says itself."""

    pid: int
    version: str
    """Of the HAProxy that it runs."""
    uptime_seconds: int
    """Since it was started or last reloaded."""


async def ask(socket: Path, command: str) -> str:
    """Send one command to the socket and return the answer, without empty lines around it. Raises ProxyFailed."""
    return (await _ask(socket, command)).strip()


async def _ask(socket: Path, command: str) -> str:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            reader, writer = await _connect(socket)
            try:
                writer.write(command.encode() + b"\n")
                writer.write_eof()
                return (await reader.read()).decode()
            finally:
                writer.close()
    except (OSError, TimeoutError) as reason:
        raise ProxyFailed(f"HAProxy does not answer `{command.splitlines()[0]}`: {reason!r}") from reason


async def observe(socket: Path, map_names: tuple[str, ...]) -> ProxyState:
    """Return what HAProxy does now. Raises ProxyFailed."""
    # The skeleton last: no empty line comes after that one.
    questions = ("show servers state", *(f"show map ./{name}" for name in map_names), _SKELETON)
    servers, *maps, loaded = _answers(await _ask(socket, ";".join(questions)), len(questions))
    return ProxyState(
        skeleton=_skeleton("\n".join(loaded)),
        servers=_servers(servers),
        maps={name: _map_entries(entries) for name, entries in zip(map_names, maps, strict=True)},
    )


async def skeleton(socket: Path) -> str:
    """Return the skeleton of the configuration that the worker behind `socket` was loaded with."""
    return _skeleton(await ask(socket, _SKELETON))


async def execute(socket: Path, command: Command) -> None:
    """Carry out one command. Raises ProxyFailed."""
    match command:
        case AddServer(backend, server, arguments):
            await _expect(socket, f"add server {backend}/{server} {arguments}", "New server registered.")
            await execute(socket, SetServer(backend, server, Admin.READY))
        case SetServer(backend, server, admin):
            if admin is Admin.READY:  # also for one that a daemon added and had no time to finish
                await _expect(socket, f"enable health {backend}/{server}", "")
            await _expect(socket, f"set server {backend}/{server} state {admin.value}", "")
        case DeleteServer(backend, server):
            await ask(socket, f"del server {backend}/{server}")
        case ReplaceMap(name, chunks):
            answer = await ask(socket, f"prepare map ./{name}")
            found = re.fullmatch(r"New version created: (\d+)", answer)
            if not found:
                raise ProxyFailed(f"HAProxy refused `prepare map ./{name}`: {answer}")
            for chunk in chunks:
                await _expect(socket, f"add map @{found[1]} ./{name} <<\n{chunk}", "")
            await _expect(socket, f"commit map @{found[1]} ./{name}", "")


async def traffic(master: Path) -> Traffic:
    """Return what goes on at the instances, in every worker of a master. Raises ProxyFailed."""
    present, old = await workers(master)
    busy: set[str] = set()
    reachable: set[str] = set()
    for pid in present | old:
        answer = await _ask_worker(master, pid, "show stat -1 7 -1")
        if answer is None:
            continue  # it has ended meanwhile, and with it what it had in flight
        found = traffic_in(answer)
        busy |= found.busy
        if pid in old:  # the present one was told what drains
            reachable |= found.reachable
    return Traffic(busy=frozenset(busy), reachable=frozenset(reachable))


def traffic_in(answer: str) -> Traffic:
    """Return what goes on at the instances of one worker, from what `show stat` answered. Raises ProxyFailed.

    An instance is several servers where it stands by or stands in: they have its name after a prefix and a dot. A
    client's connection is idle that has no request at a server, and may bring one to any of them.
    """
    lines = answer.splitlines()
    if not lines or not lines[0].startswith("# "):
        raise ProxyFailed(f"HAProxy does not say which servers are busy: {answer[:200]!r}")
    columns = lines[0].removeprefix("# ").split(",")
    name, current = columns.index("svname"), columns.index("scur")
    rows = [(row[name], int(row[current] or 0)) for row in (line.split(",") for line in lines[1:] if line)]
    servers = [(each.rpartition(".")[2], count) for each, count in rows if each not in _TOTALS]
    idle = sum(count for each, count in rows if each == "FRONTEND") - sum(count for _, count in servers)
    return Traffic(
        busy=frozenset(each for each, count in servers if count > 0),
        reachable=frozenset(each for each, _ in servers) if idle > 0 else frozenset(),
    )


async def answers(socket: Path) -> dict[str, Answers]:
    """Return what each backend of the present worker has answered since that was loaded. Raises ProxyFailed.

    Those that HAProxy itself has answered, because no server did, are among them.
    """
    return answers_in(await ask(socket, "show stat -1 2 -1"))


def answers_in(answer: str) -> dict[str, Answers]:
    """Return what `show stat` says of the answers of backends. Raises ProxyFailed."""
    lines = answer.splitlines()
    if not lines or not lines[0].startswith("# "):
        raise ProxyFailed(f"HAProxy does not say what it has answered: {answer[:200]!r}")
    columns = lines[0].removeprefix("# ").split(",")
    backend, failed = columns.index("pxname"), columns.index("hrsp_5xx")
    others = [columns.index(f"hrsp_{kind}") for kind in ("2xx", "3xx", "4xx", "other")]
    # No further than the last of them: with thousands of backends the other half of each line costs as much.
    last = max(backend, failed, *others) + 1
    rows = (line.split(",", last) for line in lines[1:] if line)
    return {
        row[backend]: Answers(failed=int(row[failed] or 0), other=sum(int(row[place] or 0) for place in others))
        for row in rows
    }


async def worker(socket: Path) -> Worker:
    """Return what the worker behind `socket` says of itself. Raises ProxyFailed."""
    lines = (line.partition(": ") for line in (await ask(socket, "show info")).splitlines())
    facts = {name: value for name, _, value in lines}
    try:
        return Worker(
            pid=int(facts["Pid"]),
            version=facts["Version"],
            uptime_seconds=int(facts["Uptime_sec"]),
        )
    except (KeyError, ValueError) as reason:
        raise ProxyFailed(f"HAProxy does not say how it is: {reason!r}") from reason


async def workers(master: Path) -> tuple[frozenset[int], frozenset[int]]:
    """Return the pids of the present workers and of those that only finish what they have."""
    present, _, old = (await ask(master, "show proc")).partition("# old workers")
    old = old.partition("# programs")[0]
    return _pids(present), _pids(old)


async def _ask_worker(master: Path, pid: int, command: str) -> str | None:
    """Ask one worker by way of its master; return None where it has ended. Raises ProxyFailed."""
    for _ in range(_ENDING_TRIES):
        answer = await ask(master, f"@!{pid} {command}")
        if answer.startswith(_NO_SUCH_WORKER):
            return None
        if answer:
            return answer
        await asyncio.sleep(_ENDING_PAUSE_SECONDS)
    raise ProxyFailed(f"HAProxy's worker {pid} does not answer `{command}`")


async def _connect(socket: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect, for a while again where nobody listens yet: a starting or reloading master is away for milliseconds."""
    for _ in range(_CONNECT_TRIES):
        with contextlib.suppress(ConnectionRefusedError, FileNotFoundError), short_path(socket) as path:
            return await asyncio.open_unix_connection(path, limit=_ANSWER_BYTES)
        await asyncio.sleep(_CONNECT_PAUSE_SECONDS)
    with short_path(socket) as path:
        return await asyncio.open_unix_connection(path, limit=_ANSWER_BYTES)


async def _expect(socket: Path, command: str, answer: str) -> None:
    got = await ask(socket, command)
    if got != answer:
        raise ProxyFailed(f"HAProxy refused `{command.splitlines()[0]}`: {got}")


def _pids(text: str) -> frozenset[int]:
    return frozenset(int(found["pid"]) for found in _STAND_ALONE.finditer(text))


def _skeleton(answer: str) -> str:
    found = re.search(r"value=<([0-9a-f]+)>", answer)
    if not found:
        raise ProxyFailed(f"HAProxy does not say which configuration it runs: {answer!r}")
    return found[1]


def _answers(text: str, count: int) -> list[list[str]]:
    """Return the lines of each answer to several commands at once: an empty line ends one, and none has one in it."""
    answers: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line:
            answers[-1].append(line)
        else:
            answers.append([])
    if len(answers) < count:
        raise ProxyFailed(f"HAProxy answered {len(answers)} of {count} questions: {text[-200:]!r}")
    return answers[:count]


def _map_entries(lines: Iterable[str]) -> dict[str, str]:
    """Parse lines of `0x55… key value`; one that says that there is no such map is none."""
    return {key: value for _, key, value in [line.split(" ", 2) for line in lines if line.startswith("0x")]}


def _servers(lines: Sequence[str]) -> dict[tuple[str, str], Admin]:
    """Parse `show servers state`: a version, a head, then a server a line."""
    if len(lines) < 2:
        raise ProxyFailed(f"HAProxy does not say which servers it has: {lines!r}")
    columns = lines[1].removeprefix("# ").split()
    wanted = itemgetter(*(columns.index(name) for name in ("be_name", "srv_name", "srv_admin_state")))
    rows = [wanted(line.split()) for line in lines[2:]]
    known = {bits: _admin(int(bits)) for bits in {bits for _, _, bits in rows}}  # a few, of thousands of servers
    return {(backend, server): known[bits] for backend, server, bits in rows}


def _admin(bits: int) -> Admin:
    if bits & _MAINT_BITS:
        return Admin.MAINT
    return Admin.DRAIN if bits & _DRAIN_BITS else Admin.READY
