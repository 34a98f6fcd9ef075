"""Pushes by real git over real HTTP, on a platform whose proxy and clock are fake."""

import asyncio
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.release import Release, ReleaseState
from balancer.domain.split import CANARY
from platforms import app_files, probe_quickly
from running import Repository
from served import Served, served
from values import MASTER, SHOP, TEST
from waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A platform that is served; git asks nobody for a password."""
    probe_quickly(monkeypatch)
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    async with served(tmp_path) as made:
        yield made


@pytest.fixture
async def shop(on: Served) -> Repository:
    """A developer's repository of the shop."""
    return await on.create("shop")


async def push(work: Repository, *words: str) -> tuple[int, str]:
    """Push, and return git's status and what it showed."""
    done = await asyncio.to_thread(work.push, *words, check=False)
    return done.returncode, done.stderr


async def commit(work: Repository, files: dict[str, str], branch: str = "master") -> str:
    """Commit a tree."""
    return await asyncio.to_thread(work.commit, files, branch)


async def test_a_push_is_live_when_git_says_that_it_is_done(on: Served, shop: Repository) -> None:
    pushed = await commit(shop, app_files("one"))
    status, shown = await push(shop, "master")
    assert status == 0, shown
    assert "remote: -----> Building shop master: " in shown
    assert "remote: -----> Live" in shown
    assert "remote:        http://shop.localhost:8080/" in shown
    live = await on.platform.live()
    assert live is not None
    assert live.commit == pushed
    assert await on.platform.repositories.ref(SHOP, MASTER) == pushed


async def test_a_push_that_does_not_go_live_is_refused_says_why_and_can_be_pushed_again(
    on: Served, shop: Repository
) -> None:
    await commit(shop, app_files("one"))
    await push(shop, "master")
    before = await on.platform.live_commit()
    await commit(shop, {"Procfile": "web: echo no such table; exit 3\n"})
    for _ in range(2):
        status, shown = await push(shop, "master")
        assert status != 0
        assert "remote: -----> Not live: the instance web.1 exited with status 3 before it was healthy" in shown
        assert "remote:        no such table" in shown
        assert "remote:        Nothing was switched; what was live before still is." in shown
        assert "hook declined" in shown
        assert await on.platform.repositories.ref(SHOP, MASTER) == before == await on.platform.live_commit()
    await commit(shop, app_files("two"))
    assert (await push(shop, "master"))[0] == 0
    assert (await on.platform.states())[4] == "live"


async def test_what_a_build_prints_cannot_say_the_verdict(on: Served, shop: Repository) -> None:
    await commit(shop, {"Procfile": "release: printf '\\0ok\\n'; exit 1\nweb: x\n"})
    status, shown = await push(shop, "master")
    assert status != 0
    assert "remote:        ok" in shown
    assert await on.platform.live() is None


async def test_of_two_branches_in_one_push_each_is_decided_for_itself(on: Served, shop: Repository) -> None:
    await commit(shop, app_files("one"))
    await commit(shop, {"Procfile": "worker: x\n"}, "test")
    status, shown = await push(shop, "master", "test")
    assert status != 0
    assert "no `web` process" in shown
    assert await on.platform.repositories.ref(SHOP, MASTER) == await on.platform.live_commit(MASTER) is not None
    assert await on.platform.repositories.ref(SHOP, TEST) is None


async def test_another_history_may_be_pushed_by_force(on: Served, shop: Repository) -> None:
    await commit(shop, app_files("one"))
    await push(shop, "master")
    await asyncio.to_thread(shop.git, "branch", "--move", "master", "old")
    other = await commit(shop, app_files("two"))
    assert (await push(shop, "master"))[0] != 0
    assert (await push(shop, "--force", "master"))[0] == 0
    assert await on.platform.live_commit() == other


async def test_a_large_tree_arrives_whole(on: Served, shop: Repository) -> None:
    noise = random.Random(1).randbytes(1_500_000).hex()
    await commit(shop, app_files("one", **{"noise.txt": noise}))
    assert (await push(shop, "master"))[0] == 0
    live = await on.platform.live()
    assert live is not None
    assert (on.platform.workspace.tree(live) / "noise.txt").read_text() == noise
    assert list((on.platform.directory / "spool").iterdir()) == []


