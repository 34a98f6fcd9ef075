"""Roles: what somebody with a token, or signed in with one, may do.

Invariant: an operator may do everything; a reader may look, and change nothing.
"""

from enum import Enum


class Role(Enum):
    """What somebody may do."""

    OPERATOR = "operator"
    READER = "reader"

    def may(self, needed: "Role") -> bool:
        """Tell whether this role is enough where `needed` is asked for."""
        return self is Role.OPERATOR or needed is Role.READER
