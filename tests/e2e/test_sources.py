"""Apps that follow a repository elsewhere: the platform's own git, over HTTP, is the provider."""

import hashlib
import hmac
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from browsing import Browser
from hammering import Hammer
from running import Repository, Running, app_files, running
from waiting import until


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("sources")) as started:
        yield started


@dataclass(frozen=True)
class Follower:
    """An app that follows another one's repository, and its provider."""

    platform: Running
    app: str
    upstream: Repository
    secret: str

    def call(
        self, payload: object, *, secret: str | None = None, provider: str = "github", event: str = "push"
    ) -> tuple[int, dict[str, object]]:
        """Call as a provider does, and return what is answered."""
        body = json.dumps(payload).encode()
        key = self.secret if secret is None else secret
        digest = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "github": {"X-GitHub-Event": event, "X-Hub-Signature-256": f"sha256={digest}"},
            "gitea": {"X-Gitea-Event": event, "X-GitHub-Event": event, "X-Gitea-Signature": digest},
            "gitlab": {"X-Gitlab-Event": "Push Hook" if event == "push" else event, "X-Gitlab-Token": key},
        }[provider]
        connection = http.client.HTTPConnection("127.0.0.1", self.platform.admin_port, timeout=30)
        connection.request("POST", f"/hooks/{self.app}", body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        said = json.loads(answer.read())
        connection.close()
        return answer.status, said

    def pushed(self, version: str, branch: str = "master") -> dict[str, object]:
        """Push to the repository that is followed, and return what its provider says of it."""
        commit = self.upstream.commit(app_files(version), branch)
        self.upstream.push("--force", branch)
        return {
            "ref": f"refs/heads/{branch}",
            "before": "1" * 40,
            "after": commit,
            "object_kind": "push",
            "checkout_sha": commit,
            "repository": {"clone_url": "http://127.0.0.1:9/evil.git", "git_http_url": "http://127.0.0.1:9/evil.git"},
        }

    def page(self, branch: str | None = None) -> str:
        host = f"{branch}--{self.app}.localhost" if branch else f"{self.app}.localhost"
        return Browser(self.platform.port, host).get().body


def told(platform: Running, app: str, messages: tuple[str, ...]) -> list[str]:
    """Return which of these messages the log has of an app, in their order."""
    return [str(entry["message"]) for entry in platform.log() if entry["message"] in messages and entry["app"] == app]


def follower(platform: Running, app: str, *branches: str) -> Follower:
    upstream = platform.create(f"{app}-up")
    platform.create(app)
    options = [word for branch in branches for word in ("--branch", branch)]
    found = platform.json("source", "set", app, platform.client.remote(f"{app}-up"), *options)
    assert isinstance(found, dict)
    return Follower(platform, app, upstream, str(found["secret"]))


@pytest.mark.parametrize("provider", ["github", "gitea", "gitlab"])
def test_a_push_that_a_provider_tells_of_is_live_soon(platform: Running, provider: str) -> None:
    app = follower(platform, f"by-{provider}")
    said = app.pushed("one")
    status, answer = app.call(said, provider=provider)
    assert (status, answer["commit"], answer["branch"]) == (202, said["after"], "master")
    until(lambda: app.page() == "one -", 30)
    release = platform.client.releases(app.app)[0]
    assert (release.commit, release.state, release.author) == (said["after"], "live", "Test")
    status, answer = app.call({}, provider=provider, event="ping")
    assert status == 200
    assert "nothing" in answer


def test_calls_one_after_the_other_end_with_the_last_and_fail_no_request(platform: Running) -> None:
    app = follower(platform, "quick")
    app.call(app.pushed("zero"))
    until(lambda: app.page() == "zero -", 30)
    with Hammer(platform.port, "quick.localhost", kept=3, fresh=3).at_work() as tally:
        for version in ("one", "two", "three"):
            assert app.call(app.pushed(version))[0] == 202
        until(lambda: app.page() == "three -", 60)
    assert tally.failed == 0, tally.describe()
    until(
        lambda: (
            sum(
                entry["message"] in ("pull.done", "pull.needless") and entry["app"] == "quick"
                for entry in platform.log()
            )
            == 4
        ),
        60,
    )
    assert app.page() == "three -"


@pytest.mark.parametrize(
    ("provider", "events"),
    [("github", ("push",)), ("github", ("push", "delete")), ("gitea", ("delete",)), ("gitlab", ("push",))],
)
def test_a_deleted_branch_is_taken_down_however_often_it_is_told(
    platform: Running, provider: str, events: tuple[str, ...]
) -> None:
    app = follower(platform, f"tidy-{provider}-{len(events)}")
    for branch in ("master", "test"):
        app.call(app.pushed(branch, branch))
        until(lambda branch=branch: app.page(branch).startswith(branch), 30)  # type: ignore[misc]
    gone = {
        "push": {"ref": "refs/heads/test", "before": "1" * 40, "after": "0" * 40, "deleted": True},
        "delete": {"ref": "test", "ref_type": "branch", "pusher_type": "user"},
    }
    for event in events:
        assert app.call(gone[event], provider=provider, event=event) == (
            202,
            {"app": app.app, "branch": "test", "commit": None},
        )
    until(lambda: [each.branch for each in platform.client.branches(app.app)] == ["master"], 30)
    ends = ("pull.done", "pull.needless", "pull.failed", "pull.broke")
    until(lambda: len(told(platform, app.app, ends)) == 2 + len(events), 30)
    assert sorted(told(platform, app.app, ends)) == ["pull.done"] * 3 + ["pull.needless"] * (len(events) - 1)


def test_a_branch_that_is_not_followed_is_not_deployed(platform: Running) -> None:
    app = follower(platform, "narrow", "master")
    status, answer = app.call(app.pushed("one", "test"))
    assert (status, answer) == (200, {"nothing": "test is not followed; master is"})
    assert app.call(app.pushed("one"))[0] == 202
    until(lambda: app.page() == "one -", 30)


def test_who_has_not_the_secret_is_told_nothing(platform: Running) -> None:
    app = follower(platform, "closed")
    said = app.pushed("one")
    answers = [app.call(said, secret="guess", provider=provider) for provider in ("github", "gitea", "gitlab")]
    others = (Follower(platform, name, app.upstream, "guess") for name in ("none", "closed-up", "No%20Name"))
    answers += [other.call(said) for other in others]
    assert {status for status, _ in answers} == {401}
    assert len({json.dumps(answer) for _, answer in answers}) == 1
    assert platform.client.releases("closed") == []


def test_what_fails_is_in_the_log_and_among_the_releases(platform: Running) -> None:
    app = follower(platform, "careful")
    app.call(app.pushed("good"))
    until(lambda: app.page() == "good -", 30)
    commit = app.upstream.commit({"Procfile": "web: echo no table; exit 3\n"})
    app.upstream.push("master", check=False)
    # The provider has it, as one does that deploys nothing itself.
    bare = platform.data / "repositories" / "careful-up.git"
    app.upstream.git(
        "push",
        "--quiet",
        str(bare),
        f"{commit}:refs/heads/master",
        "--receive-pack",
        "git -c core.hooksPath=/dev/null receive-pack",
    )
    assert app.call({"ref": "refs/heads/master", "after": commit})[0] == 202
    until(lambda: any(entry["message"] == "pull.failed" and entry["app"] == "careful" for entry in platform.log()), 30)
    assert [release.state for release in platform.client.releases("careful")] == ["failed", "live"]
    assert app.page() == "good -"


def test_a_source_is_pulled_by_hand_and_removed(platform: Running) -> None:
    app = follower(platform, "hand")
    app.pushed("one")
    done = platform.command("source", "pull", "hand")
    assert done.returncode == 0, done.stderr
    assert "-----> Live" in done.stdout
    assert app.page() == "one -"
    again = platform.command("source", "pull", "hand")
    assert again.returncode == 4
    assert "is live on master already" in again.stderr
    shown = platform.command("source", "show", "hand")
    token = (platform.data / "operator.token").read_text().strip()
    assert "/hooks/hand\n" in shown.stdout
    assert app.secret in shown.stdout
    assert token not in shown.stdout + done.stdout
    assert platform.json("source", "remove", "hand") == {"removed": "hand"}
    assert app.call(app.pushed("two"))[0] == 401
    assert platform.command("source", "show", "hand").returncode == 3
    for url in ("file:///etc", "/etc", "ext::sh"):
        assert platform.command("source", "set", "hand", url).returncode == 2
