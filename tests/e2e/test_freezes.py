"""Freezes and hours on the whole platform: a real push is refused, an emergency goes through, a rollout waits."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from browsing import Browser
from running import Repository, Running, running
from waiting import until

NOBODY = {"index.html": "one"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("freezes")) as started:
        yield started


def answer(platform: Running, *words: str) -> Any:
    """Return what a command prints with --json."""
    return platform.json(*words)


def deployed(platform: Running, app: str) -> Repository:
    repository = platform.create(app)
    repository.commit(NOBODY)
    repository.push("master")
    return repository


def frozen(platform: Running, app: str) -> int:
    """Freeze an app for a day, and return the number of the freeze."""
    until_ = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")
    added = answer(platform, "freeze", "add", app, "--until", until_, "--why", "Christmas")
    assert (added["app"], added["in_force"]) == (app, True)
    return int(added["number"])


def entries(platform: Running, app: str) -> list[dict[str, Any]]:
    return list(answer(platform, "audit", app))


def test_a_push_in_a_freeze_is_refused_and_an_emergency_goes_through(platform: Running) -> None:
    repository = deployed(platform, "shop")
    number = frozen(platform, "shop")
    repository.commit({"index.html": "two"})
    refused = repository.git("push", "balancer", "HEAD:master", check=False)
    assert refused.returncode != 0
    assert "there is a freeze until" in refused.stderr
    assert "(Christmas)" in refused.stderr
    assert "git push -o during-freeze" in refused.stderr
    assert Browser(platform.port, "shop.localhost").get().body == "one"

    mistyped = repository.git("push", "-o", "during-freze", "balancer", "HEAD:master", check=False)
    assert mistyped.returncode != 0
    assert "there is no push option 'during-freze'" in mistyped.stderr
    assert repository.git("push", "balancer", "HEAD:refs/heads/test").returncode == 0, "another branch"
    assert repository.git("push", "-o", "during-freeze", "balancer", "HEAD:master").returncode == 0
    assert Browser(platform.port, "shop.localhost").get().body == "two"

    pushes = [each for each in entries(platform, "shop") if each["what"] == "git push"]
    assert [each["outcome"] for each in pushes] == ["done", "done", "frozen", "done"]
    assert "during_freeze" in pushes[0]["summary"]
    added = next(each for each in entries(platform, "shop") if each["what"] == "POST /api/freezes")
    assert "why Christmas" in added["summary"]
    (listed,) = answer(platform, "freeze", "list")
    assert (listed["number"], listed["why"]) == (number, "Christmas")
    assert answer(platform, "freeze", "remove", str(number)) == {"removed": number}
    assert platform.command("freeze", "remove", str(number)).returncode == 3
    assert "Nothing is frozen" in platform.command("freeze", "list").stdout


def test_a_deploy_of_an_archive_in_a_freeze_is_refused_and_an_emergency_goes_through(
    platform: Running, tmp_path: Path
) -> None:
    deployed(platform, "archived")
    frozen(platform, "archived")
    (tmp_path / "index.html").write_text("two")
    refused = platform.command("deploy", "archived", "--from", str(tmp_path))
    assert refused.returncode == 4
    assert "balancer deploy --during-freeze" in refused.stderr
    done = platform.command("deploy", "archived", "--from", str(tmp_path), "--during-freeze")
    assert done.returncode == 0, done.stderr
    assert Browser(platform.port, "archived.localhost").get().body == "two"


def test_a_rollout_shows_what_holds_it_and_an_operator_who_advances_it_is_told(platform: Running) -> None:
    repository = deployed(platform, "held")
    repository.git("branch", "test")
    repository.commit({"index.html": "two"}, "test")
    repository.push("test")
    # An hour that is over for a day at least, in every time zone.
    day = (datetime.now(UTC) + timedelta(days=3)).strftime("%a")
    begun = answer(platform, "rollout", "start", "held", "test", "--steps", "50,99", "--hours", f"{day} 09:00-10:00")
    assert begun["plan"]["hours"] == f"{day} 09:00-10:00"
    assert begun["hold"]["rule"] == "outside hours"
    until(lambda: platform.client.rollout("held").seen is not None, 30)
    shown = platform.command("rollout", "status", "held").stdout
    assert f"it goes on by itself {day} 09:00-10:00 (UTC) alone: again at" in " ".join(shown.split())
    frozen(platform, "held")
    advanced = platform.command("rollout", "advance", "held")
    assert "By itself it takes no further step just now: there is a freeze until" in advanced.stdout
    until(lambda: platform.client.rollout_decisions("held")[-1].action.rule == "freeze", 30)

    planned = answer(platform, "rollout", "plan", "held")
    assert [step["weight"] for step in planned["steps"]] == [99.0]
    planned = answer(platform, "rollout", "plan", "held", "test", "--visitors-a-day", "4000", "--steps", "5,50,100")
    assert [step["seconds"] is not None for step in planned["steps"]] == [True, True, False]
    unknown = platform.command("rollout", "plan", "held", "test")
    assert "Not enough data: no split of held has had 100 visitors" in unknown.stdout
    platform.client.cancel_split("held")
    until(lambda: platform.client.rollout("held").rollout.state == "aborted", 30)
    ours = [each for each in entries(platform, "held") if each["who"] == "the platform"]
    assert [each["what"] for each in ours] == ["rollout abort"]


def test_hours_that_are_none_are_refused_before_anything_begins(platform: Running) -> None:
    done = platform.command("rollout", "start", "held", "test", "--hours", "office")
    assert done.returncode == 2
    assert "'office' are no hours: write Mon-Fri 09:00-17:00" in done.stderr


def test_a_day_of_decision_begins_in_the_apps_time_zone(platform: Running) -> None:
    repository = platform.create("dated")
    repository.commit({**NOBODY, "balancer.toml": 'static = "."\ntimezone = "Asia/Tokyo"\n'})
    repository.push("master")
    repository.push("master:refs/heads/test")
    platform.declare("dated", "purchase")
    year = datetime.now(UTC).year + 1
    weights = ("master=50", "test=50")
    begun = answer(
        platform, "split", "start", "dated", *weights, "--metric", "purchase", "--decide-at", f"{year}-12-24"
    )
    assert begun["brief"]["decide_at"] == f"{year}-12-23T15:00:00Z"
