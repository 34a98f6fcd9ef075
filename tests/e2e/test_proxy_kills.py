"""HAProxy is killed, stopped by hand, upgraded, and its files are spoilt, under load: what visitors see."""

import http.client
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from balancer.proxy.installed import version_of
from balancer.wire.status import ProxyBody
from browsing import Browser
from endings import ProxyEnding, check_cost
from hammering import Hammer, Tally
from proxies import Installation
from running import Running, running
from waiting import until

HOSTS = {"shop.localhost": "shop -", "blog.localhost": "blog -", "shop2.localhost": "shop2 -"}
KEPT, FRESH = 6, 6
SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "torn": lambda text: text[: len(text) // 2],
    "garbage": lambda _: b"\0\xff garbage { \n" * 40,
    "another's": lambda text: text.replace(b"shop", b"SHOP").replace(b"blog", b"shop").replace(b"SHOP", b"blog"),
}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("haproxy"))


@pytest.fixture(scope="module")
def platform(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("proxy-kills"), BALANCER_HAPROXY=str(installation.path)) as started:
        for host in HOSTS:
            app = host.partition(".")[0]
            started.create(app).deploy(app)
        yield started


def proxy(platform: Running) -> ProxyBody | None:
    """Return how HAProxy is, once the daemon is there to ask."""
    return platform.client.status().proxy


def worker(platform: Running) -> int:
    """Return the pid of the worker; 0 while there is none."""
    found = proxy(platform)
    return found.worker if found else 0


def restarts(platform: Running) -> int:
    """Return how often HAProxy was started again; 0 while there is none."""
    found = proxy(platform)
    return found.restarts if found else 0


def spoil(platform: Running, how: str) -> int:
    """Spoil each file that HAProxy reads, and return how many."""
    directory = platform.data / "haproxy"
    files = [directory / "haproxy.cfg", *(directory / "maps").iterdir(), *(directory / "pages").iterdir()]
    for path in files:
        path.write_bytes(SPOILT[how](path.read_bytes()))
    return len(files)


def check(platform: Running) -> None:
    """Look that each host gets its own app, and a stranger our page."""
    for host, body in HOSTS.items():
        assert Browser(platform.port, host).get().body == body
    nobody = Browser(platform.port, "nobody.localhost").get()
    assert (nobody.status, "Nothing here" in nobody.body) == (404, True)


def go_on(tally: Tally, requests: int) -> None:
    """Wait until the clients have sent some more requests."""
    aim = tally.requests + requests
    until(lambda: tally.requests >= aim, 60)


@pytest.mark.parametrize(
    ("who", "number"), [("worker", signal.SIGKILL), ("master", signal.SIGKILL), ("master", signal.SIGTERM)]
)
def test_haproxy_killed_or_stopped_is_back_within_a_second_and_nobody_is_refused(
    platform: Running, who: str, number: signal.Signals
) -> None:
    waits, endings, times = [], [], 3
    before = proxy(platform)
    assert before is not None
    with Hammer(platform.port, "shop.localhost", kept=KEPT, fresh=FRESH).at_work() as tally:
        for _ in range(times):
            go_on(tally, 300)
            pid = worker(platform)
            endings.append(ProxyEnding(pid))
            began = time.monotonic()
            if who == "worker":
                os.kill(pid, number)
            else:
                pid = platform.kill_proxy(number)
            while True:
                try:
                    assert Browser(platform.port, "blog.localhost").get().body == "blog -"
                    break
                except (OSError, http.client.HTTPException):  # the worker had taken this connection, and died
                    continue
            waits.append(time.monotonic() - began)
            until(lambda pid=pid: pid not in (platform.proxy_pid(), worker(platform)) and worker(platform), 60)  # type: ignore[misc]
            go_on(tally, 300)
    again = ", ".join(f"{wait:.2f} s" for wait in waits)
    cost = check_cost(tally, *endings)
    print(f"\n{times} × {number.name} of HAProxy's {who}: {cost}, served again after {again}")
    assert "ConnectionRefusedError" not in tally.errors
    assert set(tally.bodies) == {"shop -"}
    assert min(waits) < 1.0, "the others may have met with something else that the machine does"
    until(lambda: restarts(platform) - before.restarts >= times, 30)
    assert restarts(platform) - before.restarts == times
    check(platform)


