"""Trees as a push brings them, and how they say they are to be run."""

from collections.abc import Mapping
from pathlib import Path

from balancer.domain.manifest import Manifest
from balancer.runner.manifest import read_manifest

Tree = Mapping[str, str | bytes]


def written(directory: Path, tree: Tree) -> Path:
    """Write a tree; a name that ends in a slash is a directory."""
    for name, content in tree.items():
        path = directory / name
        if name.endswith("/"):
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return directory


def read(directory: Path, tree: Tree) -> Manifest:
    """Return the manifest of a tree."""
    return read_manifest(written(directory, tree))
