"""What every test may ask for."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, the only loop that the platform runs on."""
    return "asyncio"
