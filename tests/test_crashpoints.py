"""The crash points: each is in the code, and kills only who was asked."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import balancer
from balancer.crashpoints import CrashPoint, passed

_PASS = "from balancer.crashpoints import CrashPoint, passed\npassed(CrashPoint.BUILT)\nprint('went on')"


def points_passed() -> set[str]:
    """Return the names that stand in `passed(CrashPoint.NAME)` anywhere in the source."""
    found = set()
    for source in Path(balancer.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            match node:
                case ast.Call(func=ast.Name("passed"), args=[ast.Attribute(value=ast.Name("CrashPoint"), attr=name)]):
                    found.add(name)
    return found


def pass_built(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run([sys.executable, "-c", _PASS], env=environment, capture_output=True, text=True, check=False)


def test_every_point_is_passed_somewhere_in_the_code() -> None:
    assert points_passed() == {point.name for point in CrashPoint}


def test_nothing_happens_unless_a_test_asks() -> None:
    for point in CrashPoint:
        passed(point)


def test_who_passes_the_point_that_was_chosen_is_killed_and_nobody_else(tmp_path: Path) -> None:
    chosen = tmp_path / "chosen"
    assert pass_built(BALANCER_CRASH_AT=str(chosen)).stdout == "went on\n"
    chosen.write_text(CrashPoint.TREE_EXPORTED.value)
    assert pass_built(BALANCER_CRASH_AT=str(chosen)).stdout == "went on\n"
    chosen.write_text(CrashPoint.BUILT.value)
    assert pass_built(BALANCER_CRASH_AT=str(chosen)).returncode == -signal.SIGKILL
