"""balancer.toml: our own file, which can say everything that a manifest has.

Invariants:
    * A key that we do not know is an error.
    * Where it says neither `web`, `processes` nor `static`, a Procfile beside it does; they are never mixed.
"""

from pathlib import Path

from balancer.domain.calendar import TimeZone
from balancer.domain.latency import parse_slow_after
from balancer.domain.manifest import DRAIN_TIMEOUT_SECONDS, WEB, Manifest, Privacy, ProcessType, Source
from balancer.domain.push_mode import INSTANT, PushMode, declared
from balancer.errors import InvalidManifest, InvalidName
from balancer.runner.metric_tables import metrics_of
from balancer.runner.procfile import read_procfile
from balancer.runner.tree_file import Table, named, toml_of

NAME = "balancer.toml"
_KEYS = (
    *("web", "processes", "static", "build", "predeploy", "release", "postdeploy", "env", "instances", "formation"),
    *("cron", "domains", "timezone", "health_path", "health_timeout_seconds", "drain_timeout_seconds"),
    *("visitors", "metrics", "previous_assets", "slow_after", "rollout"),
)
_VISITORS_KEYS = ("consent", "gpc")
_ENV_KEYS = ("value", "required", "generator", "description")


def read_balancer_toml(directory: Path) -> Manifest:
    """Return the manifest of a tree that has this file. Raises InvalidManifest."""
    file = Table(NAME, toml_of(directory / NAME))
    file.only(_KEYS)
    for name in ("release", "static"):
        if name in file.table("processes").values:
            raise InvalidManifest(f"{NAME}: `{name}` is no process; write it above, outside of [processes]")
    for name, entry in file.table("env").values.items():
        if isinstance(entry, dict):
            file.table("env").table(name).only(_ENV_KEYS)
    processes, static, release = _processes(file), file.text("static"), file.text("release")
    if not processes and static is None and (directory / "Procfile").is_file():
        procfile = read_procfile(directory / "Procfile")
        processes, static, release = dict(procfile.processes), procfile.static, release or procfile.release
    env = file.table("env").env()
    visitors = file.table("visitors")
    visitors.only(_VISITORS_KEYS)
    cron = file.tables("cron")
    for entry in cron:
        entry.only(("schedule", "command"))
    return Manifest(
        source=Source.MANIFEST,
        processes=processes,
        static=static,
        build=file.text("build"),
        predeploy=file.text("predeploy"),
        release=release,
        postdeploy=file.text("postdeploy"),
        env=env.defaults,
        required=env.required,
        secrets=env.secrets,
        formation=_formation(file),
        cron=tuple(entry.cron_job() for entry in cron),
        domains=file.domains(),
        timezone=_timezone(file),
        health_path=file.text("health_path"),
        health_timeout_seconds=file.number("health_timeout_seconds", 60.0),
        drain_timeout_seconds=file.number("drain_timeout_seconds", DRAIN_TIMEOUT_SECONDS),
        privacy=Privacy(consent=visitors.flag("consent", default=False), gpc=visitors.flag("gpc", default=False)),
        metrics=metrics_of(file.table("metrics")),
        rollout=_rollout(file),
        previous_assets=file.flag("previous_assets", default=True),
        slow_after_milliseconds=_slow_after(file),
    )


def _slow_after(file: Table) -> int | None:
    said = file.text("slow_after")
    try:
        return None if said is None else parse_slow_after(said)
    except InvalidManifest as reason:
        raise InvalidManifest(f"{NAME}: {reason}") from reason


def _rollout(file: Table) -> PushMode:
    if "rollout" not in file.values:
        return INSTANT
    with named(NAME):
        return declared(file.values["rollout"])


def _timezone(file: Table) -> str | None:
    said = file.text("timezone")
    try:
        return None if said is None else TimeZone(said)
    except InvalidName as reason:
        raise InvalidManifest(f"{NAME}: timezone: {reason}") from reason


def _processes(file: Table) -> dict[ProcessType, str]:
    named = file.table("processes").processes()
    web = file.text("web")
    if web is not None and WEB in named:
        raise InvalidManifest(f"{NAME}: `web` stands in [processes], too; keep one of them")
    return {**({} if web is None else {WEB: web}), **named}


def _formation(file: Table) -> dict[ProcessType, int]:
    table = file.table("formation")
    counts = {table.process_type(name): table.whole_number(name) or 0 for name in table.values}
    instances = file.whole_number("instances")
    if instances is None:
        return counts
    if WEB in counts:
        raise InvalidManifest(f"{NAME}: `instances` is the number of web, which [formation] has, too; keep one of them")
    return {WEB: instances, **counts}
