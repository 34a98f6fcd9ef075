"""`balancer cron`: the jobs of an app."""

from balancer.cli import output
from balancer.cli.target import AppArgument, AsJson, connect
from balancer.wire.instances import CronBody


def cron(name: AppArgument, as_json: AsJson = False) -> None:
    """List the cron jobs of an app, with their next and last runs. Example: [bold]balancer cron shop[/]."""
    with connect() as client:
        found = client.cron(name)
    if as_json:
        output.print_json(found)
        return
    if not found:
        output.plain(f"{name} has no cron jobs; its manifest says them, on the default branch")
        return
    rows = [
        (
            output.escaped(job.schedule),
            output.escaped(job.command),
            job.next.strftime("%Y-%m-%d %H:%M UTC") if job.next else "not now",
            output.ago(job.last) or "never",
            _outcome(job),
        )
        for job in found
    ]
    output.table("Schedule", "Command", "Next", "Last", "Ended", rows=rows)


def _outcome(job: CronBody) -> str:
    if job.running:
        return "runs"
    if job.last is None:
        return ""
    if job.status is None:
        return "nobody saw how"
    return f"with status {job.status}" if job.status >= 0 else f"by signal {-job.status}"
