"""The hooks of the repositories: ask the daemon to deploy what is pushed, and show how it goes.

Run by git with Python's standard library alone: as `update_hook.py REF OLD NEW` for each ref, and before all of them
without words (`pre-receive`), where the push has options. Its exit status decides: 0, and the ref moves; anything else,
and git refuses the push. If the daemon dies meanwhile, the answer breaks off and the push is refused.
"""

import http.client
import json
import os
import socket
import sys
import urllib.parse


class _Local(http.client.HTTPConnection):
    """A connection to a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        """Connect, from the directory of the socket: the kernel takes short paths only."""
        directory, name = os.path.split(self._path)
        os.chdir(directory)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(name)


def main(*words: str) -> int:
    """Return 0 if the deploy of a ref went live, or the options of the push are known; else 1."""
    if words:
        ref, old, new = words
        return ask("update", {"ref": ref, "old": old, "new": new})
    count = int(os.environ.get("GIT_PUSH_OPTION_COUNT", "0"))
    return ask("options", {"options": [os.environ[f"GIT_PUSH_OPTION_{number}"] for number in range(count)]})


def ask(what: str, facts: object) -> int:
    """Ask the daemon, and show what it says; return 0 if it agrees, else 1."""
    address = os.environ.get("BALANCER_PUSH_ADDRESS")
    secret = os.environ.get("BALANCER_PUSH_SECRET")
    app = os.environ.get("BALANCER_PUSH_APP")
    if not (address and secret and app):
        say("This repository takes pushes only through the platform: git push to the remote that")
        say("`balancer apps remote` prints.")
        return 1
    connection = _Local(address) if address.startswith("/") else http.client.HTTPConnection(address)
    path = f"/git/{urllib.parse.quote(app)}/{what}"
    headers = {"Authorization": f"Push {secret}", "Content-Type": "application/json"}
    try:
        connection.request("POST", path, json.dumps(facts), headers)
        answer = connection.getresponse()
        last = ""
        while line := answer.readline():
            last = line.decode(errors="replace").rstrip("\n")
            if not last.startswith("\0"):
                say(last)
    except (OSError, http.client.HTTPException) as reason:
        say(f"The platform broke off: {reason}. Nothing was switched; push again.")
        return 1
    # The last line is the verdict, after a NUL so that no log line can be taken for it.
    if last == "\0ok":
        return 0
    if not last.startswith("\0"):
        say("The platform broke off before the deploy was done. Nothing was switched; push again.")
    return 1


def say(line: str) -> None:
    """Show a line to whoever pushes; in UTF-8 as git wants it, whatever the locale of the daemon is."""
    sys.stdout.buffer.write(line.encode(errors="replace") + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
