"""What runs and what it prints: logs, cron jobs, commands run once."""

from collections.abc import Iterable, Iterator, Sequence

from balancer.client.paths import app_part, query_of
from balancer.connection import Connection
from balancer.errors import from_code
from balancer.wire.instances import CronBody, LogLine, NewRun, RunStep


class RunCalls(Connection):
    """What can be asked of what runs."""

    def logs(
        self,
        app: str,
        *,
        branch: str | None = None,
        release: int | None = None,
        process: str | None = None,
        lines: int,
        follow: bool,
    ) -> Iterator[LogLine]:
        """Give what the live instances print, or everything of one release; with `follow` without end."""
        only = {"branch": branch, "release": release, "process": process}
        query = query_of({"lines": lines, "follow": follow, **only})
        return self._stream(LogLine, "GET", f"/api/apps/{app_part(app)}/logs{query}", None)

    def cron(self, app: str) -> list[CronBody]:
        """List the cron jobs of an app."""
        return self._call(list[CronBody], "GET", f"/api/apps/{app_part(app)}/cron")

    def run(
        self,
        app: str,
        command: Sequence[str],
        *,
        branch: str | None = None,
        with_input: bool = False,
        timeout_seconds: float | None = None,
    ) -> Iterator[RunStep]:
        """Run a command once; give its id, what it writes, and last its status. It ends when nobody reads on."""
        body = NewRun(command=list(command), branch=branch, input=with_input, timeout_seconds=timeout_seconds)
        for step in self._stream(RunStep, "POST", f"/api/apps/{app_part(app)}/runs", body):
            if step.error:
                raise from_code(step.error.error, step.error.message)
            yield step

    def feed(self, app: str, run: str, chunks: Iterable[bytes]) -> None:
        """Pass on to the standard input of a command that runs, until there are no more chunks."""
        self._put(f"/api/apps/{app_part(app)}/runs/{run}/input", chunks)
