"""Apps: made, with their repository and their host."""

from balancer import logs
from balancer.domain.app import App, AppName, BranchName
from balancer.services.interfaces import Registry, Repository
from balancer.services.reconcile import Reconciler

log = logs.named("apps")


class Apps:
    """Carries out what an operator asks of apps."""

    def __init__(self, registry: Registry, repository: Repository, reconciler: Reconciler) -> None:
        self._registry = registry
        self._repository = repository
        self._reconciler = reconciler

    async def create(self, name: AppName, default_branch: BranchName | None) -> App:
        """Make an app; when this returns, it can be pushed and its host says so. Raises AppExists."""
        app = await self._registry.create_app(name, default_branch)
        await self._repository.create(app.name)
        log.info("app.created", app=app.name)
        await self._reconciler.converge()
        return app
