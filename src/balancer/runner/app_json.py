"""app.json: what Heroku and dokku let an app say beside its Procfile, where it fits.

Invariants:
    * It adds to what another file says; it never says how to serve the app.
    * What we have no use for (name, addons, buildpacks, …) is passed over, as those two do.
"""

from dataclasses import replace
from pathlib import Path

from balancer.domain.manifest import WEB, Manifest
from balancer.runner.tree_file import Table, json_of

NAME = "app.json"
# The defaults of a check of dokku: 3 attempts, of 5 s each and 5 s apart.
_ATTEMPTS, _TIMEOUT_SECONDS, _WAIT_SECONDS = 3, 5.0, 5.0
_HEALTH_LIMITS = 1.0, 3600.0


def with_app_json(manifest: Manifest, directory: Path) -> Manifest:
    """Return a manifest with what the app.json of the tree adds. Raises InvalidManifest."""
    path = directory / NAME
    if not path.is_file():
        return manifest
    file = Table(NAME, json_of(path))
    env = file.table("env").env()
    scripts = file.table("scripts")
    of_dokku = scripts.table("dokku")
    formation, quantities = file.table("formation"), {}
    for name in formation.values:
        quantity = formation.table(name).whole_number("quantity")
        if quantity is not None:
            quantities[formation.process_type(name)] = quantity
    health_path, health_timeout_seconds = _health(file, manifest)
    return replace(
        manifest,
        predeploy=of_dokku.text("predeploy") or scripts.text("predeploy"),
        postdeploy=of_dokku.text("postdeploy"),
        first_deploy=scripts.text("postdeploy"),
        env=env.defaults,
        required=env.required,
        secrets=env.secrets,
        formation=quantities,
        cron=tuple(entry.cron_job() for entry in file.tables("cron")),
        health_path=health_path,
        health_timeout_seconds=health_timeout_seconds,
    )


def _health(file: Table, manifest: Manifest) -> tuple[str | None, float]:
    """Return path and time limit of the startup check of `web`, else those of the manifest."""
    for check in file.table("healthchecks").tables(WEB):
        path = check.text("path")
        if check.values.get("type", "startup") != "startup" or path is None:
            continue
        seconds = check.number("initialDelay", 0) + check.number("attempts", _ATTEMPTS) * (
            check.number("timeout", _TIMEOUT_SECONDS) + check.number("wait", _WAIT_SECONDS)
        )
        is_said = any(key in check.values for key in ("attempts", "timeout", "wait", "initialDelay"))
        least, most = _HEALTH_LIMITS
        return path, min(max(seconds, least), most) if is_said else manifest.health_timeout_seconds
    return manifest.health_path, manifest.health_timeout_seconds
