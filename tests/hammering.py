"""Clients that read a site again and again, and remember what went wrong."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_TIMEOUT_SECONDS = 20.0
# 5 ms between two requests of a client: without it the clients have one of two cores to themselves, and what they are
# to watch takes longer. A handful of clients still have a request under way at every moment that matters.
_PAUSE_SECONDS = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, and what came of it."""

    client: int
    opened: float
    """When its connection was about to be opened, by `time.monotonic()`, as all times here."""
    began: float
    """When it was about to be sent; the same where it was the first of its connection."""
    ended: float
    what: str
    """The status, or the name of the exception."""

    @property
    def failed(self) -> bool:
        """Whether it was not answered with 200."""
        return self.what != "200"


@dataclass(slots=True)
class Tally:
    """What the clients saw, all together."""

    statuses: Counter[int] = field(default_factory=Counter)
    bodies: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    seen: list[Request] = field(default_factory=list)
    """In the order in which they ended."""
    slowest_seconds: float = 0.0

    @property
    def requests(self) -> int:
        """All of them, answered or not."""
        return self.statuses.total() + len(self.errors)

    @property
    def failed(self) -> int:
        """Those not answered with 200."""
        return self.requests - self.statuses[200]

    def describe(self) -> str:
        """Say in one line what was seen."""
        slow = f"slowest {self.slowest_seconds:.2f} s"
        return f"{self.failed} failed of {self.requests} requests ({slow}) {dict(Counter(self.errors))}"


class Hammer:
    """Clients with kept connections and clients that open one each time."""

    def __init__(
        self,
        port: int,
        host: str,
        *,
        kept: int = 12,
        fresh: int = 12,
        path: str = "/",
        cookie: str | None = None,
        pause_seconds: float = _PAUSE_SECONDS,
    ) -> None:
        self.tally = Tally()
        self._port, self._path, self._pause_seconds = port, path, pause_seconds
        self._headers = {"Host": host, **({"Cookie": cookie} if cookie else {})}
        self._stopping = threading.Event()
        self._adding = threading.Lock()
        works = [self._keep_one] * kept + [self._open_each_time] * fresh
        self._threads = [threading.Thread(target=work, args=(n,), daemon=True) for n, work in enumerate(works)]

    @contextmanager
    def at_work(self) -> Iterator[Tally]:
        """Let the clients read for as long as the block lasts."""
        for thread in self._threads:
            thread.start()
        try:
            yield self.tally
        finally:
            self._stopping.set()
            for thread in self._threads:
                thread.join(_TIMEOUT_SECONDS * 2)

    def _keep_one(self, client: int) -> None:
        connection, opened = self._connection()
        while not self._stopping.wait(self._pause_seconds):
            if not self._request(client, connection, opened):
                connection.close()
                connection, opened = self._connection()
        connection.close()

    def _open_each_time(self, client: int) -> None:
        while not self._stopping.wait(self._pause_seconds):
            connection, opened = self._connection()
            self._request(client, connection, opened)
            connection.close()

    def _connection(self) -> tuple[http.client.HTTPConnection, float]:
        """Return a connection that the first request opens, and a time before that."""
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_SECONDS), time.monotonic()

    def _request(self, client: int, connection: http.client.HTTPConnection, opened: float) -> bool:
        """Send one request; a connection that the other side closed orderly after its answer is simply opened again."""
        began = time.monotonic()
        status, body, error = 0, "", ""
        try:
            connection.request("GET", self._path, headers=self._headers)
            answer = connection.getresponse()
            status, body = answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as reason:
            error = type(reason).__name__
        ended = time.monotonic()
        with self._adding:
            self.tally.slowest_seconds = max(self.tally.slowest_seconds, ended - began)
            what = error or str(status)
            self.tally.seen.append(Request(client=client, opened=opened, began=began, ended=ended, what=what))
            if error:
                self.tally.errors.append(error)
            else:
                self.tally.statuses[status] += 1
                self.tally.bodies[body] += 1
        return not error
