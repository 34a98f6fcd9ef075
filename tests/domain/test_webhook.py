"""Calls as the providers make them: the shapes of their documentation, cut to what is read."""

import hashlib
import hmac
import json
from urllib.parse import urlencode

import pytest

from balancer.domain.app import BranchName, Commit
from balancer.domain.webhook import Deleted, Ignored, Pushed, check, read
from balancer.errors import InvalidInput, Unauthorized

SECRET = "s3cret"
OLD, NEW, NONE = "1" * 40, "c0ffee" + "0" * 34, "0" * 40
PUSH = {"ref": "refs/heads/feat/x", "before": OLD, "after": NEW, "repository": {"clone_url": "https://evil.example/x"}}
GITHUB = {"x-github-event": "push", "content-type": "application/json"}
GITLAB = {"x-gitlab-event": "Push Hook", "content-type": "application/json"}
GITEA = {"x-gitea-event": "push", "x-github-event": "push", "x-gogs-event": "push", "content-type": "application/json"}
FORGEJO = {"x-forgejo-event": "push", **GITEA}


def signature(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("headers", [GITHUB, GITLAB, GITEA, FORGEJO])
def test_a_push_is_a_branch_and_a_commit(headers: dict[str, str]) -> None:
    body = json.dumps({**PUSH, "object_kind": "push"}).encode()
    assert read(headers, body) == Pushed(BranchName("feat/x"), Commit(NEW))


@pytest.mark.parametrize("headers", [GITHUB, GITEA, FORGEJO])
def test_a_deletion_deletes_the_branch(headers: dict[str, str]) -> None:
    """All that Gitea and Forgejo send of a branch that is gone; GitHub sends it beside the push of nothing."""
    headers = {name: "delete" if value == "push" else value for name, value in headers.items()}
    body = json.dumps({"ref": "feat/x", "ref_type": "branch", "pusher_type": "user"}).encode()
    assert read(headers, body) == Deleted(BranchName("feat/x"))


@pytest.mark.parametrize("headers", [GITHUB, GITLAB, GITEA, FORGEJO])
def test_a_push_of_nothing_deletes_the_branch(headers: dict[str, str]) -> None:
    body = json.dumps({**PUSH, "after": NONE, "deleted": True}).encode()
    assert read(headers, body) == Deleted(BranchName("feat/x"))


def test_what_github_sends_unless_told_otherwise_is_a_form() -> None:
    headers = {**GITHUB, "content-type": "application/x-www-form-urlencoded"}
    assert isinstance(read(headers, urlencode({"payload": json.dumps(PUSH)}).encode()), Pushed)


@pytest.mark.parametrize(
    ("headers", "payload", "why"),
    [
        ({"x-github-event": "ping"}, {"zen": "Keep it logically awesome."}, "pong"),
        ({"x-github-event": "issues"}, {"action": "opened"}, "only pushes and deletions"),
        ({"x-gitea-event": "delete"}, {"ref": "v1", "ref_type": "tag"}, "is a tag"),
        ({"x-gitea-event": "delete"}, {"ref": "a'b", "ref_type": "branch"}, "is no name for a branch"),
        ({}, {}, "only pushes and deletions"),
        (GITLAB, {"ref": "refs/tags/v1", "after": NEW}, "is no branch"),
        (GITHUB, {"ref": "refs/heads/a'b", "after": NEW}, "is no name for a branch"),
        (GITHUB, {"ref": "refs/heads/--upload-pack=x", "after": NEW}, "is no name for a branch"),
        (GITHUB, {"ref": "refs/heads/a", "after": "HEAD"}, "is no commit"),
    ],
)
def test_anything_else_is_nothing_to_do(headers: dict[str, str], payload: object, why: str) -> None:
    said = read(headers, json.dumps(payload).encode())
    assert isinstance(said, Ignored)
    assert why in said.reason


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b"{}", b'{"ref": 1, "after": 2}'])
def test_what_is_no_push_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        read(GITHUB, body)


@pytest.mark.parametrize("body", [b"{}", b'{"ref": "test"}', b'{"ref": 1, "ref_type": "branch"}'])
def test_what_is_no_deletion_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        read({"x-gitea-event": "delete"}, body)


@pytest.mark.parametrize("name", ["x-hub-signature-256", "x-gitea-signature", "x-forgejo-signature", "x-gitlab-token"])
def test_a_call_is_proved_with_the_secret(name: str) -> None:
    body = b'{"a": 1}'
    token = name == "x-gitlab-token"
    right = SECRET if token else ("sha256=" if name == "x-hub-signature-256" else "") + signature(body)
    check({name: right}, body, SECRET)
    for wrong in ("", right[:-1], right + "0", "é", signature(b"other")):
        with pytest.raises(Unauthorized):
            check({name: wrong}, body, SECRET)
    if not token:
        with pytest.raises(Unauthorized):
            check({name: right}, body + b" ", SECRET)


def test_without_a_proof_nobody_is_believed() -> None:
    for headers in ({}, {"x-hub-signature": "sha1=x"}, {"authorization": f"Bearer {SECRET}"}):
        with pytest.raises(Unauthorized):
            check(headers, b"{}", SECRET)


def test_a_wrong_signature_is_not_made_good_by_a_right_token() -> None:
    with pytest.raises(Unauthorized):
        check({"x-hub-signature-256": "sha256=0", "x-gitlab-token": SECRET}, b"{}", SECRET)
