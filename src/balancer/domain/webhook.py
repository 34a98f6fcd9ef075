"""Webhooks: what a provider says when it calls, and whether it is the provider.

GitHub, GitLab, Gitea and Forgejo; who signs (all but GitLab, which sends the secret itself) signs the whole body.

Invariants:
    * A call that is not proved with the secret says nothing at all.
    * Of a call only the branch and the commit are read, and parsed as what they are.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from balancer.domain.app import BranchName, Commit
from balancer.errors import InvalidInput, InvalidName, Unauthorized

_SIGNATURES = ("x-hub-signature-256", "x-forgejo-signature", "x-gitea-signature")
# Gitea and Forgejo send GitHub's header too; theirs come first.
_EVENTS = ("x-forgejo-event", "x-gitea-event", "x-gitlab-event", "x-github-event")
_PUSHES = ("push", "Push Hook", "Tag Push Hook")
# All that Gitea and Forgejo tell of a branch that is deleted; GitHub may send it beside the push.
_DELETION = "delete"
_NONE = re.compile(r"0+")


@dataclass(frozen=True, slots=True)
class Pushed:
    """A branch has a new commit."""

    branch: BranchName
    commit: Commit


@dataclass(frozen=True, slots=True)
class Deleted:
    """A branch is gone."""

    branch: BranchName


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something that is no matter of ours."""

    reason: str


Call = Pushed | Deleted | Ignored


def check(headers: Mapping[str, str], body: bytes, secret: str) -> None:
    """Raise Unauthorized unless a call is proved with the secret; the names of `headers` are in lower case."""
    right = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    for name in _SIGNATURES:
        if name in headers:
            given = headers[name].removeprefix("sha256=")
            if not hmac.compare_digest(given.encode(), right.encode()):
                raise Unauthorized
            return
    if not hmac.compare_digest(headers.get("x-gitlab-token", "").encode(), secret.encode()):
        raise Unauthorized


def read(headers: Mapping[str, str], body: bytes) -> Call:
    """Return what a call says. Raises InvalidInput."""
    event = next((headers[name] for name in _EVENTS if name in headers), "")
    if event == "ping":
        return Ignored("pong: the secret is right")
    if event not in (*_PUSHES, _DELETION):
        return Ignored(f"the event {event[:50]!r} is nothing to deploy; only pushes and deletions of branches are")
    payload = _payload(headers.get("content-type", ""), body)
    try:
        return _deletion(payload) if event == _DELETION else _push(payload)
    except InvalidName as reason:
        return Ignored(str(reason))


def _push(payload: Mapping[str, object]) -> Call:
    ref, after = payload.get("ref"), payload.get("after")
    if not isinstance(ref, str) or not isinstance(after, str):
        raise InvalidInput(
            "the call names neither `ref` nor `after`: it is no push of GitHub, GitLab, Gitea or Forgejo"
        )
    if not ref.startswith("refs/heads/"):
        return Ignored(f"{ref[:100]!r} is no branch; only branches are deployed")
    branch = BranchName(ref.removeprefix("refs/heads/"))
    return Deleted(branch) if _NONE.fullmatch(after) else Pushed(branch, Commit(after))


def _deletion(payload: Mapping[str, object]) -> Call:
    ref, kind = payload.get("ref"), payload.get("ref_type")
    if not isinstance(ref, str) or not isinstance(kind, str):
        raise InvalidInput("the call names neither `ref` nor `ref_type`: it is no deletion of GitHub, Gitea or Forgejo")
    if kind != "branch":
        return Ignored(f"{ref[:100]!r} is a {kind[:50]}; only branches are taken down")
    return Deleted(BranchName(ref.removeprefix("refs/heads/")))  # so far all of them send the name alone


def _payload(content_type: str, body: bytes) -> Mapping[str, object]:
    try:
        text = body.decode()
        if content_type.startswith("application/x-www-form-urlencoded"):  # GitHub, unless it is told otherwise
            text = parse_qs(text, max_num_fields=10)["payload"][0]
        payload = json.loads(text)
    except (ValueError, KeyError, RecursionError) as reason:
        raise InvalidInput("the body of the call is no JSON") from reason
    if not isinstance(payload, dict):
        raise InvalidInput("the body of the call is no JSON object")
    return payload
