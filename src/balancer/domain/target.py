"""Targets: who is told, where, and of what.

Invariants:
    * An address is one that a request or a message can be sent to: http, https, or one mailbox.
    * What is shown of an address has nothing in it that lets others send there.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from balancer.domain.app import AppName
from balancer.domain.notice import KeptNotice, Notice, NoticeKind
from balancer.errors import InvalidInput, InvalidName

_LIMIT = 2000
_MAILBOX = re.compile(
    r"(?:mailto:)?([A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,200}[A-Za-z0-9])?)"
)
_SLACK = ("hooks.slack.com", "hooks.slack-gov.com")
# 5 s at first: who restarts is back by then. 1 h at last: 24 a day are no burden for who is away.
_FIRST_SECONDS, _LAST_SECONDS = 5.0, 3600.0
_GIVEN_UP_AFTER = timedelta(days=1)
# 3: what waited behind others for a day is tried more than once.
_LEAST_ATTEMPTS = 3
WAITING_LIMIT = 1000
"""How many notices wait for a target at most; then the oldest go, since the newest say how it is now."""


class TargetKind(StrEnum):
    """How a target is told."""

    WEBHOOK = "webhook"
    SLACK = "slack"
    EMAIL = "email"


def is_mailbox(text: str) -> bool:
    """Tell whether a text is the address of one mailbox."""
    return bool(_MAILBOX.fullmatch(text)) and not text.startswith("mailto:")


class Address(str):
    """Where a target is: a URL, or a mailbox."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName, which does not repeat it: it may be a secret."""
        if found := _MAILBOX.fullmatch(text):
            return super().__new__(cls, found[1])
        if not (len(text) <= _LIMIT and text.isascii() and text.isprintable() and " " not in text and _fits(text)):
            raise InvalidName("this is no address to tell: write https://…, http://…, or ops@example.com")
        return super().__new__(cls, text)

    @property
    def kind(self) -> TargetKind:
        """How it is told, as far as the address shows."""
        if "://" not in self:
            return TargetKind.EMAIL
        return TargetKind.SLACK if urlsplit(self).hostname in _SLACK else TargetKind.WEBHOOK

    @property
    def shown(self) -> str:
        """The address for people: of a URL only the server, since all else may be what proves a sender."""
        if "://" not in self:
            return str(self)
        parts = urlsplit(self)
        bare = (parts.path in ("", "/")) and not parts.query
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{'' if bare else '/…'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Somebody, or a program, that is told."""

    id: int
    kind: TargetKind
    address: Address = field(repr=False)
    secret: str | None = field(repr=False)
    """What a webhook's calls are signed with."""
    kinds: frozenset[NoticeKind]
    """What it is told of; empty: everything."""
    app: AppName | None
    """None: of every app, and of the platform."""
    created_at: datetime

    def __post_init__(self) -> None:
        if (self.kind is TargetKind.EMAIL) != (self.address.kind is TargetKind.EMAIL):
            raise InvalidInput(f"an address of the kind {self.address.kind} cannot be told by {self.kind}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A target, and how it goes with it."""

    target: Target
    waiting: int
    """How many notices wait for it."""
    delivered_at: datetime | None
    """When it took one last."""
    failure: str | None
    """Why it did not take the last one; None where it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A notice that is to be told to a target now."""

    target: Target
    kept: KeptNotice
    attempts: int
    """How many there were."""


def wants(kinds: Collection[NoticeKind], app: str | None, notice: Notice) -> bool:
    """Tell whether who wants to be told of `kinds`, of one app alone where it is given, wants a notice."""
    return (not kinds or notice.kind in kinds) and app in (None, notice.app)


def next_attempt(attempts: int, noticed_at: datetime, now: datetime) -> datetime | None:
    """Return when to try again after so many attempts that failed; None: no more."""
    if attempts >= _LEAST_ATTEMPTS and now - noticed_at >= _GIVEN_UP_AFTER:
        return None
    return now + timedelta(seconds=min(_FIRST_SECONDS * 2 ** min(attempts - 1, 20), _LAST_SECONDS))


def is_due(next_at: datetime, now: datetime) -> bool:
    """Tell whether it is time; one that is further away than any pause was noted while the clock was wrong."""
    return next_at <= now or next_at - now > timedelta(seconds=_LAST_SECONDS)


def _fits(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and not parts.fragment and urlunsplit(parts) == text
