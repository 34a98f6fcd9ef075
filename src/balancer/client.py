"""Typed calls of the admin API, for the commands and for anyone who scripts in Python.

Every call raises the BalancerError that the API answered with, or DaemonUnreachable.
"""

import ssl
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter

from balancer.domain.app import AppName
from balancer.errors import BalancerError, DaemonUnreachable, from_code
from balancer.services.report import Report
from balancer.wire import (
    AppBody,
    ConfigBody,
    ErrorBody,
    InstanceBody,
    LogLine,
    NewApp,
    Progress,
    ReleaseBody,
    RemoteBody,
    Return,
    SplitBody,
    StatusBody,
    WeightsBody,
)

T = TypeVar("T")
# 120 s: a report over everything, or a start of a split behind a reload, on a small machine.
_TIMEOUT_SECONDS = 120.0


class Client:
    """A connection to one daemon."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Over plain HTTP without the authorities' certificates: to load them takes longer than most commands.
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if self._url.startswith("http://") else True
        self._http = httpx.Client(
            base_url=self._url, headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False, verify=tls
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def status(self) -> StatusBody:
        """Tell how the platform is."""
        return self._call(StatusBody, "GET", "/api/status")

    def apps(self) -> list[AppBody]:
        """List the apps."""
        return self._call(list[AppBody], "GET", "/api/apps")

    def create_app(self, name: str, default_branch: str | None = None) -> AppBody:
        """Create an app."""
        return self._call(AppBody, "POST", "/api/apps", NewApp(name=name, default_branch=default_branch))

    def app(self, app: str) -> AppBody:
        """Show an app."""
        return self._call(AppBody, "GET", f"/api/apps/{_part(app)}")

    def remote(self, app: str) -> str:
        """Return the URL to push an app to."""
        return self._call(RemoteBody, "GET", f"/api/apps/{_part(app)}/remote").remote

    def config(self, app: str) -> dict[str, str | None]:
        """Return the config vars that the app's next release will have."""
        return self._call(ConfigBody, "GET", f"/api/apps/{_part(app)}/config").config

    def set_config(self, app: str, changes: Mapping[str, str | None]) -> dict[str, str | None]:
        """Change config vars; None removes one."""
        return self._call(
            ConfigBody, "PATCH", f"/api/apps/{_part(app)}/config", ConfigBody(config=dict(changes))
        ).config

    def releases(self, app: str, limit: int = 50) -> list[ReleaseBody]:
        """List the releases of an app, newest first."""
        return self._call(list[ReleaseBody], "GET", f"/api/apps/{_part(app)}/releases?limit={limit}")

    def instances(self, app: str) -> list[InstanceBody]:
        """List the instances of an app that are not stopped."""
        return self._call(list[InstanceBody], "GET", f"/api/apps/{_part(app)}/instances")

    def rollback(self, app: str, branch: str | None = None, release: int | None = None) -> Iterator[Progress]:
        """Go back to the release before, or to `release`; give each step, the last one with the release."""
        body = Return(branch=branch, release=release)
        for progress in self._stream(Progress, "POST", f"/api/apps/{_part(app)}/rollback", body):
            if progress.error:
                raise from_code(progress.error.error, progress.error.message)
            yield progress

    def start_split(self, app: str, weights: WeightsBody) -> SplitBody:
        """Begin a split."""
        return self._call(SplitBody, "POST", f"/api/apps/{_part(app)}/split", weights)

    def set_weights(self, app: str, weights: WeightsBody) -> SplitBody:
        """Give the running split new weights."""
        return self._call(SplitBody, "PATCH", f"/api/apps/{_part(app)}/split", weights)

    def cancel_split(self, app: str) -> SplitBody:
        """End the running split."""
        return self._call(SplitBody, "DELETE", f"/api/apps/{_part(app)}/split")

    def split(self, app: str) -> SplitBody:
        """Return the running split, else the one that ended last."""
        return self._call(SplitBody, "GET", f"/api/apps/{_part(app)}/split")

    def report(self, app: str) -> Report:
        """Compare the variants of the running split, else of the one that ended last."""
        return self._call(Report, "GET", f"/api/apps/{_part(app)}/report")

    def logs(self, app: str, *, branch: str | None, lines: int, follow: bool) -> Iterator[LogLine]:
        """Give what the live instances print; with `follow` without end."""
        query = httpx.QueryParams({"lines": lines, "follow": follow, **({"branch": branch} if branch else {})})
        return self._stream(LogLine, "GET", f"/api/apps/{_part(app)}/logs?{query}", None)

    def _call(self, kind: type[T], method: str, path: str, body: BaseModel | None = None) -> T:
        content = body.model_dump_json() if body is not None else None
        try:
            answer = self._http.request(method, path, content=content, headers=_JSON)
        except httpx.TransportError as reason:
            raise DaemonUnreachable(self._url) from reason
        if answer.is_error:
            raise _error(answer)
        return TypeAdapter(kind).validate_json(answer.content)

    def _stream(self, kind: type[T], method: str, path: str, body: BaseModel | None) -> Iterator[T]:
        content = body.model_dump_json() if body is not None else None
        adapter = TypeAdapter(kind)
        # A follower waits for the next line as long as it takes.
        patient = httpx.Timeout(_TIMEOUT_SECONDS, read=None)
        try:
            with self._http.stream(method, path, content=content, headers=_JSON, timeout=patient) as answer:
                if answer.is_error:
                    answer.read()
                    raise _error(answer)
                for line in answer.iter_lines():
                    yield adapter.validate_json(line)
        except httpx.TransportError as reason:
            raise DaemonUnreachable(self._url) from reason


_JSON = {"Content-Type": "application/json"}


def _part(name: str) -> str:
    """Return the name of an app as one part of a path. Raises InvalidName, in the words of the API."""
    return AppName(name)


def _error(answer: httpx.Response) -> BalancerError:
    try:
        body = ErrorBody.model_validate_json(answer.content)
    except ValueError:
        return BalancerError(f"the daemon answered {answer.status_code} and no reason: {answer.text[:200]!r}")
    return from_code(body.error, body.message)
