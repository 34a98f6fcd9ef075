"""Apps: created, configured, scaled, stopped and removed."""

from collections.abc import Iterator, Mapping
from typing import Literal

from balancer.client.paths import app_part
from balancer.connection import Connection
from balancer.wire.apps import AppBody, ConfigBody, ConfigChange, ModeBody, NewApp, RemoteBody
from balancer.wire.instances import FormationBody, InstanceBody, Restart
from balancer.wire.releases import Progress


class AppCalls(Connection):
    """What can be asked of apps."""

    def apps(self) -> list[AppBody]:
        """List the apps."""
        return self._call(list[AppBody], "GET", "/api/apps")

    def create_app(self, name: str, default_branch: str | None = None) -> AppBody:
        """Create an app."""
        return self._call(AppBody, "POST", "/api/apps", NewApp(name=name, default_branch=default_branch))

    def app(self, app: str) -> AppBody:
        """Show an app."""
        return self._call(AppBody, "GET", f"/api/apps/{app_part(app)}")

    def delete_app(self, app: str) -> Iterator[Progress]:
        """Stop an app and remove all that is its own; give each step, the last one with what was the app."""
        return self._progress("DELETE", f"/api/apps/{app_part(app)}", None)

    def remote(self, app: str) -> str:
        """Return the URL to push an app to."""
        return self._call(RemoteBody, "GET", f"/api/apps/{app_part(app)}/remote").remote

    def config(self, app: str) -> dict[str, str]:
        """Return the config vars that the app's next release will have."""
        return self._call(ConfigBody, "GET", f"/api/apps/{app_part(app)}/config").config

    def change_config(self, app: str, changes: Mapping[str, str | None], *, later: bool = False) -> Iterator[Progress]:
        """Change config vars, None removes one; give each step, the last one with all config vars."""
        body = ConfigChange(config=dict(changes), later=later)
        return self._progress("PATCH", f"/api/apps/{app_part(app)}/config", body)

    def instances(self, app: str) -> list[InstanceBody]:
        """List the instances of an app that are not stopped."""
        return self._call(list[InstanceBody], "GET", f"/api/apps/{app_part(app)}/instances")

    def formation(self, app: str) -> dict[str, int]:
        """Return how many instances of each process type the app has."""
        return self._call(FormationBody, "GET", f"/api/apps/{app_part(app)}/formation").formation

    def scale(self, app: str, counts: Mapping[str, int]) -> Iterator[Progress]:
        """Have other numbers of instances; give each step, the last one with the formation."""
        return self._progress("PATCH", f"/api/apps/{app_part(app)}/formation", FormationBody(formation=dict(counts)))

    def restart(self, app: str, branch: str | None = None, process: str | None = None) -> Iterator[Progress]:
        """Replace instances by new ones of the same release; give each step, the last one with the app."""
        return self._progress("POST", f"/api/apps/{app_part(app)}/restart", Restart(branch=branch, process=process))

    def stop(self, app: str) -> Iterator[Progress]:
        """Let no instance of the app run; give each step, the last one with the app."""
        return self._progress("POST", f"/api/apps/{app_part(app)}/stop", None)

    def start(self, app: str) -> Iterator[Progress]:
        """Start a stopped app; give each step, the last one with the app."""
        return self._progress("POST", f"/api/apps/{app_part(app)}/start", None)

    def set_mode(self, app: str, mode: Literal["serving", "paused", "maintenance"]) -> AppBody:
        """Serve an app, pause it, or show its maintenance page."""
        return self._call(AppBody, "PUT", f"/api/apps/{app_part(app)}/mode", ModeBody(mode=mode))
