"""The directories of releases: `<app>/<number>/tree` is what runs, `<app>/<number>/log` what it said.

Invariants:
    * Two releases never share a directory.
    * What a failed or pruned release leaves is its log.
"""

import shutil
from pathlib import Path

from balancer.domain.release import Instance, Release


class Workspace:
    """All of them, below one root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def tree(self, release: Release) -> Path:
        """Return where the tree of a release is."""
        return self._of(release) / "tree"

    def create(self, release: Release) -> Path:
        """Make the empty tree of a new release and return it; what an unfinished one left there goes."""
        shutil.rmtree(self._of(release), ignore_errors=True)
        self.tree(release).mkdir(parents=True)
        (self._of(release) / "log").mkdir()
        return self.tree(release)

    def has_tree(self, release: Release) -> bool:
        """Tell whether a release can be started again."""
        return self.tree(release).is_dir()

    def discard_tree(self, release: Release) -> None:
        """Remove the tree of a release that will not run again."""
        shutil.rmtree(self.tree(release), ignore_errors=True)

    def build_log(self, release: Release) -> Path:
        """Return the file that a release's build wrote to."""
        return self._of(release) / "log" / "build.log"

    def instance_log(self, release: Release, instance: Instance) -> Path:
        """Return the file that an instance writes to; those of one index in a release share it."""
        return self._of(release) / "log" / f"web.{instance.index}.log"

    def _of(self, release: Release) -> Path:
        return self.root / release.app / str(release.number)
