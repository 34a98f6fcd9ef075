"""A proxy that is compared: its processes, its port, and what it has logged."""

import contextlib
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import reserved
from peers.cores import pin
from waiting import until

HOST = "shop.localhost"
SPLIT = "s7"
BRANCHES = ("master", "test")
# 10 s to listen and 10 s to end: Envoy takes one.
_DEADLINE_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One proxy that runs."""

    name: str
    pid: int
    """The first of its processes."""
    port: int
    exposures: Path | None
    """Where it logs exposures, a line each; None for one that splits nothing."""


@contextlib.contextmanager
def running(
    name: str,
    command: Sequence[str],
    *,
    port: int,
    core: int,
    directory: Path,
    environment: Mapping[str, str],
    exposures: Path | None = None,
    keep: Sequence[int] = (),
) -> Iterator[Peer]:
    """Give a proxy once it listens, on a core of its own, and end it; it inherits the descriptors to `keep`."""
    with (directory / f"{name}.out").open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            cwd=directory,
            env=dict(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=tuple(keep),
        )
    try:
        until(lambda: process.poll() is not None or _listens(port), _DEADLINE_SECONDS)
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended: {(directory / f'{name}.out').read_text()[-2000:]}")
        pin(process.pid, core)
        yield Peer(name=name, pid=process.pid, port=port, exposures=exposures)
    finally:
        process.terminate()
        try:
            process.wait(_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a port on which nothing listens."""
    (port,) = reserved.ports(1)
    return port


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
