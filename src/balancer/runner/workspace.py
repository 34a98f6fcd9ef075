"""The directories of releases: `<app>/<number>/tree` is what runs, `<app>/<number>/log` what it said.

Invariants:
    * Two releases never share a directory; but one runs another's tree where they are of one commit.
    * What a failed or pruned release leaves is its log.
"""

import shutil
from pathlib import Path

from balancer.domain.app import AppName
from balancer.domain.release import Instance, Release
from balancer.runner.build_log import BuildLog


class Workspace:
    """All of them, below one root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def tree(self, release: Release) -> Path:
        """Return where the tree of a release is."""
        return self.root / release.app / str(release.tree) / "tree"

    def create(self, release: Release) -> Path:
        """Make the empty tree of a new release and return it; what an unfinished one left there goes."""
        shutil.rmtree(self._of(release), ignore_errors=True)
        self.tree(release).mkdir(parents=True)
        (self._of(release) / "log").mkdir()
        return self.tree(release)

    def node_modules(self, app: AppName) -> Path:
        """Return where what npm has installed for an app is kept."""
        return self.root / app / "node_modules"

    def has_tree(self, release: Release) -> bool:
        """Tell whether a release can be started again."""
        return self.tree(release).is_dir()

    def discard_tree(self, release: Release) -> None:
        """Remove the tree of a release; the caller knows of no other one that runs it."""
        shutil.rmtree(self.tree(release), ignore_errors=True)

    def discard_app(self, app: AppName) -> None:
        """Remove the trees and the logs of all releases of an app."""
        shutil.rmtree(self.root / app, ignore_errors=True)

    def build_log(self, release: Release) -> Path:
        """Return the file that a release's build wrote to."""
        return self._of(release) / "log" / "build.log"

    def record(self, release: Release) -> BuildLog:
        """Return what adds to the log of a release's build; to be closed."""
        return BuildLog(self.build_log(release))

    def instance_log(self, release: Release, instance: Instance) -> Path:
        """Return the file that an instance writes to; those of one label in a release share it."""
        return self._of(release) / "log" / f"{instance.label}.log"

    def cron_log(self, release: Release, number: int) -> Path:
        """Return the file that the cron job with this number in the manifest writes to."""
        return self._of(release) / "log" / f"cron.{number}.log"

    def logs(self, release: Release) -> dict[str, Path]:
        """Return every log of a release by its name: `build`, `web.1`."""
        return {path.stem: path for path in sorted((self._of(release) / "log").glob("*.log"))}

    def _of(self, release: Release) -> Path:
        return self.root / release.app / str(release.number)
