"""The keys that may push, in the file that sshd reads.

Invariants:
    * Only the block between our two marks is ever changed; it is written whole, or the file stays as it is.
    * A key of ours can do nothing but what its command does.
    * Without a key, and without a block that is there already, the file is not touched.
    * Platforms that write to the same file take turns: none undoes what another has written.
"""

import contextlib
import fcntl
import os
import re
import shlex
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from balancer.domain.key import Key
from balancer.errors import HostUnfit

# 10 s: a platform writes for some milliseconds, and whoever waits for longer is to say so.
_TURN_SECONDS, _POLL_SECONDS = 10.0, 0.02


class AuthorizedKeys:
    """The block of one platform in one file."""

    def __init__(self, path: Path, *, platform: str, command: Sequence[str]) -> None:
        self._path = path
        self._begin = f"# >>> balancer {platform}: written by the platform, which overwrites changes in here"
        self._end = f"# <<< balancer {platform}"
        self._command = tuple(command)
        """What a key may do; the name of the key is its last word."""

    def write(self, keys: Iterable[Key]) -> None:
        """Make `keys` those of our block. Raises HostUnfit where the file cannot be written."""
        lines = [self._line(key) for key in keys]
        path = self._path.resolve()
        try:
            if not lines and not path.exists():
                return
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _turn_in(path.parent):
                before = path.read_text() if path.exists() else ""
                block = "\n".join([self._begin, *lines, self._end]) + "\n" if lines else ""
                after = self._replaced(before, block)
                if after != before:
                    _write_whole(path, after)
        except (OSError, UnicodeDecodeError) as reason:
            raise HostUnfit(
                f"{self._path} cannot be written, so keys cannot push: {reason}; mend its rights, or name another file "
                "with the setting `authorized_keys`"
            ) from reason

    def _line(self, key: Key) -> str:
        command = shlex.join((*self._command, key.name)).replace('"', '\\"')
        return f'restrict,command="{command}" {key.public} {key.name}'

    def _replaced(self, text: str, block: str) -> str:
        ours = re.compile(f"^{re.escape(self._begin)}\n.*?^{re.escape(self._end)}\n", re.MULTILINE | re.DOTALL)
        rest = ours.sub("", text)
        return (rest if rest.endswith("\n") or not rest or not block else f"{rest}\n") + block


@contextlib.contextmanager
def _turn_in(directory: Path) -> Iterator[None]:
    """Be the only platform that writes in a directory for as long as the block lasts. Raises TimeoutError."""
    number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    deadline = time.monotonic() + _TURN_SECONDS
    try:
        while True:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another platform has been writing there for {_TURN_SECONDS:g} s") from None
                time.sleep(_POLL_SECONDS)
            except OSError:  # a file system that has no locks
                break
        yield
    finally:
        os.close(number)


def _write_whole(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.balancer")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
