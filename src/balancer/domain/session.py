"""Sessions: somebody who has signed in to the dashboard with a token.

Invariants:
    * A session ends with its token, when it was not used for long, and when it is old, whatever it was used for.
    * What proves that a page of this session sent a form (its CSRF token) tells nothing of what is in the cookie.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from balancer.domain.role import Role
from balancer.domain.token import TokenName

USE_NOTED_EVERY = timedelta(minutes=1)
"""How exactly the last use is known: a page that loads makes some requests, and one of them is enough."""
MOST_PER_TOKEN = 100
"""Of one token; with one more the oldest ends. A person has some browsers, a screen in a corridor one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a session lasts."""

    idle: timedelta
    whole: timedelta


LIMITS = {
    # 2 h: a meeting or lunch; a machine left alone in the evening may change nothing in the night. 12 h: a working day,
    # and what NIST SP 800-63B (level 2) asks for.
    Role.OPERATOR: Limits(idle=timedelta(hours=2), whole=timedelta(hours=12)),
    # Who may change nothing may leave the page on a screen for a week, over a holiday too; 30 days is what NIST
    # SP 800-63B (level 1) asks for.
    Role.READER: Limits(idle=timedelta(days=7), whole=timedelta(days=30)),
}
LONGEST = max(limits.whole for limits in LIMITS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who is signed in."""

    digest: str
    """Of the secret in the cookie: what the registry knows the session by."""
    name: TokenName
    role: Role
    signed_in_at: datetime
    used_at: datetime
    """When it was used last, to within USE_NOTED_EVERY."""

    def is_over(self, now: datetime) -> bool:
        """Tell whether it lasts no longer."""
        limits = LIMITS[self.role]
        return now - self.used_at >= limits.idle or now - self.signed_in_at >= limits.whole

    def use_is_news(self, now: datetime) -> bool:
        """Tell whether a use now is to be noted."""
        return now - self.used_at >= USE_NOTED_EVERY

    @property
    def csrf(self) -> str:
        """What its pages send along with their forms, so that no other site can send one."""
        return hmac.new(self.digest.encode(), b"csrf", hashlib.sha256).hexdigest()
