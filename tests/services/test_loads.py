"""Loads: what instances take, between two looks."""

import pytest

from balancer.domain.usage import Usage
from balancer.services.loads import EVERY_SECONDS, Load, Loads, loads_of
from balancer.testing import FakeClock

pytestmark = pytest.mark.anyio


def used(seconds: float, memory_bytes: int = 1000) -> Usage:
    return Usage(cpu_seconds=seconds, memory_bytes=memory_bytes, processes=1)


def test_the_share_of_a_processor_is_what_was_used_between_two_looks_by_their_time() -> None:
    assert loads_of({1: used(10)}, {1: used(13, 2000)}, 2.0) == {1: Load(cpu=1.5, memory_bytes=2000)}


@pytest.mark.parametrize(
    ("before", "seconds"),
    [
        ({}, 2.0),  # nobody has looked at it before
        ({1: used(14)}, 2.0),  # one of its processes has ended
        ({1: used(10)}, 61.0),  # that is no longer the present
    ],
)
def test_where_nothing_is_known_of_the_present_none_is_told(before: dict[int, Usage], seconds: float) -> None:
    assert loads_of(before, {1: used(13)}, seconds)[1].cpu is None


class Counting:
    """A supervisor that counts how often it is asked."""

    def __init__(self) -> None:
        self.looks = 0

    def usage(self) -> dict[int, Usage]:
        """Return one second more each time."""
        self.looks += 1
        return {1: used(self.looks)}


async def test_however_many_look_the_process_table_is_read_once() -> None:
    supervisor, clock = Counting(), FakeClock()
    loads = Loads(supervisor, clock)
    for _ in range(5):
        assert (await loads.present())[1].cpu is None
    assert supervisor.looks == 1
    clock.advance(EVERY_SECONDS)
    assert (await loads.present())[1].cpu == pytest.approx(1 / EVERY_SECONDS)
    assert supervisor.looks == 2
