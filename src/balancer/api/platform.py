"""What the routes of the API work on: the services, wired by the daemon."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request

from balancer.domain.app import App, Domain
from balancer.domain.routing import hosts_of
from balancer.runner.git import Repositories
from balancer.runner.supervisor import Supervisor
from balancer.runner.workspace import Workspace
from balancer.services.apps import Apps
from balancer.services.deploy import Deploys
from balancer.services.experiment import Experiments
from balancer.services.interfaces import Ledger, Registry
from balancer.services.report import Reports


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Everything a route may need."""

    registry: Registry
    repositories: Repositories
    workspace: Workspace
    supervisor: Supervisor
    apps: Apps
    deploys: Deploys
    experiments: Experiments
    reports: Reports
    ledger: Ledger
    ledger_state: Callable[[], Awaitable[str]]
    dropped_lines: Callable[[], Awaitable[int]]
    domain: Domain
    site: str
    """What follows a host in a URL: empty, or a colon and the port."""
    token: str
    """The operator's token, for the remotes that we print."""
    spool: Path
    """Where bodies of pushes are kept while git reads them."""

    def urls(self, app: App) -> list[str]:
        """Return the URLs that an app answers on."""
        return [f"http://{host}{self.site}/" for host in hosts_of(app, self.domain)]


def platform_of(request: Request) -> Platform:
    """Return the platform that a request is for."""
    platform: Platform = request.app.state.platform
    return platform
