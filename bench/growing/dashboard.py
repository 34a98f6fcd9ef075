"""A platform of so many apps that serves its dashboard, all of it real but the processes of the instances.

    python -m growing.dashboard APPS DIRECTORY < PORTS

It prints where it is, and goes on until its input ends.
"""

import asyncio
import contextlib
import json
import resource
import sys
import time
from pathlib import Path

from balancer.api.app import build
from balancer.api.server import Server, listen, listen_for_hooks
from balancer.api.warm import warm_up
from balancer.store.database import default_url, open_database
from growing.platform import Grown, Ports, fill


async def _refused() -> str:
    raise AssertionError("nobody upgrades it")


async def serve(apps: int, directory: Path, ports: Ports) -> None:
    """Serve, until the input ends."""
    engine = open_database(default_url(directory))
    fill(engine, apps, ports)
    engine.dispose()
    for each in ("edge", "spool", "run", "log"):
        (directory / each).mkdir(exist_ok=True)
    grown = Grown(directory, apps, ports)
    await grown.begin()
    await grown.parts.ledger_life.begin()
    admin = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{admin.getsockname()[1]}"
    platform = await grown.parts.platform(url, _refused)
    app = build(platform)
    warm_up(app)
    server = Server(app, admin=admin, hooks=listen_for_hooks(grown.parts.hooks), busy=lambda: False)
    work = (platform.rates.run(), platform.lights.run(), server.run_until_told())
    background = [asyncio.ensure_future(each) for each in work]
    await platform.rates.sample()
    began = time.process_time()
    await platform.rates.sample()
    print(
        json.dumps(
            {
                "url": url,
                "token": platform.token,
                "site": grown.parts.proxy_life.port,
                "sample_ms": round(1000 * (time.process_time() - began), 1),
            }
        ),
        flush=True,
    )
    try:
        await asyncio.to_thread(sys.stdin.read)
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await grown.parts.ledger_life.end()
        await grown.end()


def main() -> None:
    """Run it."""
    with contextlib.suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ports = json.loads(sys.stdin.readline())
    directory = Path(sys.argv[2])
    directory.mkdir(parents=True)
    asyncio.run(serve(int(sys.argv[1]), directory, ports))


if __name__ == "__main__":
    main()
