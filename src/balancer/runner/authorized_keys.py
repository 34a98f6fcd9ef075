"""The keys that may push, in the file that sshd reads.

Invariants:
    * Only the block between our two marks is ever changed; it is written whole, or the file stays as it is.
    * A key of ours can do nothing but what its command does.
    * Without a key, and without a block that is there already, the file is not touched.
"""

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from balancer.domain.key import Key
from balancer.errors import HostUnfit


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
        try:
            before = self._path.read_text() if self._path.exists() else ""
            block = "\n".join([self._begin, *lines, self._end]) + "\n" if lines else ""
            after = self._replaced(before, block)
            if after != before:
                _write_whole(self._path.resolve(), after)
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


def _write_whole(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.balancer")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
