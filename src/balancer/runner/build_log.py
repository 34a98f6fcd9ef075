"""The log of a deploy: what whoever waits for it is told, kept with the release.

Its bound is that of what is told: each command of a build tells an excerpt.
"""

from pathlib import Path
from typing import TextIO


class BuildLog:
    """One file, made with its first line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def note(self, line: str) -> None:
        """Add a line, or several. Raises OSError."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8", errors="replace", buffering=1)
        self._file.write(line + "\n")

    def close(self) -> None:
        """Note nothing more."""
        if self._file is not None:
            self._file.close()
