"""The bounds of a build are tools around its command."""

import os
import subprocess

import pytest

from balancer.runner.bounds import Bounds


def test_a_command_runs_within_them_and_ends_as_it_would_without() -> None:
    script = "ulimit -d; cut -d' ' -f19 /proc/self/stat; exit 3"
    done = subprocess.run(
        Bounds(memory_mb=512).around(["sh", "-c", script]), capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.returncode) == (["500000", "10"], 3)


def test_a_tool_that_the_machine_lacks_bounds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PATH", "/nowhere")
    assert Bounds(memory_mb=512).around(["true"]) == ["true"]
