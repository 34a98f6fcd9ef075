"""A connection to the admin API: calls, streams, and the errors that are answered.

Used by `client` alone. Every call raises the BalancerError that the API answered with, or DaemonUnreachable.
"""

import contextlib
import ssl
from collections.abc import Generator, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from balancer.errors import BalancerError, DaemonUnreachable, from_code
from balancer.wire.body import ErrorBody
from balancer.wire.releases import Progress

T = TypeVar("T")
# 120 s: a report over everything, or a start of a split behind a reload, on a small machine.
_TIMEOUT_SECONDS = 120.0
_JSON = {"Content-Type": "application/json"}


class Connection:
    """A connection to one daemon."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Over plain HTTP without the authorities' certificates: to load them takes longer than most commands.
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if self.url.startswith("http://") else True
        self._http = httpx.Client(
            base_url=self.url, headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False, verify=tls
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

    def _call(self, kind: type[T], method: str, path: str, body: BaseModel | bytes | None = None) -> T:
        return self._parsed(TypeAdapter(kind), self._send(method, path, body).content)

    def _parsed(self, adapter: TypeAdapter[T], content: bytes | str) -> T:
        try:
            return adapter.validate_json(content)
        except ValidationError as reason:
            fault = reason.errors(include_url=False)[0]
            where = ".".join(map(str, fault["loc"])) or "the whole of it"
            raise BalancerError(
                f"what the daemon at {self.url} answers does not parse ({where}: {fault['msg'].lower()}); "
                "is it of another version? `balancer upgrade` lets it become what is installed here"
            ) from reason

    def _send(self, method: str, path: str, body: BaseModel | bytes | None = None) -> httpx.Response:
        content = body.model_dump_json() if isinstance(body, BaseModel) else body
        try:
            answer = self._http.request(method, path, content=content, headers=_JSON)
        except httpx.TransportError as reason:
            raise DaemonUnreachable(self.url) from reason
        if answer.is_error:
            raise _error(answer)
        return answer

    def _progress(
        self, method: str, path: str, body: BaseModel | Iterable[bytes] | None, headers: Mapping[str, str] | None = None
    ) -> Iterator[Progress]:
        """Give what a stream of Progress tells; raise what it ends with, where that is an error."""
        for progress in self._stream(Progress, method, path, body, headers):
            if progress.error:
                raise from_code(progress.error.error, progress.error.message)
            yield progress

    def _stream(
        self,
        kind: type[T],
        method: str,
        path: str,
        body: BaseModel | Iterable[bytes] | None,
        headers: Mapping[str, str] | None = None,
    ) -> Generator[T, None, None]:
        content = body.model_dump_json() if isinstance(body, BaseModel) else body
        sent = dict(headers or _JSON)
        adapter = TypeAdapter(kind)
        # A follower waits for the next line as long as it takes.
        patient = httpx.Timeout(_TIMEOUT_SECONDS, read=None)
        try:
            with self._http.stream(method, path, content=content, headers=sent, timeout=patient) as answer:
                if answer.is_error:
                    answer.read()
                    raise _error(answer)
                for line in answer.iter_lines():
                    yield self._parsed(adapter, line)
        except httpx.TransportError as reason:
            raise DaemonUnreachable(self.url) from reason

    @contextlib.contextmanager
    def _download(self, path: str) -> Iterator[httpx.Response]:
        """Give an answer whose body is read chunk by chunk, each of which may take as long as it takes."""
        patient = httpx.Timeout(_TIMEOUT_SECONDS, read=None)
        try:
            with self._http.stream("GET", path, timeout=patient) as answer:
                if answer.is_error:
                    answer.read()
                    raise _error(answer)
                yield answer
        except httpx.TransportError as reason:
            raise DaemonUnreachable(self.url) from reason

    def _put(self, path: str, chunks: Iterable[bytes]) -> None:
        """Send chunks as they come; each may take as long as it takes."""
        patient = httpx.Timeout(_TIMEOUT_SECONDS, read=None, write=None)
        try:
            answer = self._http.put(path, content=chunks, timeout=patient)
        except httpx.TransportError as reason:
            raise DaemonUnreachable(self.url) from reason
        if answer.is_error:
            raise _error(answer)


def _error(answer: httpx.Response) -> BalancerError:
    try:
        body = ErrorBody.model_validate_json(answer.content)
    except ValueError:
        return BalancerError(f"the daemon answered {answer.status_code} and no reason: {answer.text[:200]!r}")
    return from_code(body.error, body.message)
