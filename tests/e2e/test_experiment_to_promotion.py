"""A branch that is better is driven to its promotion, and back again: real visitors, and days that nobody waits for."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from browsing import Browser
from hammering import Hammer
from passing import Passing
from running import Repository, Running, app_files, running
from visitors import Visitor, send
from waiting import until

EXAMPLES = Path(__file__).parents[2] / "examples"
# What is asked for of the move, by which visitors see another branch.
MOVED_WITHIN_SECONDS = 2.0
# As long as the start of one app may take beside what else the machine does, where it is seen once.
PATIENCE_SECONDS = 10.0
# As long as a busy machine may need to look again: a second and two pass between looks.
SEEN_WITHIN_SECONDS = 60
# 2,000, of whom 20 and 34 % buy: 7.2 standard errors where 3.1 make the verdict, which chance misses once in 50,000.
VISITORS = 2000
OLD, NEW = "19.99, and it lasts.</p>", "Sent today"


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> Passing:
    return Passing(tmp_path_factory.mktemp("passing"))


@pytest.fixture(scope="module")
def platform(passing: Passing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("experiment"), **passing.variables, BALANCER_STANDBY_SECONDS="900") as started:
        yield started


def push_shop(platform: Running) -> Repository:
    """Push both branches of the example's shop, whose visitors have three days to buy, as by default."""
    repository = platform.create("shop")
    for branch in ("master", "test"):
        shutil.copytree(EXAMPLES / "shop" / branch, repository.directory, dirs_exist_ok=True)
        declared = repository.directory / "balancer.toml"
        declared.write_text(re.sub(r"^window.*\n", "", declared.read_text(), flags=re.MULTILINE))
        files = {
            each.name: each.read_text() for each in repository.directory.iterdir() if each.suffix or each.name[0] == "P"
        }
        if branch == "test":
            repository.git("branch", "test")
        repository.commit(files, branch)
        repository.push(branch)
    return repository


def standing(platform: Running, app: str) -> dict[str, Any]:
    return platform.client.rollout(app).model_dump(mode="json")


def is_at(platform: Running, app: str, step: int) -> bool:
    return bool(standing(platform, app)["rollout"]["step"] == step)


def waits_by(platform: Running, app: str) -> str:
    """Return the rule by which a rollout does what it does, empty while that is not known."""
    action = standing(platform, app)["action"]
    return action["rule"] if action else ""


def rules(platform: Running, app: str) -> list[str]:
    """Return the rules by which was decided; too few visitors are seen where they come slower than we look."""
    found = [each.action.rule for each in platform.client.rollout_decisions(app)]
    return [rule for rule in found if rule != "not enough data"]


def state(platform: Running, app: str) -> str:
    return str(standing(platform, app)["rollout"]["state"])


def refs(repository: Repository) -> dict[str, str]:
    """Return what `git ls-remote` says of the platform's branches."""
    lines = repository.git("ls-remote", "--heads", "balancer").stdout.splitlines()
    return {name.removeprefix("refs/heads/"): commit for commit, name in map(str.split, lines)}


def shown(platform: Running, app: str, count: int = 20) -> set[str]:
    """Return what new visitors see."""
    return {Browser(platform.port, f"{app}.localhost").get().body for _ in range(count)}


def logged(platform: Running, message: str, app: str) -> datetime:
    """Return when something was logged of an app last."""
    (*_, last) = (each for each in platform.log() if each["message"] == message and each.get("app") == app)
    return datetime.fromisoformat(str(last["at"]))


@contextmanager
def nobody_fails(platform: Running) -> Iterator[None]:
    """Let clients without cookies come meanwhile, and assert that each is answered."""
    hammer = Hammer(platform.port, "shop.localhost", kept=3, fresh=3)
    with hammer.at_work() as tally:
        yield
    print(f"\nmeanwhile {tally.describe()}")
    assert tally.requests > 0
    assert tally.failed == 0


def come(platform: Running) -> list[Visitor]:
    return send(VISITORS, 20, platform.port, "shop.localhost", lambda: None)


