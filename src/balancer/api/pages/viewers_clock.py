"""The clock of whoever looks: the time zone that their browser says it has, in a cookie that a script of ours sets.

Invariants:
    * It decides how times are shown, and nothing else: a day, and what is counted in it, is the app's.
    * What is no time zone is nobody's: without scripts, or with a cookie that somebody made up, times are the app's.
"""

from fastapi import Request

from balancer.domain.calendar import TimeZone
from balancer.errors import InvalidName

COOKIE = "balancer-zone"
"""`static/times.js` sets it."""


def clock_of(request: Request) -> TimeZone | None:
    """Return the time zone of whoever looks; None where it is not known."""
    try:
        return TimeZone(request.cookies.get(COOKIE, ""))
    except InvalidName:
        return None
