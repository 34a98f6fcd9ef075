"""A registry on a real database file, with a clock that the test moves, for the tests of the store."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.fernet import Fernet
from sqlalchemy import Engine

from balancer.domain.app import AppName, BranchName, Commit, Domain
from balancer.domain.manifest import WEB, Manifest, Source
from balancer.domain.release import Instance, InstanceState, Release
from balancer.domain.split import Split
from balancer.store.database import default_url, open_database
from balancer.store.registry import SqlRegistry

SHOP, BLOG = AppName("shop"), AppName("blog")
MASTER, TEST = BranchName("master"), BranchName("test")
COMMIT = Commit("c0ffee" + "0" * 34)
KEY = Fernet.generate_key()


class Clock:
    """Stands still until it is told to advance."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> datetime:
        """Go on (or back), and return the new time."""
        self.now += timedelta(seconds=seconds)
        return self.now


@dataclass
class World:
    """A registry with the app `shop`, and what a deploy does to it."""

    directory: Path
    engine: Engine
    clock: Clock
    registry: SqlRegistry

    async def build(self, branch: str = "master", *, app: AppName = SHOP) -> Release:
        """Open a release."""
        return await self.registry.open_release(app, BranchName(branch), COMMIT, subject="Sell", author="Ada")

    async def start(self, branch: str = "master", *, domains: Sequence[str] = (), app: AppName = SHOP) -> Release:
        """Open a release and start it, with one healthy instance."""
        release = await self.build(branch, app=app)
        release = await self.registry.start_release(release.id, manifest(*domains))
        await self.healthy_instance(release)
        return release

    async def push(self, branch: str = "master", *, domains: Sequence[str] = (), app: AppName = SHOP) -> Release:
        """Bring a release live, one second after the last."""
        self.clock.advance(1)
        return await self.registry.activate((await self.start(branch, domains=domains, app=app)).id)

    async def healthy_instance(self, release: Release, index: int = 1) -> Instance:
        """Open an instance and find it healthy."""
        port = max(await self.registry.leased_ports(), default=19_999) + 1
        instance = await self.registry.open_instance(release.id, WEB, index, port)
        await self.registry.move_instance(instance.id, InstanceState.HEALTHY)
        return instance

    async def instances_of(self, release: Release) -> tuple[Instance, ...]:
        """Return the instances of a release as they are now, those that are not stopped."""
        return (await self.registry.snapshot()).instances_of(release)

    async def state_of(self, release: Release) -> str:
        """Return the state of a release as it is now."""
        found = await self.registry.releases(release.app, limit=1000)
        return next(other.state.value for other in found if other.id == release.id)

    async def split_evenly(self) -> Split:
        """Push master and test, and begin a split of them."""
        await self.push("master")
        await self.push("test")
        return await self.registry.start_split(SHOP, weights(master=50, test=50), MASTER, 5000)


@asynccontextmanager
async def open_world(directory: Path, *, key: bytes = KEY) -> AsyncIterator[World]:
    """Open the registry in `directory`, and close it in the end; it has the app `shop`."""
    clock, engine = Clock(), open_database(default_url(directory))
    registry = SqlRegistry(engine, clock, Fernet(key))
    try:
        if not await registry.apps():
            await registry.create_app(SHOP, None)
        yield World(directory, engine, clock, registry)
    finally:
        await registry.close()


def manifest(*domains: str) -> Manifest:
    """Return a manifest that declares `domains`."""
    return Manifest(source=Source.MANIFEST, processes={WEB: "serve"}, domains=tuple(Domain(host) for host in domains))


def weights(**percents: float) -> dict[BranchName, int]:
    """Return weights from percentages."""
    return {BranchName(branch): round(percent * 100) for branch, percent in percents.items()}
