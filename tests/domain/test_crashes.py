"""Crashes: which ends of instances count, and for how long."""

from datetime import UTC, datetime, timedelta

from balancer.domain.crashes import WITHIN_SECONDS, Crashes
from balancer.domain.plan import Exit

START = datetime(2026, 3, 1, tzinfo=UTC)
BRANCHES = {1: "test", 2: "test", 3: "master"}


def ended(after: float, restarts: int = 0) -> Exit:
    """Return an end so many seconds after the start, and after so many restarts in a row."""
    return Exit(at=START + timedelta(seconds=after), restarts=restarts)


def test_an_end_counts_once_and_those_before_the_first_look_do_not() -> None:
    crashes = Crashes({1: ended(0)})
    assert crashes.see({1: ended(0)}, BRANCHES, 1.0) == {}
    assert crashes.see({1: ended(5), 3: ended(5)}, BRANCHES, 5.0) == {"test": 1, "master": 1}
    assert crashes.see({1: ended(5), 3: ended(5)}, BRANCHES, 6.0) == {"test": 1, "master": 1}
    assert crashes.see({1: ended(5), 2: ended(7), 3: ended(5)}, BRANCHES, 8.0) == {"test": 2, "master": 1}


def test_ends_between_two_looks_count_as_many_as_there_were() -> None:
    crashes = Crashes({})
    assert crashes.see({1: ended(4, restarts=2)}, BRANCHES, 5.0) == {"test": 3}
    assert crashes.see({1: ended(9, restarts=3)}, BRANCHES, 10.0) == {"test": 4}
    assert crashes.see({1: ended(99, restarts=0)}, BRANCHES, 100.0) == {"test": 5}, "it was steady in between"


def test_what_was_asked_to_end_or_is_long_ago_does_not_count() -> None:
    crashes = Crashes({})
    assert crashes.see({1: ended(1)}, {3: "master"}, 1.0) == {}
    assert crashes.see({1: ended(1)}, BRANCHES, 2.0) == {}
    assert crashes.see({1: ended(1), 3: ended(3)}, BRANCHES, 3.0) == {"master": 1}
    assert crashes.see({1: ended(1), 3: ended(3)}, BRANCHES, 3.0 + WITHIN_SECONDS) == {}