def test_an_experiment_is_driven_by_its_visitors_to_its_promotion(platform: Running, passing: Passing) -> None:
    repository = push_shop(platform)
    before = refs(repository)
    said = platform.command(
        *("rollout", "start", "shop", "test", "--metric", "bought", "--auto-promote", "--steps", "50,100")
    )
    assert said.returncode == 0, said.stderr
    began = time.monotonic()
    came = come(platform)
    print(f"\n{len(came)} visitors within {time.monotonic() - began:.1f} s")
    of = {branch: [bool(each.purchases) for each in came if each.branch == branch] for branch in ("master", "test")}
    until(lambda: (standing(platform, "shop")["seen"] or {}).get("visitors") == len(of["test"]), SEEN_WITHIN_SECONDS)
    assert waits_by(platform, "shop") == "too soon"

    passing.let(days=1)
    until(lambda: waits_by(platform, "shop") == "no verdict", SEEN_WITHIN_SECONDS)
    assert state(platform, "shop") == "running"
    passing.let(days=3)  # all have had their three days
    until(lambda: waits_by(platform, "shop") == "before 7 days", SEEN_WITHIN_SECONDS)
    assert "is better" in standing(platform, "shop")["seen"]["because"]
    assert refs(repository) == before, "a verdict alone moves nothing"
    with nobody_fails(platform):
        passing.let(days=3.01)
        until(lambda: state(platform, "shop") == "done", SEEN_WITHIN_SECONDS)

    split = platform.client.split("shop")
    assert (split.state, split.winner) == ("concluded", "test")
    found = platform.json("stats", "shop")
    assert isinstance(found, dict)
    assert (found["verdict"]["verdict"], found["verdict"]["variant"]) == ("ship", "test")
    assert found == platform.json("stats", "shop"), "the report of a split that is over stays as it is"
    (bought,) = (each for each in found["metrics"] if each["metric"] == "bought")
    assert {each["branch"]: (each["mature"], each["converted"]) for each in bought["outcomes"]} == {
        branch: (len(bought), sum(bought)) for branch, bought in of.items()
    }
    assert rules(platform, "shop") == ["too soon", "no verdict", "before 7 days", "fit for everybody"]
    assert refs(repository) == {"master": before["test"], "test": before["test"]}
    assert all(NEW in page for page in shown(platform, "shop"))
    live = {each.branch: each.commit for each in platform.client.releases("shop") if each.state == "live"}
    assert live == {"master": before["test"], "test": before["test"]}
    seconds = (logged(platform, "rollout.done", "shop") - logged(platform, "rollout.moved", "shop")).total_seconds()
    print(f"moved within {seconds:.3f} s, with the start of the app: {standing(platform, 'shop')['rollout']['reason']}")


def test_a_rollback_after_it_is_the_same_move_back_to_what_was_kept_warm(platform: Running, passing: Passing) -> None:
    repository = platform.repository("shop")
    promoted = refs(repository)["master"]
    (warm,) = (
        each for each in platform.client.instances("shop") if each.branch == "master" and each.state == "standby"
    )
    assert platform.command("rollback", "shop").returncode == 0
    assert all(OLD in page for page in shown(platform, "shop"))
    assert platform.instance_pid("shop", "master") == warm.pid, "nothing was started"
    assert refs(repository)["master"] == repository.git("rev-parse", "test~1").stdout.strip() != promoted
    took = []
    with nobody_fails(platform):
        for _ in range(3):  # two in a row lead to where they began
            began = time.monotonic()
            assert list(platform.client.rollback("shop"))[-1].release is not None
            took.append(time.monotonic() - began)
    print(f"\nback, and forth again, within {', '.join(f'{seconds:.3f}' for seconds in took)} s")
    assert min(took) < MOVED_WITHIN_SECONDS
    assert all(NEW in page for page in shown(platform, "shop"))
    assert refs(repository)["master"] == promoted
    passing.let(minutes=15.1)
    until(lambda: all(each.state != "standby" for each in platform.client.instances("shop")), SEEN_WITHIN_SECONDS)


