"""Crash points: the steps of a change between which the daemon may die, each marked in the code.

Invariants:
    * Every point is passed somewhere in the code, and a test dies at every one (tests/e2e/test_crash_points.py).
    * Nothing happens at a point unless BALANCER_CRASH_AT asks for it.

BALANCER_CRASH_AT names a file that holds the name of a point; who passes that point kills itself as `kill -9` does. It
is a file so that a test can choose the point while the daemon runs. For tests alone.
"""

import enum
import os
import signal
from pathlib import Path

_VARIABLE = "BALANCER_CRASH_AT"
_CHOSEN = os.environ.get(_VARIABLE)


class CrashPoint(enum.Enum):
    """Where the state on disk, in the registry, in HAProxy, in the process table or in git has just changed."""

    RELEASE_OPENED = "release-opened"
    """The registry has a building release; nothing of it is on disk."""
    TREE_EXPORTED = "tree-exported"
    """The commit is written out."""
    COMMAND_STARTED = "command-started"
    """A command of the build, or the release command, is a process."""
    BUILT = "built"
    """Everything is installed, and the release command was run."""
    RELEASE_STARTING = "release-starting"
    """The registry says that instances of the release start; it has none."""
    INSTANCE_OPENED = "instance-opened"
    """The registry has an instance, and its port is leased; there is no process."""
    PROCESS_SPAWNED = "process-spawned"
    """The process of an instance is there, and nobody has written down which."""
    PROCESS_RECORDED = "process-recorded"
    """The registry knows the process of an instance."""
    INSTANCE_HEALTHY = "instance-healthy"
    """The registry knows that an instance is healthy."""
    BEFORE_ACTIVATE = "before-activate"
    """Everything is ready, and the release before is live."""
    ACTIVATED = "activated"
    """The registry says that the release is live; HAProxy has not heard of it."""
    FILE_WRITTEN = "file-written"
    """Some of HAProxy's files say what it is to do, and some what it did before."""
    FILES_WRITTEN = "files-written"
    """HAProxy's files say what it is to do; the running one has not heard of it."""
    PROXY_RELOADED = "proxy-reloaded"
    """HAProxy has read its files again; what has changed since is still to be told."""
    PROXY_CHANGED_IN_PART = "proxy-changed-in-part"
    """HAProxy has done one of the commands that make it follow, perhaps not the others."""
    PROXY_FOLLOWED = "proxy-followed"
    """Visitors are sent to the release; the one before drains."""
    TREE_PRUNED = "tree-pruned"
    """The tree of a release that is too old to go back to is gone, perhaps not the others."""
    DEPLOYED = "deployed"
    """All is done; the pusher has not been told, and git has not moved the ref."""
    REF_MOVED = "ref-moved"
    """A ref that had to follow the registry points at what is live."""
    BRANCH_REMOVED = "branch-removed"
    """The registry says that a branch is not live any more; HAProxy and git have not heard of it."""
    TWIN_REMOVED = "twin-removed"
    """The registry says that an A/A split is over, and its twin not live any more; HAProxy and git have not heard."""
    ROLLOUT_MOVED = "rollout-moved"
    """The registry says that a rollout has taken a step; HAProxy has not heard of it."""
    ROLLOUT_ENDED = "rollout-ended"
    """The registry says that a rollout is done, and what became of it."""
    BANDIT_MOVED = "bandit-moved"
    """The registry says that a bandit has other weights; HAProxy has not heard of it."""
    ROLLOUT_BEGUN = "rollout-begun"
    """The registry says that a rollout goes on, and its release is live; HAProxy and git have not heard of it."""
    CANARY_TAKEN_BACK = "canary-taken-back"
    """The registry says that nobody is given a canary any more; HAProxy and the default branch's ref have not heard."""
    REF_DELETED = "ref-deleted"
    """A ref of a branch that is not live any more is gone."""
    CRASH_LOOP_SEEN = "crash-loop-seen"
    """An instance ends again and again; nothing of it is written down."""
    INSTANCE_STOPPING = "instance-stopping"
    """An instance of the release before was told to end."""
    INSTANCE_STOPPED = "instance-stopped"
    """The registry knows that an instance is over; its port is free."""
    RELEASE_RETIRED = "release-retired"
    """The release before is over."""
    CONFIG_RELEASE_OPENED = "config-release-opened"
    """The registry has a starting release for other config vars, perhaps not of every branch; none has an instance."""
    RECONFIGURED = "reconfigured"
    """The registry has the other config vars, and the releases with them are live; HAProxy has not heard of it."""
    INSTANCES_REPLACED = "instances-replaced"
    """The registry says that other instances serve, or none; HAProxy has not heard of it."""
    REPOSITORY_DISCARDED = "repository-discarded"
    """Of an app that is deleted the repository is gone; its releases and the registry's rows are there."""
    RELEASES_DISCARDED = "releases-discarded"
    """Of an app that is deleted what the registry refers to is gone; its rows are there."""
    APP_REMOVED = "app-removed"
    """The registry has nothing of an app that is deleted; HAProxy has not heard of it."""
    EVENTS_WRITTEN = "events-written"
    """A batch that a server sent is in the spool, but not synced."""
    EVENTS_SYNCED = "events-synced"
    """It is synced; the server has not been told."""


def passed(point: CrashPoint) -> None:
    """Go on; or die, where a test asked for this point."""
    if _CHOSEN is not None and _asked_for(point, Path(_CHOSEN)):
        os.kill(os.getpid(), signal.SIGKILL)


def _asked_for(point: CrashPoint, chosen: Path) -> bool:
    try:
        return chosen.read_text().strip() == point.value
    except FileNotFoundError:
        return False
