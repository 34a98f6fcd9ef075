"""Load by wrk, on one core, for a bounded time; what it saw comes back as figures."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from peers.peer import HOST

# What a browser sends with each request, about.
_HEADERS = (
    f"Host: {HOST}",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate",
)
_SCRIPT = """\
local requests = {%s}
local at = 0
function request()
  at = at %% #requests + 1
  return requests[at]
end
%s
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests": %%d, "microseconds": %%d, "errors": %%d, "p50_us": %%d, "p99_us": %%d}\\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""
_DELAY = """\
local sent = 0
function delay()
  sent = sent + 1
  return sent % {each} == 0 and math.random(0, {twice}) or 0
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a run of wrk saw."""

    requests: int
    seconds: float
    errors: int
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


def request(cookie: str | None, method: str = "GET", path: str = "/", body: str = "") -> str:
    """Return the bytes of a request, with another cookie of the site's before ours."""
    lines = [f"{method} {path} HTTP/1.1", *_HEADERS]
    if cookie is None:
        lines.append("Cookie: theme=dark")
    else:
        lines.append(f"Cookie: theme=dark; balancer={cookie}")
    if body:
        lines.append(f"Content-Length: {len(body.encode())}")
    return "\r\n".join([*lines, "", body])


def load(
    port: int,
    requests: Sequence[str],
    *,
    core: int | None,
    directory: Path,
    seconds: int,
    connections: int,
    pause_ms: int = 0,
    pause_each: int = 1,
) -> Seen:
    """Send `requests` in turns from kept connections, on one core or any, with mean pauses if there are to be some.

    Of `pause_each` requests one waits; many, where wrk is to take little: it goes through all that wait, each time.
    """
    script = directory / "load.lua"
    texts = ",".join(json.dumps(each) for each in requests)
    script.write_text(_SCRIPT % (texts, _DELAY.format(twice=2 * pause_ms, each=pause_each) if pause_ms else ""))
    alone = [] if core is None else ["taskset", "-c", str(core)]
    command = [*alone, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script)]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/"], check=True, capture_output=True, text=True, timeout=seconds + 30
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return Seen(
        requests=told["requests"],
        seconds=told["microseconds"] / 1e6,
        errors=told["errors"],
        p50_ms=told["p50_us"] / 1000,
        p99_ms=told["p99_us"] / 1000,
    )
