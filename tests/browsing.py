"""Browsers for tests: one visitor each, with a cookie jar."""

import http.client
from dataclasses import dataclass
from http.cookies import SimpleCookie


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the site answered."""

    status: int
    headers: http.client.HTTPMessage
    body: str


class Browser:
    """A visitor of one host; every request on a connection of its own unless `kept`."""

    def __init__(self, port: int, host: str, cookie: str | None = None, *, kept: bool = False) -> None:
        self._port, self._host, self._kept = port, host, kept
        self._connection: http.client.HTTPConnection | None = None
        self.cookies: SimpleCookie = SimpleCookie()
        if cookie:
            self.cookies["balancer"] = cookie

    def request(
        self, method: str, path: str = "/", body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a request with the cookies of the jar, and keep those that come back."""
        connection = self._connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        sent = {"Host": self._host, **(headers or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={morsel.coded_value}" for name, morsel in self.cookies.items())
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            text = answer.read().decode()
        except BaseException:
            self._connection = None
            connection.close()
            raise
        for value in answer.headers.get_all("Set-Cookie") or ():
            self.cookies.load(value)
        if self._kept:
            self._connection = connection
        else:
            connection.close()
        return Answer(status=answer.status, headers=answer.headers, body=text)

    def get(self, path: str = "/", **headers: str) -> Answer:
        """GET a path; a header's underscores are its hyphens."""
        return self.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    @property
    def cookie(self) -> str:
        """Our cookie's value; empty without."""
        return self.cookies["balancer"].value if "balancer" in self.cookies else ""

    @property
    def variant(self) -> str:
        """The variant that the cookie names."""
        return self.cookie.split(".")[2]

    def close(self) -> None:
        """Close a kept connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
