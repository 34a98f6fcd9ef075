"""`balancer ssh-serve`: what a key of ours may do, which is git with the repositories of the platform.

Invariant: nothing that comes over ssh is run; what is asked is parsed, and git is started with what the daemon says.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from typing import Annotated

import typer

from balancer.cli.target import connect
from balancer.domain.app import AppName
from balancer.errors import InvalidInput

_ASKED = re.compile(r"git[ -](?P<verb>receive-pack|upload-pack) '/?(?P<app>[^/']+)\.git'")


def ssh_serve(key: Annotated[str, typer.Argument(metavar="KEY", help="Name of the key.", show_default=False)]) -> None:
    """Serve git to a key, for the line in authorized_keys; sshd runs this."""
    asked = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    found = _ASKED.fullmatch(asked)
    if not found:
        raise InvalidInput(
            "only git can be used here: git remote add balancer ssh://USER@HOST/APP.git, then git push balancer BRANCH"
        )
    app = AppName(found["app"])
    with connect() as client, client.push_session(app, key) as session:
        environment = {**_environment(), **session.environment}
        git = subprocess.Popen(["git", found["verb"], session.repository], env=environment, start_new_session=True)
        status = git.wait()
        with contextlib.suppress(ProcessLookupError):  # a hook that waits on for a pusher who went away
            os.killpg(git.pid, signal.SIGTERM)
    sys.exit(status)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "GIT_PROTOCOL") if name in os.environ}
    return {
        **kept,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
