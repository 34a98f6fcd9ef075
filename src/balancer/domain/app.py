"""Apps and the names around them, parsed at the edge and never repaired.

Invariants:
    * A value of a name type has been checked: it is safe in a path, a command line and HAProxy's configuration.
    * Two branches of one app never have the same slug.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Self

from balancer.errors import InvalidInput, InvalidName

# 30, because `<branch>--<app>` is one DNS label, and a label ends at 63.
NAME_LIMIT = 30
BRANCH_LIMIT = 100
_LABEL = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_BRANCH = re.compile(r"(?:[\w+=-][\w.+=-]*)(?:/[\w+=][\w.+=-]*)*")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DOMAIN_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_CONFIG_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_PREVIEW_KEY = re.compile(r"p[0-9a-f]{16}")
# 2 GiB: a tree is source; what is larger belongs beside it.
TREE_LIMIT_BYTES = 2 * 1024**3
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


class PreviewKey(str):
    """What shows a branch of an app to those who have it: `p` and 16 hexadecimal digits."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName, without the text, which is a secret of sorts."""
        if not _PREVIEW_KEY.fullmatch(text):
            raise InvalidName("a preview key is `p` and 16 hexadecimal digits")
        return super().__new__(cls, text)


ConfigChanges = Mapping[str, str | None]
"""Config vars to set; those that are None are to be removed."""


class AppMode(Enum):
    """What visitors of an app get."""

    SERVING = "serving"
    PAUSED = "paused"
    """Their requests are held until the app serves again, 30 s at most."""
    MAINTENANCE = "maintenance"
    """A page that says so."""
    STOPPED = "stopped"
    """A page that says so; no instance runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Something served under one or more domains."""

    name: AppName
    default_branch: BranchName | None
    """The branch that stands for the app; None until the first one is live."""
    domains: tuple[Domain, ...]
    """Those that the live release of the default branch declares, beside the platform's own."""
    created_at: datetime
    mode: AppMode = AppMode.SERVING
    promoted: BranchName | None = None
    """The winner of a split that visitors see in the default branch's place, until that has its release."""
    preview_key: PreviewKey | None = None
    """Opens previews of the app's branches; None as long as nobody asked for one."""

    @property
    def served_branch(self) -> BranchName | None:
        """The branch that visitors see outside a split."""
        return self.promoted or self.default_branch


def _shown(text: str) -> str:
    """Return `text` quoted for a message, cut where it is long."""
    return repr(text if len(text) <= 60 else text[:60] + "…")