async def test_what_was_pushed_can_be_cloned(on: Served, shop: Repository, tmp_path: Path) -> None:
    pushed = await commit(shop, app_files("one"), "test")
    await push(shop, "test")
    clone = ["git", "clone", "--quiet", on.remote("shop"), str(tmp_path / "clone")]
    await asyncio.to_thread(subprocess.run, clone, check=True)
    head = (tmp_path / "clone" / ".git" / "HEAD").read_text()
    assert head == "ref: refs/heads/test\n"
    assert (tmp_path / "clone" / ".git" / "refs" / "heads" / "test").read_text().strip() == pushed


async def test_what_is_no_deploy_of_a_branch_is_refused(on: Served, shop: Repository) -> None:
    await commit(shop, app_files("one"))
    await push(shop, "master")
    live = await on.platform.live_commit()
    for refspec, why in (
        ("master:refs/notes/x", "refs/notes/x is no branch; only branches are deployed"),
        ("master:refs/heads/a'b", "is no name for a branch: use letters, digits"),
        (":master", "-----> Not taken down: master is the default branch of shop"),
    ):
        status, shown = await push(shop, refspec)
        assert status != 0
        assert why in shown
    refs = await asyncio.to_thread(shop.git, "ls-remote", "balancer")
    assert refs.stdout.splitlines() == [f"{live}\tHEAD", f"{live}\trefs/heads/master"]


async def test_a_tag_is_kept_and_nothing_is_deployed_for_it(on: Served, shop: Repository) -> None:
    pushed = await commit(shop, app_files("one"))
    await push(shop, "master")
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.com")
    await asyncio.to_thread(shop.git, *identity, "tag", "--annotate", "--message", "First", "v1")
    status, shown = await push(shop, "v1")
    assert status == 0
    assert "remote: -----> Kept: v1; nothing is deployed for a tag" in shown
    refs = (await asyncio.to_thread(shop.git, "ls-remote", "--tags", "balancer")).stdout
    assert f"{pushed}\trefs/tags/v1^{{}}" in refs
    assert await on.platform.states() == {1: "live"}
    assert (await push(shop, ":v1"))[0] == 0
    assert (await asyncio.to_thread(shop.git, "ls-remote", "--tags", "balancer")).stdout == ""


async def test_a_branch_that_is_deleted_is_taken_down_and_can_be_pushed_again(on: Served, shop: Repository) -> None:
    await commit(shop, app_files("one"))
    await commit(shop, app_files("two"), "test")
    await push(shop, "master", "test")
    status, shown = await push(shop, ":test")
    assert status == 0, shown
    assert "remote: -----> Taken down: shop test; release 2 finishes its requests, then stops" in shown
    assert await on.platform.live(TEST) is None
    assert await on.platform.repositories.ref(SHOP, TEST) is None
    assert (await push(shop, "test"))[0] == 0
    assert await on.platform.live(TEST) is not None


async def test_an_empty_commit_deploys(on: Served, shop: Repository) -> None:
    for _ in range(2):
        pushed = await commit(shop, app_files("one"))
        assert (await push(shop, "master"))[0] == 0
        assert await on.platform.live_commit() == pushed


async def test_by_force_backwards_the_older_commit_is_deployed(on: Served, shop: Repository) -> None:
    first = await commit(shop, app_files("one"))
    await push(shop, "master")
    await commit(shop, app_files("two"))
    await push(shop, "master")
    assert (await push(shop, "--force", f"{first}:refs/heads/master"))[0] == 0
    assert await on.platform.live_commit() == first
    assert (await on.platform.states())[3] == "live"


