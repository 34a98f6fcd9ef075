"""Simulated visitors: browsers as far as a split is concerned, each with its own cookie jar."""

import contextlib
import http.client
import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.cookies import SimpleCookie

PRICE = 19.99
# What the demo's shop is like: the better button sells more.
BUYS = {"master": 0.20, "test": 0.34}
# Of a branch that somebody adds to the demo.
BUYS_ELSEWHERE = 0.25
LOOKS_AT_TERMS = 0.4
_AT_ONCE = 8
# 4 visitors a second: the lines of the dashboard move, and a laptop does not notice.
_A_SECOND = 4


@dataclass(slots=True)
class Visitor:
    """What one visitor saw and did."""

    branch: str = ""
    purchases: list[float] = field(default_factory=list)
    terms: int = 0


class Browser:
    """A connection to the site with a cookie jar; without `keeps_cookies` it forgets, as crawlers do."""

    def __init__(self, port: int, host: str, *, keeps_cookies: bool = True) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._host = host
        self._keeps_cookies = keeps_cookies
        self._jar: SimpleCookie = SimpleCookie()

    def request(self, method: str, path: str, body: bytes | None = None) -> int:
        """Send a request and return the status. Raises OSError, http.client.HTTPException."""
        headers = {"Host": self._host}
        if self._jar:
            headers["Cookie"] = "; ".join(f"{name}={morsel.value}" for name, morsel in self._jar.items())
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        answer.read()
        for value in answer.headers.get_all("Set-Cookie") or ():
            if self._keeps_cookies:
                self._jar.load(value)
        return answer.status

    @property
    def branch(self) -> str:
        """The variant in the cookie, the third of its fields."""
        return self._jar["balancer"].value.split(".")[2] if "balancer" in self._jar else ""

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def visit(port: int, host: str, seed: int) -> Visitor:
    """Be one visitor: look, look again, perhaps read the terms, perhaps buy one lamp or some."""
    dice = random.Random(seed)
    browser, visitor = Browser(port, host), Visitor()
    _expect(200, browser.request("GET", "/"))
    visitor.branch = browser.branch
    _expect(200, browser.request("GET", "/"))
    if dice.random() < LOOKS_AT_TERMS:
        _expect(204, browser.request("POST", "/_balancer/events", json.dumps({"name": "terms"}).encode()))
        visitor.terms += 1
    if dice.random() < BUYS.get(visitor.branch, BUYS_ELSEWHERE):
        for _ in range(dice.choice((1, 1, 1, 2))):
            count = dice.choice((1, 1, 2, 3))
            _expect(200, browser.request("POST", "/buy", str(count).encode()))
            visitor.purchases.append(round(count * PRICE, 2))
    browser.close()
    return visitor


def crawl(port: int, host: str) -> None:
    """Be a crawler: look three times and keep no cookie."""
    browser = Browser(port, host, keeps_cookies=False)
    for _ in range(3):
        _expect(200, browser.request("GET", "/"))
    browser.close()


def send(count: int, crawlers: int, port: int, host: str, tick: Callable[[], None]) -> list[Visitor]:
    """Send visitors and crawlers, some at once; return what the visitors did."""

    def results() -> Iterator[Visitor]:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            crawling = [pool.submit(crawl, port, host) for _ in range(crawlers)]
            for visitor in pool.map(lambda seed: visit(port, host, seed), range(count)):
                tick()
                yield visitor
            for crawler in crawling:
                crawler.result()

    return list(results())


@contextlib.contextmanager
def coming(first: int, port: int, host: str) -> Iterator[None]:
    """Let visitors come meanwhile, evenly; whatever goes wrong for one of them, the next one comes all the same."""
    enough = threading.Event()

    def come() -> None:
        seed = first
        while not enough.wait(1 / _A_SECOND):
            with contextlib.suppress(OSError, http.client.HTTPException, RuntimeError):
                visit(port, host, seed)
            seed += 1

    thread = threading.Thread(target=come, daemon=True)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def _expect(wanted: int, got: int) -> None:
    if got != wanted:
        raise RuntimeError(f"a visitor was answered {got} and not {wanted}")
