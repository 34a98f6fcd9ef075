"""A command on a terminal of its own, as somebody who watches it has it."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ROWS, _COLUMNS = 40, 120


class Terminal:
    """What a command has shown so far, and how it ended."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self._shown = bytearray()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    @property
    def shown(self) -> str:
        """All that was shown until now, without what moves the cursor and colours."""
        return _ESCAPES.sub("", self._shown.decode(errors="replace"))

    def end(self) -> None:
        """End the command, where it goes on."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)
        self._reading.join(30)
        os.close(self._master)

    def _read(self) -> None:
        # The kernel says EIO once nobody has the other side open any more.
        with contextlib.suppress(OSError):
            while piece := os.read(self._master, 65_536):
                self._shown += piece


@contextlib.contextmanager
def on_a_terminal(command: Sequence[str], env: Mapping[str, str]) -> Iterator[Terminal]:
    """Run a command on a terminal of 40 rows and 120 columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    process = subprocess.Popen(command, env={**env, "TERM": "xterm"}, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    terminal = Terminal(process, master)
    try:
        yield terminal
    finally:
        terminal.end()
