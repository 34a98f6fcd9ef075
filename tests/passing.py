"""Time that goes by without anybody waiting for it, on a platform that is under test."""

from pathlib import Path


class Passing:
    """The clock and the ticks of a platform, ahead of the machine's; give the platform `variables`."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "passed"
        self.variables = {"BALANCER_CLOCK_OFFSET": str(self._file)}
        self._seconds = 0.0

    def let(self, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Let so much time go by, whole or not at all."""
        self._seconds += ((days * 24 + hours) * 60 + minutes) * 60
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{self._seconds} {self._seconds}")
        fresh.replace(self._file)
