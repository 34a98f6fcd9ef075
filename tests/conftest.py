"""What every test may ask for."""

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# No test is about how long something takes: the machine may be busy.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


# A width that whoever runs the tests has set would fold the tables that they read.
os.environ.pop("COLUMNS", None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a test that skips itself fail where the environment says SKIPS=fail; a machine may lack IPv6."""
    report = yield
    if report.skipped and os.environ.get("SKIPS") == "fail" and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if "IPv6" not in reason:
            report.outcome, report.longrepr = "failed", f"here nothing may be skipped (SKIPS=fail): {reason}"
    return report


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, the only loop that the platform runs on."""
    return "asyncio"
