"""A platform of so many apps, all of it real but the processes of the instances; prints its figures as JSON.

    python -m growing.platform APPS DIRECTORY < PORTS

It goes on until its input ends, so that its HAProxy can be loaded.
"""

import asyncio
import contextlib
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert

from balancer import wiring
from balancer.config import Settings
from balancer.domain.app import AppName, BranchName, Commit
from balancer.domain.manifest import WEB, Manifest, Source
from balancer.domain.release import Instance, InstanceState, ProcessId, Release
from balancer.domain.routing import route_table
from balancer.domain.split import Brief
from balancer.proxy import runtime
from balancer.proxy.installed import find_executable
from balancer.runner.health import Probes
from balancer.runner.supervisor import Supervisor
from balancer.services.expectation import Expectations
from balancer.services.experiment import Experiments
from balancer.services.known_metrics import KnownMetrics
from balancer.services.metrics import Metrics
from balancer.store import rows, tables
from balancer.store.database import default_url, open_database

BRANCHES = ("master", "test", "blue")
SPLITS_LIMIT = 100
_IDLE_SECONDS = 20.0
# 5 s: until each log was looked at once, and HAProxy's old workers have ended.
_SETTLING_SECONDS = 5.0
_WEIGHTINGS, _RELOADS = 10, 3
_COMMIT = Commit("c0ffee" + "0" * 34)
_MANIFEST = Manifest(source=Source.PROCFILE, processes={WEB: "serve"})
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
Ports = Sequence[tuple[int, int]]
"""Each with the inode of its socket."""


class StandIn(Supervisor):
    """Says that every instance runs; what it asks them is what the real one asks."""

    sockets: frozenset[int] = frozenset()

    async def adopt(self, instances: Iterable[Instance]) -> None:
        """Take all of them for running, each with a log that it has written to."""
        for instance in instances:
            self._logs[instance.id] = log = self._workspace.root / "grown" / f"{instance.id}.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text("listening\n")
            self._alive.add(instance.id)
            self._started_at[instance.id] = self._clock.ticks()

    def _new_probes(self, instance: Instance, release: Release, *, for_life: bool) -> Probes:
        host = f"{release.app}.{self._domain}"
        return Probes(port=instance.port, path=None, host=host, sockets=lambda: self.sockets, for_life=for_life)

    def stop(self, instance: Instance) -> None:
        """Refuse: whatever is stopped here was judged wrongly."""
        raise AssertionError(f"{instance.server} was to be stopped")


def app_name(number: int) -> AppName:
    """Return the name of an app, from 0."""
    return AppName(f"shop{number}")


def fill(engine: Engine, apps: int, ports: Ports) -> None:
    """Write apps with three live branches each, and splits of the first hundred of them."""
    now, manifest = wiring.clock(), rows.manifest_text(_MANIFEST)
    named = [(str(app_name(number)), branch) for number in range(apps) for branch in BRANCHES]
    with engine.begin() as connection:
        connection.execute(
            insert(tables.apps),
            [{"name": app_name(number), "default_branch": "master", "created_at": now} for number in range(apps)],
        )
        connection.execute(
            insert(tables.branches), [{"app": app, "name": branch, "slug": branch} for app, branch in named]
        )
        fixed: dict[str, Any] = {
            "commit": _COMMIT,
            "state": "live",
            "manifest": manifest,
            "config": "",
            "subject": "Sell",
            "tree": 1,
        }
        fixed |= {"author": "Ada", "created_at": now, "activated_at": now}
        connection.execute(
            insert(tables.releases),
            [
                {"id": n, "app": app, "branch": branch, "number": (n - 1) % len(BRANCHES) + 1, **fixed}
                for n, (app, branch) in enumerate(named, 1)
            ],
        )
        process = {"boot_id": "none", "pid": 1, "start_ticks": 1}
        connection.execute(
            insert(tables.instances),
            [
                {"id": n, "release_id": n, "idx": 1, "port": port, "state": "healthy", "type": WEB, **process}
                for n, (port, _) in enumerate(ports[: len(named)], 1)
            ],
        )
        split: dict[str, Any] = {"control": "master", "state": "running", "expected_visitors": 5000}
        split["brief"] = rows.brief_text(Brief())
        numbers = range(min(apps, SPLITS_LIMIT))
        connection.execute(
            insert(tables.splits), [{"id": n + 1, "app": app_name(n), "ended_at": None, **split} for n in numbers]
        )
        weights = rows.weights_text({BranchName("master"): 5000, BranchName("test"): 5000})
        connection.execute(
            insert(tables.phases),
            [{"split": n + 1, "number": 1, "weights": weights, "started_at": now} for n in numbers],
        )


