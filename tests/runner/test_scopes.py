"""Scopes of systemd: what a command of a build is run in, where systemd runs the machine."""

import os
import subprocess
from pathlib import Path

import pytest

from balancer.runner.scopes import Scopes


def test_root_asks_systemd_of_the_machine() -> None:
    around = Scopes(None).around(["npm", "ci"], memory_bytes=300_000_000, tasks=50)
    assert around[:2] == ["systemd-run", "--scope"]
    assert {"MemoryMax=300000000", "MemorySwapMax=0", "TasksMax=50", "CPUWeight=10"} <= set(around)
    assert around[around.index("--") :] == ["--", "npm", "ci"]


def test_a_user_asks_their_own_and_the_command_does_not_learn_how() -> None:
    around = Scopes("/run/user/7").around(["npm", "ci"], memory_bytes=300_000_000, tasks=50)
    assert around[:4] == ["env", "XDG_RUNTIME_DIR=/run/user/7", "systemd-run", "--user"]
    assert around[around.index("--") :] == ["--", "env", "-u", "XDG_RUNTIME_DIR", "npm", "ci"]


def test_without_systemd_there_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("balancer.runner.scopes._BOOTED", tmp_path / "missing")
    assert Scopes.find() is None


def test_a_systemd_that_gives_none_is_not_asked_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("balancer.runner.scopes._BOOTED", tmp_path)
    for program in ("#!/bin/sh\nexit 1\n", None):
        directory = tmp_path / ("refusing" if program else "missing")
        directory.mkdir()
        if program:
            (directory / "systemd-run").write_text(program)
            (directory / "systemd-run").chmod(0o755)
        monkeypatch.setitem(os.environ, "PATH", str(directory))
        assert Scopes.find() is None


@pytest.fixture
def scopes() -> Scopes:
    found = Scopes.find()
    if found is None:
        pytest.skip("no systemd gives scopes here")
    return found


def test_the_processes_of_a_scope_have_no_more_memory_together_than_that(scopes: Scopes) -> None:
    one = "python3 -c 'import time; held = bytes([1]) * 150_000_000; time.sleep(3)'"
    three = f'for n in 1 2 3; do {one} & pids="$pids $!"; done; for pid in $pids; do wait $pid || exit 137; done'
    for memory_bytes, ends in ((300_000_000, {137, -9, 143, -15}), (900_000_000, {0})):
        command = scopes.around(["sh", "-c", three], memory_bytes=memory_bytes, tasks=50)
        assert subprocess.run(command, check=False).returncode in ends


def test_a_scope_has_so_many_threads_and_ends_as_its_command_does(scopes: Scopes) -> None:
    forks = "(for n in $(seq 40); do sleep 5 & done) 2>&1; exit 3"
    done = subprocess.run(
        scopes.around(["bash", "-c", forks], memory_bytes=300_000_000, tasks=20),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (3, 254)
    assert "fork" in done.stdout
