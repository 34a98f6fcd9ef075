"""The environment that an app's own commands run in. Pure but for the daemon's own environment that it starts from.

Invariants:
    * Nothing of the platform's (tokens, addresses, its virtual environment) reaches an app.
    * Config vars win over the manifest's `env`, that over our defaults, and none of them over PORT and BALANCER_*.

Every command of an app gets its environment here: builds, release commands, instances, and what is run once.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from balancer.domain.release import Release

_KEPT = ("LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
_KEPT_PREFIXES = ("PIP_", "UV_", "NPM_CONFIG_", "npm_config_", "http_proxy", "https_proxy", "no_proxy")


def app_environment(
    directory: Path, release: Release, config: Mapping[str, str], facts: Mapping[str, str]
) -> dict[str, str]:
    """Return what a command of a release sees in `directory`: `config` are its config vars, `facts` what we tell it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIXES) or name.upper() in {p.upper() for p in _KEPT_PREFIXES[-3:]}
    }
    own = [str(directory / ".venv" / "bin"), str(directory / "node_modules" / ".bin")]
    return {
        **kept,
        "PATH": os.pathsep.join([*own, _system_path()]),
        "HOME": str(directory),
        "PYTHONUNBUFFERED": "1",  # else what an app prints shows in `balancer logs` when its buffer is full
        "NODE_ENV": "production",
        **{str(key): value for key, value in (release.manifest.env if release.manifest else {}).items()},
        **config,
        "BALANCER_APP": release.app,
        "BALANCER_BRANCH": release.branch,
        "BALANCER_RELEASE": str(release.number),
        "BALANCER_COMMIT": release.commit,
        **facts,
    }


def _system_path() -> str:
    """Return the PATH without the virtual environment that the platform itself runs in."""
    ours = str(Path(sys.executable).parent)
    inside = sys.prefix != sys.base_prefix
    parts = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(part for part in parts if part and not (inside and part == ours))
