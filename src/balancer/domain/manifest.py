"""Manifests: what a pushed tree says about how it is to be run.

Invariants:
    * A manifest says exactly one way to serve the app: a `web` process or a static directory.
    * A process type has a command, and a formation names only process types that there are.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Self

from cronsim import CronSim, CronSimError

from balancer.domain.app import ConfigKey, ConfigValue, Domain
from balancer.domain.declaration import check_metrics
from balancer.domain.latency import check_slow_after
from balancer.domain.metric import Metric
from balancer.domain.push_mode import INSTANT, PushMode
from balancer.errors import InvalidManifest, InvalidName

# 100 of one process type: beyond that one machine is not enough for anything useful.
INSTANCES_LIMIT = 100
# 600 s: a websocket or a long download may go on for so long after a deploy.
DRAIN_TIMEOUT_SECONDS = 600.0
# A schedule is tried from here; which day it is does not matter.
_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,29}")
_PATH = re.compile(r"/[!-~]{0,500}")


class ProcessType(str):
    """The name of a process of an app, such as `web` or `worker`."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName."""
        if not _TYPE.fullmatch(text):
            raise InvalidName(
                f"{text[:60]!r} is no name for a process: use letters, digits, - and _, a letter first, at most 30"
            )
        return super().__new__(cls, text)


WEB = ProcessType("web")
"""The process type that serves; the others get no requests."""


class Source(Enum):
    """Where a manifest was found; it decides how the release is built."""

    MANIFEST = "balancer.toml"
    PROCFILE = "Procfile"
    PACKAGE = "package.json"
    PYTHON = "pyproject.toml"
    STATIC = "index.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class CronJob:
    """A command that runs at given times, in the environment of the default branch's live release."""

    schedule: str
    """Five fields, as in a crontab, in UTC."""
    command: str

    def __post_init__(self) -> None:
        try:
            if len(self.schedule.split()) != 5:
                raise CronSimError("write five fields")
            never = next(CronSim(self.schedule, _SOME_DAY), None) is None
        except CronSimError as reason:
            raise InvalidManifest(
                f"the schedule {self.schedule!r} does not parse ({reason}): "
                "minute, hour, day of month, month, day of week, such as `30 4 * * *`"
            ) from reason
        if never:
            raise InvalidManifest(f"the schedule {self.schedule!r} never comes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """When visitors of an app are served without being counted, and without a cookie."""

    consent: bool = False
    """As long as there is no cookie `balancer_consent=1`."""
    gpc: bool = False
    """Where the request has `Sec-GPC: 1`."""


COUNT_ALL = Privacy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """How a pushed tree is to be run."""

    source: Source
    processes: Mapping[ProcessType, str] = field(default_factory=dict)
    """Process type → command, run by a shell; `web` with PORT in its environment."""
    static: str | None = None
    """The directory to serve as it is, relative to the tree; instead of a `web` process."""
    build: str | None = None
    """The command that ends the build, after what was detected."""
    predeploy: str | None = None
    """The command that runs after the build, before `release`."""
    release: str | None = None
    """The command that runs once, after the build and before anything switches."""
    postdeploy: str | None = None
    """The command that runs once the release is live; its failure is told and changes nothing."""
    first_deploy: str | None = None
    """As `postdeploy`, once in the life of the app: after its first release is live."""
    env: Mapping[ConfigKey, ConfigValue] = field(default_factory=dict)
    """Defaults of config vars; those of the app win."""
    required: tuple[ConfigKey, ...] = ()
    """Config vars without which the app is not deployed."""
    secrets: tuple[ConfigKey, ...] = ()
    """Config vars that are made up once where the app has none of that name."""
    formation: Mapping[ProcessType, int] = field(default_factory=dict)
    """How many instances of a process type, where the operator has not said; else 1."""
    cron: tuple[CronJob, ...] = ()
    domains: tuple[Domain, ...] = ()
    timezone: str | None = None
    """IANA name of the zone in which the app's days begin; None: that of the platform. Kept as text, because what
    another machine knew must still be read where it is not known."""
    health_path: str | None = None
    """Where 2xx or 3xx means healthy; None asks for `/` and takes any answer below 500."""
    health_timeout_seconds: float = 60.0
    drain_timeout_seconds: float = DRAIN_TIMEOUT_SECONDS
    """How long what is in flight may go on once an instance drains."""
    privacy: Privacy = COUNT_ALL
    metrics: tuple[Metric, ...] = ()
    """What is measured of the app's visitors, where the operator has not said otherwise."""
    rollout: PushMode = INSTANT
    """What a push of it does with its release."""
    previous_assets: bool = True
    """Whether files that are missing in a new release are looked for in the one before, for a while."""
    slow_after_milliseconds: int | None = None
    """From when on an answer to a visitor is slow: the app's latency objective; None where it has none."""

    def __post_init__(self) -> None:
        if (WEB in self.processes) == (self.static is not None):
            raise InvalidManifest(
                f"{self.source.value} must say one way to run the app: a `web` command or a `static` directory"
            )
        if self.static is not None and (self.static.startswith("/") or ".." in self.static.split("/")):
            raise InvalidManifest(f"static = {self.static!r} leaves the tree: name a directory inside it")
        if self.health_path is not None and not _PATH.fullmatch(self.health_path):
            raise InvalidManifest(f"the health path {self.health_path!r} must begin with / and have no spaces")
        for name, seconds in (("health", self.health_timeout_seconds), ("drain", self.drain_timeout_seconds)):
            if not 1 <= seconds <= 3600:
                raise InvalidManifest(f"a {name} timeout of {seconds} s: from 1 to 3600 are possible")
        check_formation(self.formation, self.types, self.source.value)
        check_metrics(self.metrics)
        if self.slow_after_milliseconds is not None:
            check_slow_after(self.slow_after_milliseconds)

    @property
    def types(self) -> tuple[ProcessType, ...]:
        """Every process type of the app, the one that serves first."""
        return (WEB, *(name for name in self.processes if name != WEB))

    def counts(self, asked: Mapping[ProcessType, int]) -> dict[ProcessType, int]:
        """Return how many instances of each process type are to run; `asked` is what the operator has said."""
        return {process: asked.get(process, self.formation.get(process, 1)) for process in self.types}


def check_formation(formation: Mapping[ProcessType, int], types: tuple[ProcessType, ...], where: str) -> None:
    """Raise InvalidManifest unless `formation` gives possible numbers of processes that there are."""
    for process, count in formation.items():
        if process not in types:
            raise InvalidManifest(f"{where}: there is no process {process!r} to run; there are {', '.join(types)}")
        least = 1 if process == WEB else 0
        if not least <= count <= INSTANCES_LIMIT:
            raise InvalidManifest(
                f"{where}: {count} instances of {process}: from {least} to {INSTANCES_LIMIT} are possible"
            )
