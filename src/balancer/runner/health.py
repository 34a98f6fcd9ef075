"""The health check: the request that decides whether an instance may serve.

Invariants:
    * Healthy means two good answers in a row.
    * Without a health path any answer below 500 is good; with one, 2xx and 3xx are.
"""

import asyncio
import ssl

import httpx

# Every 250 ms for 10 s, then every second: quick apps go live quickly, slow ones are not hammered.
_QUICK_SECONDS, _QUICK_PAUSE, _SLOW_PAUSE = 10.0, 0.25, 1.0
# A refused connection costs nothing: it is tried again at once, so that an app that starts in 80 ms is seen at 100.
_REFUSED_PAUSE = 0.05
_PROBE_TIMEOUT_SECONDS = 5.0
_NEEDED = 2


class Probes:
    """The probes of one instance, until it is healthy; `last` says in words what the latest one saw."""

    def __init__(self, *, port: int, path: str | None, host: str) -> None:
        self._url = f"http://127.0.0.1:{port}{path or '/'}"
        self._good_below = 400 if path else 500
        self._host = host
        self.last = "it was never asked"

    async def until_healthy(self) -> None:
        """Return after two good answers in a row; the caller sets the deadline."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        in_a_row = 0
        # Plain HTTP: an empty context, because to load the authorities' certificates costs 80 ms of each deploy.
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        async with httpx.AsyncClient(timeout=_PROBE_TIMEOUT_SECONDS, trust_env=False, verify=tls) as client:
            while True:
                pause = _QUICK_PAUSE if loop.time() - began < _QUICK_SECONDS else _SLOW_PAUSE
                try:
                    answer = await client.get(self._url, headers={"Host": self._host, "User-Agent": "balancer-health"})
                except httpx.ConnectError:
                    self.last = f"nothing listens on the port that PORT named ({self._url})"
                    in_a_row, pause = 0, min(pause, _REFUSED_PAUSE)
                except httpx.HTTPError as reason:
                    self.last = f"GET {self._url} brought no answer ({type(reason).__name__})"
                    in_a_row = 0
                else:
                    self.last = f"GET {self._url} was answered {answer.status_code}"
                    in_a_row = in_a_row + 1 if answer.status_code < self._good_below else 0
                    if in_a_row >= _NEEDED:
                        return
                await asyncio.sleep(pause)
