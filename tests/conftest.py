"""What every test may ask for."""

import os
import signal
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from clickhouses import Servers, chdb_server, two_shards

# No test is about how long something takes: the machine may be busy.
# What CI refuses it has to refuse again: there the examples are the same each time, elsewhere they are drawn.
settings.register_profile(
    "patient",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("SKIPS") == "fail",
)
settings.load_profile("patient")


# Who starts the tests in the background of a script has them ignore Ctrl-C, and so would all that they start and
# press it for.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A width that whoever runs the tests has set would fold the tables that they read.
os.environ.pop("COLUMNS", None)


# A platform is a dozen processes, and without what Python keeps of a module each of them compiles all of ours again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


# Whole platforms, browsers and simulations take long. `make test` hands files out in the order of collection: with
# these first, nobody waits in the end for one that was left over.
_LONG = ("e2e", "browser", "contract")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes long first; within a file the order stays."""
    items.sort(key=lambda item: item.path.parent.name not in _LONG and "simulations" not in item.path.stem)


# What a machine may be without, though all else was installed: nothing installs these.
_NOT_EVERYWHERE = ("IPv6", "systemd", "control groups", "one version of Python")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a test fail that skips itself where the environment says SKIPS=fail, unless no machine has to have it."""
    report = yield
    if report.skipped and os.environ.get("SKIPS") == "fail" and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if not any(what in reason for what in _NOT_EVERYWHERE):
            report.outcome, report.longrepr = "failed", f"here nothing may be skipped (SKIPS=fail): {reason}"
    return report


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, the only loop that the platform runs on."""
    return "asyncio"


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Give two ClickHouse servers that are the shards of one cluster."""
    with two_shards(tmp_path_factory.mktemp("shards")) as servers:
        yield servers


@pytest.fixture(scope="session")
def chdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Give today's ClickHouse, by chDB."""
    with chdb_server(tmp_path_factory.mktemp("chdb")) as servers:
        yield servers
