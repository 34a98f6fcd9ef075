"""The HAProxy that is installed on this machine: where it is, and which version.

Invariant: one that is older than what the configuration is written for is never used.

Used by `serve` before anything is started, and by `haproxy.py` to see that a running one is the one installed.
"""

import re
import shutil
import subprocess

from balancer.errors import ProxyMissing, ProxyTooOld

OLDEST = (2, 6)
# 10 s: it takes some milliseconds.
_TIMEOUT_SECONDS = 10.0


def find_executable(name: str) -> str:
    """Return the path of a HAProxy that is new enough. Raises ProxyMissing, ProxyTooOld."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise ProxyMissing
    version_of(path)
    return path


def version_of(path: str) -> str:
    """Return the version of the HAProxy at `path`, `2.6.12-1+deb12u4`. Raises ProxyMissing, ProxyTooOld."""
    try:
        answer = subprocess.run([path, "-v"], capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as reason:
        raise ProxyMissing from reason
    found = re.search(r"version ((\d+)\.(\d+)\S*)", answer.stdout)
    if not found:
        raise ProxyMissing
    if (int(found[2]), int(found[3])) < OLDEST:
        raise ProxyTooOld(f"{found[2]}.{found[3]}", ".".join(map(str, OLDEST)))
    return found[1]
