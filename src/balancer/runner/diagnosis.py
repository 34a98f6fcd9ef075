"""Why an instance is not healthy, in words for whoever pushed it."""

from pathlib import Path

from balancer.domain.release import Instance
from balancer.processes import Ending, Process
from balancer.runner.listeners import LOOPBACKS, listening, sockets_of

_SHOWN_LINES = 20


def before_healthy(ending: Ending) -> str:
    """Say how an instance ended that was not healthy yet."""
    if ending.status == 0 and ending.left:
        return (
            f"went into the background: its command exited with status 0 and left {ending.left} running, "
            "which has been ended. The command must stay in the foreground"
        )
    return f"{ending} before it was healthy"


def elsewhere(instance: Instance, process: Process) -> str | None:
    """Say where an instance listens that cannot be asked where it should; None: nowhere."""
    own = sockets_of(member.pid for member in process.family())
    found = [listener for listener in listening() if listener.inode in own]
    if any(listener.port == instance.port for listener in found if any(map(listener.answers, LOOPBACKS))):
        return None
    where = ", ".join(sorted(str(listener) for listener in found))
    if any(listener.port == instance.port for listener in found):
        return f"it listens on {where} alone: listen on 127.0.0.1 or 0.0.0.0"
    if found:
        return f"it listens on {where} instead of PORT={instance.port}: use the PORT of the environment"
    return None


def last_lines(path: Path) -> str:
    """Return the end of a log for a message, or that there is none."""
    try:
        text = path.read_bytes()[-8192:].decode(errors="replace")
    except OSError:
        text = ""
    lines = text.splitlines()[-_SHOWN_LINES:]
    if not lines:
        return "; it printed nothing"
    return "; the last lines of its log:\n" + "\n".join(f"       {line}" for line in lines)
