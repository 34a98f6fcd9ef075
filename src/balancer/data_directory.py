"""The data directory: made, taken by one daemon and one ledger, and the secrets in it.

Invariants:
    * A lock ends with the process that holds it, however it ends, and not where that executes itself again.
    * A secret is made once, and only our user can read it.

Used by `daemon` and `ledgerd`.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from balancer.errors import DataDirectoryInUse, DataDirectoryUnusable

_PARTS = ("run", "log", "repositories", "releases", "cache", "spool", "edge")


def prepare(path: Path) -> None:
    """Make the data directory and its parts, for our user alone. Raises DataDirectoryUnusable."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
        for name in _PARTS:
            (path / name).mkdir(exist_ok=True)
    except OSError as reason:
        raise DataDirectoryUnusable(str(path), reason.strerror or str(reason)) from reason


def clear_spool(path: Path) -> None:
    """Remove the bodies that a daemon which was killed had not finished with; only for the one daemon.

    The events in it were acknowledged, and are the ledger's.
    """
    for left in (path / "spool").iterdir():
        if left.suffix != ".ndjson":
            left.unlink()


@contextlib.contextmanager
def alone(path: Path, role: str, held: int | None = None) -> Iterator[int]:
    """Be the only `role` on a data directory for as long as the block lasts; give the descriptor of its lock.

    `held` is that descriptor where the code before us, in the same process, has handed it over: then nobody else got
    in between. One of another data directory is let go. Raises DataDirectoryInUse, DataDirectoryUnusable.
    """
    try:
        lock = _lock_file(path / f"{role}.lock", held)
    except OSError as reason:
        raise DataDirectoryUnusable(str(path), reason.strerror or str(reason)) from reason
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise DataDirectoryInUse(str(path), role, lock.read().strip() or "unknown") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield lock.fileno()


def _lock_file(path: Path, held: int | None) -> TextIO:
    """Return the file of a lock, opened; the one that is held where it is of this path."""
    if held is not None:
        if path.exists() and os.path.samestat(os.fstat(held), path.stat()):
            return os.fdopen(held, "a+")
        os.close(held)  # the setting is another one now
    return path.open("a+")


def secret(path: Path, make: Callable[[], str]) -> str:
    """Return the text that a file keeps for us alone, made at the first time.

    Raises DataDirectoryUnusable where the file is there and holds none.
    """
    if not path.exists():
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    text = path.read_bytes().decode("ascii", "replace").strip()
    if not text or not text.isascii() or not text.isprintable():
        raise DataDirectoryUnusable(
            str(path.parent),
            f"{path.name} is empty or torn: restore it from a backup, or remove it, and a new one is made at the next "
            "start (a new secret.key cannot read the config vars that there are)",
        )
    return text