def test_where_it_cannot_move_forward_what_is_shown_can_be_typed_and_makes_it_one_line_again(
    platform: Running,
) -> None:
    repository = platform.create("parted")
    repository.commit(app_files("one"))
    repository.push("master")
    repository.git("branch", "test")
    repository.commit(app_files("two"), "test")
    repository.push("test")
    repository.commit({**app_files("one"), "notes": "of master alone"})
    repository.push("master")
    repository.git("checkout", "--quiet", "test")
    repository.git("branch", "--force", "master", "master~1")  # somebody else had pushed it
    before = refs(repository)
    platform.json("rollout", "start", "parted", "test")
    began, lines = time.monotonic(), []
    for progress in platform.client.promote_rollout("parted"):
        lines.append(str(progress.line))
        if "everyone sees it" in lines[-1]:
            seconds = time.monotonic() - began
    print(f"\neveryone sees it within {seconds:.3f} s")
    assert seconds < PATIENCE_SECONDS
    assert state(platform, "parted") == "done"
    assert refs(repository) == before, "nothing is forced"
    assert shown(platform, "parted") == {"two -"}, "visitors see it all the same"

    status = platform.command("rollout", "status", "parted").stdout
    commands = [line.strip() for line in status.splitlines() if line.strip().startswith("git ")]
    assert [line.strip() for line in lines if line.strip().startswith("git ")] == commands
    reason = str(platform.client.rollout("parted").rollout.reason)
    assert reason.endswith(f"until you have merged: {' && '.join(commands)}")
    for name, value in (("user.name", "Test"), ("user.email", "test@example.com")):
        repository.git("config", name, value)
    subprocess.run(
        ["sh", "-ec", "\n".join(commands)], cwd=repository.directory, check=True, capture_output=True, timeout=60
    )
    assert shown(platform, "parted") == {"two -"}
    assert platform.client.app("parted").promoted is None
    repository.git("merge-base", "--is-ancestor", before["master"], refs(repository)["master"])
    repository.git("merge-base", "--is-ancestor", before["test"], refs(repository)["master"])
    assert (repository.directory / "notes").exists()


def test_a_canary_without_a_fault_goes_through_each_of_its_steps_to_its_end(
    platform: Running, passing: Passing
) -> None:
    repository = platform.create("fine")
    repository.commit(app_files("one"))
    repository.push("master")
    repository.git("branch", "test")
    repository.commit(app_files("two"), "test")
    repository.push("test")
    platform.json("rollout", "start", "fine", "test", "--steps", "50,75,100")
    for step in (1, 2):
        until(lambda: come_some(platform) and waits_by(platform, "fine") == "too soon", 60)
        passing.let(minutes=7)  # and what goes by meanwhile, which is less than three more
        until(lambda: (standing(platform, "fine")["rollout"]["step_seconds"]) > 420, SEEN_WITHIN_SECONDS)
        assert standing(platform, "fine")["rollout"]["step"] == step
        passing.let(minutes=3)
        until(partial(is_at, platform, "fine", step + 1), SEEN_WITHIN_SECONDS)
    until(lambda: waits_by(platform, "fine") == "too soon", SEEN_WITHIN_SECONDS)
    assert shown(platform, "fine") == {"two test"}
    passing.let(minutes=10)
    until(lambda: waits_by(platform, "fine") == "last step", SEEN_WITHIN_SECONDS)
    platform.json_lines("rollout", "promote", "fine")
    assert state(platform, "fine") == "done"
    assert refs(repository)["master"] == refs(repository)["test"]
    assert shown(platform, "fine") == {"two -"}
    passed = ["too soon", "step passed"] * 2
    assert rules(platform, "fine") == [*passed, "too soon", "last step", "promoted"]


def come_some(platform: Running) -> bool:
    """Let twenty visitors see two pages each."""
    for _ in range(20):
        browser = Browser(platform.port, "fine.localhost")
        browser.get()
        browser.get()
    return True