@pytest.mark.parametrize("how", SPOILT)
def test_spoilt_files_are_read_by_no_restart_no_reload_and_no_start(platform: Running, how: str) -> None:
    with Hammer(platform.port, "shop.localhost", kept=KEPT, fresh=FRESH).at_work() as tally:
        count = spoil(platform, how)
        ending = ProxyEnding(worker(platform))
        before = platform.kill_proxy()
        until(lambda: platform.proxy_pid() not in (0, before) and worker(platform), 30)
        check(platform)
        spoil(platform, how)
        loaded = worker(platform)
        platform.repository("shop").deploy(how, branch=how.replace("'", "-"))  # another backend: a reload
        assert worker(platform) != loaded
        check(platform)
    print(f"\n{count} files {how}, a kill -9 of HAProxy and a reload: {check_cost(tally, ending)}")
    assert set(tally.bodies) == {"shop -"}
    assert [line["file"] for line in platform.log() if line["message"] == "proxy.file.mended"]
    platform.kill()
    platform.kill_proxy()
    until(lambda: not platform.proxy_pid(), 30)
    spoil(platform, how)
    platform.start()
    check(platform)


def test_an_upgrade_takes_the_haproxy_that_was_installed_meanwhile_and_nobody_notices(
    platform: Running, installation: Installation
) -> None:
    before = proxy(platform)
    assert before is not None
    # 5 ms between two requests of a client, so that the new daemon gets some of the processor for its start.
    with Hammer(platform.port, "shop.localhost", kept=3, fresh=3).at_work() as tally:
        go_on(tally, 300)
        other = installation.upgrade()
        said = platform.json("upgrade")
        assert isinstance(said, dict)
        assert said["proxy"] == {"before": before.version, "after": other}
        upgraded = worker(platform)
        assert Path(f"/proc/{upgraded}/exe").samefile(installation.path)
        again = platform.command("upgrade", "--proxy")
        assert f"HAProxy {other} runs" in again.stdout, again.stderr
        assert worker(platform) != upgraded, "renewed, though it was the same version"
        go_on(tally, 300)
    print(f"\nan upgrade of HAProxy from {before.version} to {other}, and a renewal: {tally.describe()}")
    assert tally.failed == 0, tally.describe()
    assert set(tally.bodies) == {"shop -"}
    check(platform)
    installed = installation.path.read_bytes()
    installation.install(b"#!/bin/sh\necho 'no library' >&2\nexit 127\n")
    began_at = platform.client.status().started_at
    refused = platform.command("upgrade", "--proxy")
    assert (refused.returncode, "HAProxy was not found" in refused.stderr) == (4, True), refused.stderr
    assert platform.client.status().started_at == began_at
    installation.install(installed)
    assert version_of(str(installation.path)) == other
    check(platform)


def test_a_haproxy_that_ends_while_none_is_installed_is_back_once_one_is(
    platform: Running, installation: Installation
) -> None:
    installed = installation.path.read_bytes()
    with Hammer(platform.port, "shop.localhost", kept=0, fresh=4).at_work() as tally:
        go_on(tally, 100)
        installation.path.unlink()
        platform.kill_proxy(signal.SIGTERM)
        until(lambda: "proxy.failed" in [line["message"] for line in platform.log()], 30)
        installation.install(installed)
        until(lambda: worker(platform), 30)
        go_on(tally, 100)
    print(f"\nHAProxy ended while none was installed: {tally.describe()}")
    assert "ConnectionRefusedError" not in tally.errors
    check(platform)
