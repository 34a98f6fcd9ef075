"""Sessions: how long they last, and what their pages send along."""

from dataclasses import replace
from datetime import timedelta

from balancer.domain.role import Role
from balancer.domain.session import LIMITS, Session
from balancer.domain.token import TokenName
from values import START

SESSION = Session(digest="d1", name=TokenName("ada"), role=Role.OPERATOR, signed_in_at=START, used_at=START)


def test_an_operators_session_is_over_two_hours_after_its_last_use_and_twelve_after_it_began() -> None:
    assert not SESSION.is_over(START + timedelta(hours=1, minutes=59))
    assert SESSION.is_over(START + timedelta(hours=2))
    used = replace(SESSION, used_at=START + timedelta(hours=11))
    assert not used.is_over(START + timedelta(hours=11, minutes=59))
    assert used.is_over(START + timedelta(hours=12))


def test_a_readers_session_lasts_longer_since_it_can_change_nothing() -> None:
    assert LIMITS[Role.READER].idle > LIMITS[Role.OPERATOR].whole
    assert not replace(SESSION, role=Role.READER).is_over(START + timedelta(days=6))


def test_a_clock_that_was_set_back_ends_no_session() -> None:
    assert not SESSION.is_over(START - timedelta(hours=5))


def test_what_the_pages_send_along_is_of_this_session_alone_and_not_what_it_is_known_by() -> None:
    other = replace(SESSION, digest="d2")
    assert len({SESSION.csrf, other.csrf, SESSION.digest}) == 3
    assert len(SESSION.csrf) == 64
