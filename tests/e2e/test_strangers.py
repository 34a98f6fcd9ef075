"""A machine that was started anew: all processes are gone, and other people's have their pids."""

import contextlib
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer import process_table
from browsing import Browser
from running import Running, running
from waiting import until


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as started:
        for app in ("shop", "blog"):
            started.create(app).deploy(app)
        yield started


@pytest.fixture
def strangers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes of other people, each the leader of its group."""
    started = [subprocess.Popen(["sleep", "600"], start_new_session=True) for _ in range(2)]
    yield started
    for each in started:
        each.kill()
        each.wait()


def kill_all(platform: Running) -> None:
    """kill -9 everything of a platform."""
    pids = [platform.instance_pid(app, "master") for app in ("shop", "blog")]
    pids += [platform.ledger_pid(), platform.proxy_pid()]
    platform.kill()
    for pid in reversed(pids):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    until(lambda: platform.proxy_pid() == 0 and platform.ledger_pid() == 0, 30)


@pytest.mark.parametrize("told_apart_by", ["start_ticks", "boot_id"])
def test_no_stranger_is_signalled_and_every_app_is_back_on_its_own_host(
    platform: Running, strangers: list[subprocess.Popen[bytes]], told_apart_by: str
) -> None:
    kill_all(platform)
    with contextlib.closing(sqlite3.connect(platform.data / "registry.db")) as registry, registry:
        rows = registry.execute("SELECT id FROM instances WHERE state <> 'stopped'").fetchall()
        assert len(rows) == len(strangers)
        for (number,), stranger in zip(rows, strangers, strict=True):
            is_now = process_table.identify(stranger.pid)
            registry.execute(
                "UPDATE instances SET pid = ?, boot_id = ?, start_ticks = ? WHERE id = ?",
                (
                    stranger.pid,
                    "another-boot" if told_apart_by == "boot_id" else is_now.boot_id,
                    is_now.start_ticks - (told_apart_by == "start_ticks"),
                    number,
                ),
            )
    platform.start()
    for app in ("shop", "blog"):
        browser = Browser(platform.port, f"{app}.localhost")
        until(lambda: browser.get().status == 200, 60)  # noqa: B023 - it is over when the browser is another one
        assert browser.get().body.split()[0] == app
        platform.repository(app).deploy(f"{app}-again")
        assert browser.get().body.split()[0] == f"{app}-again"
    assert [stranger.poll() for stranger in strangers] == [None, None]
    ports = [each.port for app in ("shop", "blog") for each in platform.client.instances(app)]
    assert len(ports) == len(set(ports))
