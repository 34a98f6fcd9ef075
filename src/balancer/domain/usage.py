"""What an instance uses of the machine: all of its processes together."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the processes of an instance have used, and use."""

    cpu_seconds: float
    """Time on a processor since they were started, of those that have ended too, as far as their parent has noticed."""
    memory_bytes: int
    """What of them is in memory; what several of them have mapped from the same file counts once, at its largest."""
    processes: int
