"""Builds: what a tree needs is installed inside it, by the tools of its ecosystem.

Invariants:
    * A build touches its own directory and the package caches only, never a tree that serves.
    * Nothing of it runs on when it has ended or was cancelled.
    * Only so many go on at once; the others wait and are told so.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from balancer import logs, processes
from balancer.domain.manifest import Manifest
from balancer.domain.release import Release
from balancer.errors import InvalidManifest
from balancer.runner.bounds import Bounds
from balancer.runner.build_command import BUILD_MARK, BuildCommand
from balancer.runner.build_steps import steps
from balancer.runner.environment import app_environment
from balancer.runner.excerpt import Tell
from balancer.runner.manifest import read_manifest
from balancer.runner.node_modules import NodeModules
from balancer.runner.python_project import asked_python
from balancer.runner.pythons import check_python, downloads
from balancer.runner.workspace import Workspace

log = logs.named("build")


class Builder:
    """Builds the trees of one data directory."""

    def __init__(
        self, workspace: Workspace, *, data_dir: Path, timeout_seconds: float, bounds: Bounds, at_once: int
    ) -> None:
        self._workspace = workspace
        self._data_dir = data_dir
        self._timeout_seconds = timeout_seconds
        self._bounds = bounds
        self._room = asyncio.Semaphore(at_once)
        """Held by each build that goes on."""

    def kill_orphans(self) -> None:
        """End what a daemon before this one was building, or ran for an app, when it died."""
        killed = processes.kill_marked(BUILD_MARK, str(self._data_dir))
        if killed:
            log.warning("build.orphans.killed", processes=killed)
        self._bounds.sweep()

    def manifest(self, directory: Path) -> Manifest:
        """Return how the tree is to be run. Raises InvalidManifest."""
        return read_manifest(directory)

    async def build(self, release: Release, config: Mapping[str, str], tell: Tell) -> None:
        """Install what the tree of a release needs, inside it; `config` are its config vars.

        Raises BuildFailed, InvalidManifest.
        """
        assert release.manifest is not None
        caches, directory = self._data_dir / "cache", self._workspace.tree(release)
        facts = {
            "UV_CACHE_DIR": str(caches / "uv"),
            "UV_PROJECT_ENVIRONMENT": ".venv",
            "UV_PYTHON_DOWNLOADS": downloads(),
            "npm_config_cache": str(caches / "npm"),
            # npm leaves development dependencies out where NODE_ENV is production, and a build needs them.
            "NODE_ENV": "development",
        }
        async with self._turn(tell):
            asked = asked_python(directory)
            if asked:
                await check_python(asked, directory, app_environment(directory, release, config, facts))
            modules = await asyncio.to_thread(NodeModules.of, directory, self._workspace.node_modules(release.app))
            for step in steps(directory, release.manifest, asked, modules):
                tell(f"-----> {step.title}")
                await self._command(step.title, step.command, release, config, facts).run(tell)
            if modules:
                await asyncio.to_thread(modules.prune)
        self._check_static(release)

    async def run(self, what: str, command: str, release: Release, config: Mapping[str, str], tell: Tell) -> None:
        """Run a command of the manifest in a built tree; `what` says which one. Raises BuildFailed."""
        tell(f"-----> Running {what}: {command}")
        await self._command(what, ["/bin/sh", "-c", command], release, config, {}).run(tell)

    @contextlib.asynccontextmanager
    async def _turn(self, tell: Tell) -> AsyncIterator[None]:
        if self._room.locked():
            tell("-----> Other builds are under way; waiting for one of them to end")
        async with self._room:
            yield

    def _check_static(self, release: Release) -> None:
        """Raise InvalidManifest unless the directory to serve, which the build may have made, is one of the tree."""
        static = release.manifest.static if release.manifest else None
        if static is None:
            return
        tree = self._workspace.tree(release).resolve()
        directory = tree / static
        if not directory.is_dir():
            raise InvalidManifest(f"the directory {static!r} is to be served, and the built tree has none of that name")
        if not directory.resolve().is_relative_to(tree):
            raise InvalidManifest(f"the directory {static!r} is to be served, and leads out of the tree")

    def _command(
        self, title: str, command: Sequence[str], release: Release, config: Mapping[str, str], facts: Mapping[str, str]
    ) -> BuildCommand:
        directory = self._workspace.tree(release)
        mark = {BUILD_MARK: f"{self._data_dir}:{release.id}"}
        return BuildCommand(
            title=title,
            command=command,
            directory=directory,
            environment=app_environment(directory, release, config, {**facts, **mark}),
            timeout_seconds=self._timeout_seconds,
            bounds=self._bounds,
        )
