"""The platform as a whole."""

from datetime import datetime

from pydantic import Field

from balancer.wire.body import Body


class UpgradeBody(Body):
    """What becomes of the daemon."""

    before: str = Field(description="The version that runs.")
    after: str = Field(description="The version that replaces it, as soon as no deploy is under way.")


class RenewalBody(Body):
    """What became of HAProxy."""

    before: str = Field(description="The version that ran.")
    after: str = Field(description="The version that runs now.")
    worker: int = Field(description="Pid of the process that serves now.")


class ProxyBody(Body):
    """How HAProxy is."""

    version: str
    worker: int = Field(description="Pid of the process that serves.")
    loaded_at: datetime = Field(description="When that process began: at a start, a reload or a renewal of HAProxy.")
    restarts: int = Field(description="How often HAProxy has ended and was started again, since this daemon began.")


# 256 MB: a build of some size needs that much.
LOW_BYTES = 256 << 20
# 1 MB: with less, pushes are refused, and HAProxy may be unable to write its edge log.
FULL_BYTES = 1 << 20


class StatusBody(Body):
    """The platform as a whole."""

    version: str
    pid: int
    started_at: datetime = Field(description="When this daemon began, or was last replaced by `balancer upgrade`.")
    site: str = Field(description="URL of the site; each app has its own host there.")
    apps: int
    instances: int
    running: int
    crashing: list[str] = Field(description="Instances that end again and again, as `shop master web.1`.")
    ledger: str = Field(description="`running`, or why it does not answer.")
    lost_lines: int | None = Field(
        description="Lines of the edge log that were lost since the ledger began, because the disk was full or did not "
        "keep up; each held an exposure, an error, the events of one request, or a request that was refused. Known as "
        "soon as a later line of the same process has come; null where the ledger does not answer."
    )
    proxy: ProxyBody | None = Field(description="How HAProxy is; null where it is away.")
    free_bytes: int = Field(description="Room on the disk of the data directory.")
