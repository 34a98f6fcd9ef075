"""Clients that read a site as fast as they can, and remember what went wrong."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_TIMEOUT_SECONDS = 20.0


def most_lost(clients: int) -> int:
    """Return how many requests may fail when an instance is killed: of 16 clients up to 20 were seen to fail."""
    return clients * 5 // 4


@dataclass(slots=True)
class Tally:
    """What the clients saw, all together."""

    statuses: Counter[int] = field(default_factory=Counter)
    bodies: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
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
        pause_seconds: float = 0.0,
    ) -> None:
        self.tally = Tally()
        self._port, self._path, self._pause_seconds = port, path, pause_seconds
        self._headers = {"Host": host, **({"Cookie": cookie} if cookie else {})}
        self._stopping = threading.Event()
        self._adding = threading.Lock()
        works = [self._keep_one] * kept + [self._open_each_time] * fresh
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]

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

    def _keep_one(self) -> None:
        connection = self._connection()
        while not self._stopping.wait(self._pause_seconds):
            if not self._request(connection):
                connection.close()
                connection = self._connection()
        connection.close()

    def _open_each_time(self) -> None:
        while not self._stopping.wait(self._pause_seconds):
            connection = self._connection()
            self._request(connection)
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_SECONDS)

    def _request(self, connection: http.client.HTTPConnection) -> bool:
        """Send one request; a connection that the other side closed orderly after its answer is simply opened again."""
        began = time.monotonic()
        status, body, error = 0, "", ""
        try:
            connection.request("GET", self._path, headers=self._headers)
            answer = connection.getresponse()
            status, body = answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as reason:
            error = type(reason).__name__
        with self._adding:
            self.tally.slowest_seconds = max(self.tally.slowest_seconds, time.monotonic() - began)
            if error:
                self.tally.errors.append(error)
            else:
                self.tally.statuses[status] += 1
                self.tally.bodies[body] += 1
        return not error