class Grown:
    """The platform, at work."""

    def __init__(self, directory: Path, apps: int, ports: Ports) -> None:
        self.apps, self._spare = apps, list(ports[apps * len(BRANCHES) :])
        settings = Settings(data_dir=directory, host="127.0.0.1", port=0)
        StandIn.sockets = frozenset(inode for _, inode in ports)
        setattr(wiring, "Supervisor", StandIn)  # noqa: B010 - it is given to the others by that name
        self._domain = settings.domain
        self.parts = wiring.Wiring(settings, find_executable(settings.haproxy), ())
        self.experiments = Experiments(
            self.parts.registry,
            self.parts.reconciler,
            None,  # type: ignore[arg-type]
            KnownMetrics(Metrics(self.parts.registry), self.parts.ledger),
            None,  # type: ignore[arg-type]
            Expectations(self.parts.registry, self.parts.ledger, wiring.clock),
            clock=wiring.clock,
        )
        self._background: list[asyncio.Future[None]] = []

    async def begin(self) -> None:
        """Start HAProxy and what goes on in a daemon all the time."""
        parts = self.parts
        snapshot = await parts.reconciler.take_over()
        await parts.supervisor.adopt(snapshot.instances)
        await parts.proxy_life.begin(route_table(snapshot, self._domain))
        await parts.reconciler.converge()
        work = (parts.reconciler.run(), parts.prober.run(), parts.proxy_life.keep_alive(), parts.disk.watch())
        self._background = [asyncio.ensure_future(each) for each in (*work, parts.log_keeper.run())]

    async def end(self) -> None:
        """Stop it."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.parts.proxy_life.end(0)
        await self.parts.registry.close()

    async def weight(self, turn: int) -> float:
        """Give a split other weights; return the seconds until a new visitor gets them."""
        number = turn * 7 % min(self.apps, SPLITS_LIMIT)
        app, split = app_name(number), await self.parts.registry.split(app_name(number))
        winner = "master" if split.phase.weights[BranchName("master")] != 10_000 else "test"
        weights = {BranchName(name): 10_000 if name == winner else 0 for name in ("master", "test")}
        began = time.perf_counter()
        await self.experiments.set_weights(app, weights)
        assert f".{winner}." in await self._new_visitor(app), "the new weights are not in force"
        return time.perf_counter() - began

    async def reload(self) -> float:
        """Bring a new branch live; return the seconds until HAProxy was reloaded with it."""
        registry, app = self.parts.registry, app_name(0)
        port, _ = self._spare.pop()
        opened = await registry.open_release(app, BranchName(f"new{port}"), _COMMIT, subject="Sell", author="Ada")
        release = await registry.start_release(opened.id, _MANIFEST)
        instance = await registry.open_instance(release.id, WEB, 1, port)
        await registry.record_process(instance.id, ProcessId(boot_id="none", pid=1, start_ticks=1))
        await registry.move_instance(instance.id, InstanceState.HEALTHY)
        await self.parts.supervisor.adopt([instance])
        before = await self.parts.proxy_life.worker()
        began = time.perf_counter()
        await registry.activate(release.id)
        await self.parts.reconciler.converge()
        took = time.perf_counter() - began
        assert (await self.parts.proxy_life.worker()).pid != before.pid, "HAProxy was not reloaded"
        return took

    async def idle(self) -> tuple[float, float]:
        """Return the shares of a core that the daemon and HAProxy use while nobody comes."""
        await asyncio.sleep(_SETTLING_SECONDS)
        daemon, haproxy, began = time.process_time(), self.haproxy_seconds(), time.monotonic()
        await asyncio.sleep(_IDLE_SECONDS)
        lasted = time.monotonic() - began
        return (time.process_time() - daemon) / lasted, (self.haproxy_seconds() - haproxy) / lasted

    async def _new_visitor(self, app: AppName) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.parts.proxy_life.port)
        writer.write(f"GET / HTTP/1.1\r\nHost: {app}.localhost\r\nConnection: close\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        assert answer.startswith("HTTP/1.1 200 "), answer
        return next(line for line in answer.splitlines() if line.lower().startswith("set-cookie: balancer="))

    def haproxy(self) -> list[int]:
        """Return HAProxy's processes."""
        assert self.parts.proxy_life._process is not None
        found = [self.parts.proxy_life._process.id.pid]
        for parent in found:
            for task in Path(f"/proc/{parent}/task").glob("*/children"):
                found += [int(child) for child in task.read_text().split()]
        return found

    def haproxy_seconds(self) -> float:
        """Return what HAProxy has used of processors."""
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.haproxy()]
        return sum(int(each[11]) + int(each[12]) for each in fields) / _TICKS_PER_SECOND


def resident_mb(pids: Iterable[int]) -> float:
    """Return the memory that processes have for themselves, in MB: what they share is shared out among them."""
    texts = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    return sum(int(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith("Pss:")) / 1024


async def measure(apps: int, directory: Path, ports: Ports) -> None:
    """Print the figures of a platform, and keep it until the input ends."""
    engine = open_database(default_url(directory))
    fill(engine, apps, ports)
    engine.dispose()
    grown = Grown(directory, apps, ports)
    try:
        await grown.begin()
        await asyncio.sleep(_SETTLING_SECONDS)
        weightings = [1000 * await grown.weight(turn) for turn in range(_WEIGHTINGS)]
        reloads = [await grown.reload() for _ in range(_RELOADS)]
        daemon, haproxy = await grown.idle()
        figures = {
            "weights_ms": round(statistics.median(weightings), 1),
            "weights_worst_ms": round(max(weightings), 1),
            "reload_s": round(statistics.median(reloads), 3),
            "idle_daemon": round(daemon, 4),
            "idle_haproxy": round(haproxy, 4),
            "daemon_mb": round(resident_mb([os.getpid()]), 1),
            "haproxy_mb": round(resident_mb(grown.haproxy()), 1),
        }
        worker = await runtime.worker(grown.parts.proxy.admin)
        print(json.dumps({"port": grown.parts.proxy_life.port, "worker": worker.pid, "figures": figures}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
    finally:
        await grown.end()


def main() -> None:
    """Run it."""
    with contextlib.suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ports = json.loads(sys.stdin.readline())
    directory = Path(sys.argv[2])
    directory.mkdir(parents=True)
    asyncio.run(measure(int(sys.argv[1]), directory, ports))


if __name__ == "__main__":
    main()
