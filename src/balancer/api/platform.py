"""What the routes of the API work on: the services, put together by `wiring`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Protocol

from fastapi import Depends, Request

from balancer.domain.app import App, Domain
from balancer.domain.routing import hosts_of
from balancer.proxy.runtime import Worker
from balancer.runner.disk import Disk
from balancer.runner.git import Repositories
from balancer.runner.one_off import OneOffs
from balancer.runner.supervisor import Supervisor
from balancer.runner.workspace import Workspace
from balancer.services.acceptance import Acceptance
from balancer.services.app_detail import AppDetails
from balancer.services.apps import Apps
from balancer.services.arrivals import Arrivals
from balancer.services.audit import Audit
from balancer.services.bandits import Bandits
from balancer.services.branches import Branches
from balancer.services.config_vars import ConfigVars
from balancer.services.cron import Cron
from balancer.services.daily import DailyLooks
from balancer.services.deploy import Deploys
from balancer.services.event_rows import EventRows
from balancer.services.experiment import Experiments
from balancer.services.formation import Formations
from balancer.services.freeze import Freezes
from balancer.services.interfaces import Ledger
from balancer.services.keys import Keys
from balancer.services.lights import Lights
from balancer.services.merges import Merges
from balancer.services.metrics import Metrics
from balancer.services.overview import Overviews
from balancer.services.planning import Planning
from balancer.services.previews import Previews
from balancer.services.promotion import Promotions
from balancer.services.pull import Pulls
from balancer.services.pulse import Pulse
from balancer.services.rates import Rates
from balancer.services.raw_stats import RawStats
from balancer.services.refs import Refs
from balancer.services.registry import Registry
from balancer.services.reports import Reports
from balancer.services.rollback import Rollbacks
from balancer.services.rollout_planning import RolloutPlanning
from balancer.services.rollouts import Rollouts
from balancer.services.sessions import Sessions
from balancer.services.sign_in_links import SignInLinks
from balancer.services.split_detail import SplitDetails
from balancer.services.targets import Targets
from balancer.services.tokens import Tokens
from balancer.services.twins import Twins
from balancer.services.undertakings import Undertakings
from balancer.store.ledger_life import LedgerState


class DataPlane(Protocol):
    """HAProxy, as operators see it."""

    @property
    def restarts(self) -> int:
        """How often it has ended and was started again."""

    async def worker(self) -> Worker:
        """Return what the process that serves says of itself. Raises ProxyFailed."""

    async def renew(self) -> Worker:
        """Let it execute itself again, as it is installed now. Raises ProxyFailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Everything a route may need."""

    registry: Registry
    repositories: Repositories
    workspace: Workspace
    supervisor: Supervisor
    apps: Apps
    keys: Keys
    audit: Audit
    targets: Targets
    tokens: Tokens
    sessions: Sessions
    sign_in_links: SignInLinks
    branches: Branches
    deploys: Deploys
    arrivals: Arrivals
    acceptance: Acceptance
    rollbacks: Rollbacks
    rollouts: Rollouts
    rollout_planning: RolloutPlanning
    bandits: Bandits
    config_vars: ConfigVars
    one_offs: OneOffs
    pulls: Pulls
    cron: Cron
    refs: Refs
    formations: Formations
    freezes: Freezes
    experiments: Experiments
    twins: Twins
    metrics: Metrics
    planning: Planning
    promotions: Promotions
    merges: Merges
    previews: Previews
    reports: Reports
    daily_looks: DailyLooks
    app_details: AppDetails
    raw_stats: RawStats
    event_rows: EventRows
    rates: Rates
    lights: Lights
    overviews: Overviews
    split_details: SplitDetails
    pulse: Pulse
    undertakings: Undertakings
    ledger: Ledger
    ledger_state: Callable[[], Awaitable[LedgerState]]
    domain: Domain
    site: str
    """What follows a host in a URL: empty, or a colon and the port."""
    token: str
    """The operator's token, for the remotes that we print."""
    spool: Path
    """Where bodies of pushes are kept while git reads them."""
    disk: Disk
    upgrade: Callable[[], Awaitable[str]]
    """Begins to replace the daemon by the code that is installed now, and returns the version of that."""
    proxy: DataPlane
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks of those that are believed what they say of their clients."""
    hooks: Path | None = None
    """The socket where the update hook finds us; None: where the push came in."""

    def urls(self, app: App) -> list[str]:
        """Return the URLs that an app answers on."""
        return [f"http://{host}{self.site}/" for host in hosts_of(app, self.domain)]


def platform_of(request: Request) -> Platform:
    """Return the platform that a request is for."""
    platform: Platform = request.app.state.platform
    return platform


On = Annotated[Platform, Depends(platform_of)]
"""What a route takes to work on the platform."""
