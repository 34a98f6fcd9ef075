"""What every test may ask for."""

import os

import pytest
from hypothesis import HealthCheck, settings

# No test is about how long something takes: the machine may be busy.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


# A width that whoever runs the tests has set would fold the tables that they read.
os.environ.pop("COLUMNS", None)


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, the only loop that the platform runs on."""
    return "asyncio"
