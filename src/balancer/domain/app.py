"""Apps and the names around them, parsed at the edge and never repaired.

Invariants:
    * A value of a name type has been checked: it is safe in a path, a command line and HAProxy's configuration.
    * Two branches of one app never have the same slug.
    * A manifest says exactly one way to run the app.
"""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Self

from balancer.errors import InvalidInput, InvalidManifest, InvalidName

# 30, because `<branch>--<app>` is one DNS label, and a label ends at 63.
NAME_LIMIT = 30
BRANCH_LIMIT = 100
_LABEL = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_BRANCH = re.compile(r"(?:[\w+=-][\w.+=-]*)(?:/[\w+=][\w.+=-]*)*")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DOMAIN_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PATH = re.compile(r"/[!-~]{0,500}")
_CONFIG_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
# 32,768, a quarter of what Linux takes as one entry of an environment.
CONFIG_VALUE_LIMIT = 32_768


class AppName(str):
    """A name such as `shop`: lower-case letters, digits and single hyphens, a letter first, 30 at most."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName."""
        if len(text) > NAME_LIMIT or not _LABEL.fullmatch(text) or not text[0].isalpha():
            raise InvalidName(
                f"{_shown(text)} is no name for an app: use lower-case letters, digits and single hyphens, "
                f"a letter first, at most {NAME_LIMIT} (such as `shop` or `my-shop`)"
            )
        return super().__new__(cls, text)


class BranchName(str):
    """The name of a git branch, such as `master` or `feat/x`."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text` by git's rules (git-check-ref-format), narrower; raises InvalidName."""
        bad = (
            len(text) > BRANCH_LIMIT
            or not _BRANCH.fullmatch(text)
            or text.startswith("-")
            or ".." in text
            or any(part.endswith((".", ".lock")) for part in text.split("/"))
        )
        if bad:
            raise InvalidName(
                f"{_shown(text)} is no name for a branch: use letters, digits and . _ + = - /, "
                f"no hyphen first, no '..', at most {BRANCH_LIMIT}"
            )
        return super().__new__(cls, text)

    @property
    def slug(self) -> str:
        """The branch as part of a DNS label, at most 30 characters and different for different branches.

        A name that is such a label already is its own slug; any other gets a piece of its hash, so that
        `feat/x`, `Feat/X` and `feat-x` stay apart.
        """
        if len(self) <= NAME_LIMIT and _LABEL.fullmatch(self):
            return str(self)
        plain = re.sub(r"[^a-z0-9]+", "-", self.lower()).strip("-")[: NAME_LIMIT - 9].strip("-")
        digest = hashlib.sha256(self.encode()).hexdigest()[:8]
        return f"{plain}-{digest}" if plain else digest


class Commit(str):
    """A full git hash."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName."""
        if not _COMMIT.fullmatch(text):
            raise InvalidName(f"{_shown(text)} is no commit: a full git hash has 40 (or 64) hexadecimal digits")
        return super().__new__(cls, text)

    @property
    def short(self) -> str:
        """The first seven digits, for people."""
        return self[:7]


class Domain(str):
    """A host name in lower case, without port and without a final dot."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName."""
        if len(text) > 253 or not all(_DOMAIN_LABEL.fullmatch(label) for label in text.split(".")):
            raise InvalidName(
                f"{_shown(text)} is no domain: use a host name in lower case without scheme, port or path, "
                "such as `shop.example`"
            )
        return super().__new__(cls, text)


class ConfigKey(str):
    """The name of a config var: letters, digits and underscores, no digit first, 100 at most."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName."""
        if not _CONFIG_KEY.fullmatch(text):
            raise InvalidName(
                f"{_shown(text)} is no name for a config var: use letters, digits and underscores, "
                "no digit first, at most 100 (such as `DATABASE_URL`)"
            )
        return super().__new__(cls, text)


class ConfigValue(str):
    """The value of a config var: what fits an environment."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidInput, without the value, which may be a secret."""
        if "\0" in text or len(text.encode(errors="replace")) > CONFIG_VALUE_LIMIT:
            raise InvalidInput(f"a config var must have at most {CONFIG_VALUE_LIMIT} bytes, and no NUL among them")
        return super().__new__(cls, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Something served under one or more domains."""

    name: AppName
    default_branch: BranchName | None
    """The branch that visitors see outside a split; None until the first one is live."""
    domains: tuple[Domain, ...]
    """Those that the live release of the default branch declares, beside the platform's own."""
    created_at: datetime


class Source(Enum):
    """Where a manifest was found; it decides how the release is built."""

    MANIFEST = "balancer.toml"
    PROCFILE = "Procfile"
    PACKAGE = "package.json"
    STATIC = "index.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """How a pushed tree is to be run."""

    source: Source
    web: str | None = None
    """The command that serves, run by a shell with PORT in its environment."""
    static: str | None = None
    """The directory to serve as it is, relative to the tree; instead of `web`."""
    release: str | None = None
    """The command that runs once, after the build and before anything switches."""
    domains: tuple[Domain, ...] = ()
    health_path: str | None = None
    """Where 2xx or 3xx means healthy; None asks for `/` and takes any answer below 500."""
    health_timeout_seconds: float = 60.0
    instances: int = field(default=1)

    def __post_init__(self) -> None:
        if (self.web is None) == (self.static is None):
            raise InvalidManifest(
                f"{self.source.value} must say one way to run the app: a `web` command or a `static` directory"
            )
        if self.static is not None and (self.static.startswith("/") or ".." in self.static.split("/")):
            raise InvalidManifest(f"static = {self.static!r} leaves the tree: name a directory inside it")
        if self.health_path is not None and not _PATH.fullmatch(self.health_path):
            raise InvalidManifest(f"the health path {self.health_path!r} must begin with / and have no spaces")
        if not 1 <= self.instances <= 100:
            raise InvalidManifest(f"instances = {self.instances}: from 1 to 100 are possible")
        if not 1 <= self.health_timeout_seconds <= 3600:
            raise InvalidManifest(f"a health timeout of {self.health_timeout_seconds} s: from 1 to 3600 are possible")


def _shown(text: str) -> str:
    """Return `text` quoted for a message, cut where it is long."""
    return repr(text if len(text) <= 60 else text[:60] + "…")
