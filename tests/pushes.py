"""A push as the builder sees it: a tree, and what the person who pushed was told."""

from pathlib import Path

import pytest

from balancer.runner.bounds import Bounds
from balancer.runner.build import Builder
from balancer.runner.workspace import Workspace
from values import release


class Push:
    """A tree, the builder, and what the person who pushed was told."""

    def __init__(self, directory: Path) -> None:
        self.workspace = Workspace(directory / "releases")
        self.release = release(7)
        self.tree = self.workspace.create(self.release)
        self.directory = directory
        self.caches = directory / "cache"
        self.bounds = Bounds(memory_mb=2048)
        self.told: list[str] = []

    async def build(self, **config: str) -> None:
        await self.builder(300).build(self.release, config, self.told.append)

    async def run(self, command: str, *, timeout_seconds: float = 120, **config: str) -> None:
        """Run a release command: whatever the shell can do."""
        builder = self.builder(timeout_seconds)
        await builder.run("the release command", command, self.release, config, self.told.append)

    @property
    def printed(self) -> list[str]:
        """What the command itself printed."""
        return [line.removeprefix("       ") for line in self.told if not line.startswith("----->")]

    def builder(self, timeout_seconds: float) -> Builder:
        """Return the builder."""
        return Builder(
            self.workspace,
            data_dir=self.directory,
            timeout_seconds=timeout_seconds,
            bounds=self.bounds,
            at_once=1,
        )


def pushed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Push:
    """Return a push on a machine without network."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("npm_config_offline", "true")
    return Push(directory)