async def test_a_push_can_ask_to_switch_at_once_whatever_its_manifest_says(on: Served, shop: Repository) -> None:
    canary = {"balancer.toml": 'rollout = "canary"\n'}
    await commit(shop, app_files("one", **canary))
    await push(shop, "master")
    first = await commit(shop, app_files("two", **canary))
    status, shown = await push(shop, "master")
    assert status == 0, shown
    assert "remote:        canary: 1 % of new visitors; watch with `balancer rollout status shop --watch`" in shown
    assert await on.platform.live_commit(CANARY) == first == await on.platform.repositories.ref(SHOP, MASTER)
    second = await commit(shop, app_files("three", **canary))
    status, shown = await push(shop, "-o", "rollout=none", "master")
    assert status == 0, shown
    assert await on.platform.live_commit() == second == await on.platform.repositories.ref(SHOP, MASTER)
    assert await on.platform.live(CANARY) is None
    assert await on.platform.repositories.ref(SHOP, CANARY) is None


@pytest.mark.parametrize("option", ["ci.skip", "rollout=canary"])
async def test_an_option_that_is_not_known_refuses_the_push_by_its_name(
    on: Served, shop: Repository, option: str
) -> None:
    await commit(shop, app_files("one"))
    status, shown = await push(shop, "-o", "rollout=none", "-o", option, "master")
    assert status == 1
    assert f"push option '{option}'" in shown
    assert await on.platform.states() == {}
    async with on.client("") as client:
        answer = await client.post("/git/shop/options", json={"options": []}, headers={"Authorization": "Push guess"})
        assert answer.status_code == 401


async def test_a_wrong_token_is_refused_and_nothing_is_told(on: Served, shop: Repository) -> None:
    await commit(shop, app_files("one"))
    said = set()
    for url in (on.remote("shop", "wrong"), on.remote("none", "wrong")):
        done = await asyncio.to_thread(shop.git, "push", url, "master", check=False)
        assert done.returncode != 0
        assert "Authentication failed" in done.stderr
        said.add(done.stderr.replace("/git/none.git", "/git/shop.git"))
    assert len(said) == 1
    assert await on.platform.states() == {}


async def test_an_app_that_is_not_there_is_said_to_be_missing(on: Served, shop: Repository) -> None:
    await commit(shop, app_files("one"))
    done = await asyncio.to_thread(shop.git, "push", on.remote("none"), "master", check=False)
    assert done.returncode != 0
    assert "no app is called 'none'" in done.stderr


async def test_what_is_no_repository_is_answered_in_words(on: Served) -> None:
    async with on.client() as client:
        answer = await client.get("/git/shop.git/config")
        assert answer.status_code == 404
        assert answer.text.startswith("/git/shop.git/config is no repository; `balancer apps remote APP` prints")


async def test_the_hook_is_believed_only_with_the_secret_of_a_push(on: Served, shop: Repository) -> None:
    pushed = await commit(shop, app_files("one"))
    body = {"ref": "refs/heads/master", "old": "0" * 40, "new": pushed}
    async with on.client("") as client:
        for header in (None, "Push ", "Push guess", f"Bearer {on.token}", f"Push {on.token}"):
            headers = {"Authorization": header.strip()} if header else {}
            assert (await client.post("/git/shop/update", json=body, headers=headers)).status_code == 401
    assert await on.platform.states() == {}


async def test_when_the_pusher_goes_away_the_deploy_is_broken_off(on: Served, shop: Repository) -> None:
    await commit(shop, app_files("one"))
    await push(shop, "master")
    await commit(shop, {"Procfile": "release: sleep 100\nweb: x\n"})
    pushing = await asyncio.create_subprocess_exec(
        *("git", "push", "balancer", "master"),
        cwd=shop.directory,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )

    async def newest() -> Release:
        return (await on.platform.registry.releases(SHOP))[0]

    async def builds() -> bool:
        release = await newest()
        log = on.platform.workspace.build_log(release)
        return release.number == 2 and log.exists() and "sleep 100" in log.read_text()

    async def has_failed() -> bool:
        return (await newest()).state is ReleaseState.FAILED

    await eventually(builds, 30)
    os.killpg(pushing.pid, signal.SIGKILL)
    await pushing.wait()
    await eventually(has_failed, 30)
    assert (await newest()).reason == "broken off (CancelledError)"
    assert (await on.platform.states())[1] == "live"
    assert await on.platform.repositories.ref(SHOP, MASTER) == await on.platform.live_commit()
