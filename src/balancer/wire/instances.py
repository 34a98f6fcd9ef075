"""Instances, how many there are, what they print; one-offs and cron jobs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Self

from pydantic import Field

from balancer.domain.manifest import ProcessType
from balancer.domain.plan import Exit
from balancer.domain.release import Instance, Release
from balancer.wire.body import Body, ErrorBody


class InstanceBody(Body):
    """An instance."""

    name: str = Field(description="As in the edge log, such as `r12-i40`.")
    branch: str
    release: int
    type: str = Field(description="The process type, such as `web`.")
    index: int
    state: str
    port: int
    pid: int | None
    running: bool
    up_seconds: float | None = Field(description="How long its process has run; null while there is none.")
    restarts: int = Field(description="How often in a row it was started again without having run for a minute.")
    ends: int = Field(description="How often in a row it ended without having run for a minute; 0 while it runs.")
    next_start_at: datetime | None = Field(description="When it is started again; null while it runs.")

    @classmethod
    def of(
        cls,
        instance: Instance,
        release: Release,
        *,
        running: bool,
        up_seconds: float | None = None,
        end: Exit | None = None,
    ) -> Self:
        """Return the body of an instance; `end` is its latest."""
        return cls(
            name=instance.server,
            branch=release.branch,
            release=release.number,
            type=instance.type,
            index=instance.index,
            state=instance.state.value,
            port=instance.port,
            pid=instance.process.pid if instance.process else None,
            running=running,
            up_seconds=up_seconds if running else None,
            restarts=end.restarts + 1 if end and running else 0,
            ends=end.ends if end and not running else 0,
            next_start_at=end.next_start_at if end and not running else None,
        )


class FormationBody(Body):
    """How many instances of each process type: in an answer all of them, in a request those to change."""

    formation: dict[str, int] = Field(examples=[{"web": 4, "worker": 2}])

    @classmethod
    def of(cls, counts: Mapping[ProcessType, int]) -> Self:
        """Return the body of a formation."""
        return cls(formation={str(process): count for process, count in counts.items()})

    def parsed(self) -> dict[ProcessType, int]:
        """Return what a request asks for. Raises InvalidName."""
        return {ProcessType(process): count for process, count in self.formation.items()}


class Restart(Body):
    """What to restart."""

    branch: str | None = Field(default=None, description="Else every branch that is live.")
    process: str | None = Field(default=None, description="Else every process type.")


class NewRun(Body):
    """A command to run once."""

    command: list[str] = Field(min_length=1, examples=[["python", "manage.py", "migrate"]])
    branch: str | None = Field(default=None, description="Else the default branch.")
    input: bool = Field(default=False, description="Whether something is going to be PUT to its standard input.")
    timeout_seconds: float | None = Field(default=None, gt=0, description="After that it is killed, status 124.")


class RunStep(Body):
    """One line of the stream of a command that runs: first its id, then what it writes, last its status."""

    id: str | None = None
    stdout: str | None = Field(default=None, description="Bytes in base64.")
    stderr: str | None = Field(default=None, description="Bytes in base64.")
    status: int | None = Field(default=None, description="Exit status; 128 and its number for a signal.")
    error: ErrorBody | None = None


class CronBody(Body):
    """A cron job and its runs."""

    schedule: str
    command: str
    next: datetime | None = Field(description="null while the app is stopped or in maintenance.")
    running: bool
    last: datetime | None = Field(description="The minute of its last run.")
    ended_at: datetime | None
    status: int | None = Field(description="What that exited with; negative the signal that killed it.")
    release: int | None = Field(description="Number of the release that it ran in.")


class LogLine(Body):
    """A line that an instance or a build printed."""

    at: datetime = Field(description="When it was noticed, 0.2 s after it was printed at the latest.")
    instance: str = Field(description="Such as `master.7 web.1`, or `master.7 build`.")
    line: str
