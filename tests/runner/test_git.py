"""The bare repositories, by real git."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from balancer.domain.app import AppName, BranchName, Commit
from balancer.errors import BuildFailed, ReleaseNotFound
from balancer.runner.git import Repositories
from balancer.runner.git_command import environment
from running import Repository
from values import MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio
NOWHERE = Commit("c0ffee" + "0" * 34)


@pytest.fixture
async def repositories(tmp_path: Path) -> Repositories:
    """Repositories with one of the shop."""
    made = Repositories(tmp_path / "repositories", python="/opt/my python/python3", hook_script=Path("/opt/hook.py"))
    await made.create(SHOP)
    return made


@pytest.fixture
def clone(repositories: Repositories, tmp_path: Path) -> Repository:
    """A developer's repository; its pushes go through no hook."""
    (repositories.path(SHOP) / "hooks" / "update").unlink()
    return Repository(tmp_path / "work", str(repositories.path(SHOP)))


def pushed(clone: Repository, files: dict[str, str], branch: str = "master") -> Commit:
    """Commit, push, and return the commit."""
    commit = Commit(clone.commit(files, branch))
    clone.push(branch)
    return commit


def configuration(repositories: Repositories) -> dict[str, str]:
    """Return what the shop's repository is configured to do."""
    done = subprocess.run(
        ["git", "config", "--list", "--local"],
        cwd=repositories.path(SHOP),
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


async def test_a_repository_is_bare_and_decides_branch_by_branch(repositories: Repositories) -> None:
    found = configuration(repositories)
    assert repositories.path(SHOP).name == "shop.git"
    assert found["core.bare"] == "true"
    assert found["receive.advertiseatomic"] == "false"
    assert found["receive.advertisepushoptions"] == "true"
    assert found["receive.denydeletes"] == "false"
    assert found["gc.auto"] == "0"
    assert found["http.receivepack"] == "true"


async def test_the_hooks_are_the_only_ones_and_run_our_script_apart_from_the_users_environment(
    repositories: Repositories,
) -> None:
    hooks = repositories.path(SHOP) / "hooks"
    assert sorted(path.name for path in hooks.iterdir()) == ["pre-receive", "update"]
    assert all(os.access(path, os.X_OK) for path in hooks.iterdir())
    text = (hooks / "update").read_text()
    assert text == "#!/bin/sh\nexec '/opt/my python/python3' -I /opt/hook.py \"$@\"\n"
    assert (hooks / "pre-receive").read_text().splitlines()[1:] == [
        '[ "${GIT_PUSH_OPTION_COUNT:-0}" = 0 ] && exit 0',
        "exec '/opt/my python/python3' -I /opt/hook.py",
    ]


async def test_creating_it_again_mends_the_hook_and_the_configuration_and_loses_nothing(
    repositories: Repositories, clone: Repository
) -> None:
    commit = pushed(clone, {"a": "1"})
    subprocess.run(["git", "config", "gc.auto", "1"], cwd=repositories.path(SHOP), check=True)
    await repositories.create(SHOP)
    assert (repositories.path(SHOP) / "hooks" / "update").exists()
    assert configuration(repositories)["gc.auto"] == "0"
    assert await repositories.ref(SHOP, MASTER) == commit


async def test_a_push_past_the_platform_is_refused(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "src" / "balancer" / "runner" / "update_hook.py"
    made = Repositories(tmp_path / "repositories", python=sys.executable, hook_script=script)
    await made.create(SHOP)
    clone = Repository(tmp_path / "work", str(made.path(SHOP)))
    clone.commit({"a": "1"})
    done = clone.push("master", check=False)
    assert done.returncode != 0
    assert "This repository takes pushes only through the platform" in done.stderr
    assert await made.ref(SHOP, MASTER) is None


async def test_the_tree_of_a_commit_is_written_out_and_not_that_of_another(
    repositories: Repositories, clone: Repository, tmp_path: Path
) -> None:
    first = pushed(clone, {"Procfile": "web: x\n", "lib/a b.py": "one"})
    pushed(clone, {"Procfile": "web: y\n"})
    out = tmp_path / "out"
    out.mkdir()
    await repositories.export(SHOP, first, out)
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*")) == ["Procfile", "lib", "lib/a b.py"]
    assert (out / "Procfile").read_text() == "web: x\n"


async def test_a_program_in_the_tree_stays_one(repositories: Repositories, clone: Repository, tmp_path: Path) -> None:
    clone.commit({"run": "#!/bin/sh\n"})
    clone.git("update-index", "--chmod=+x", "run")
    clone.git("-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "--quiet", "--message", "x")
    clone.push("master")
    commit = await repositories.ref(SHOP, MASTER)
    assert commit is not None
    out = tmp_path / "out"
    out.mkdir()
    await repositories.export(SHOP, commit, out)
    assert os.access(out / "run", os.X_OK)


async def test_a_commit_that_is_not_there_cannot_be_written_out(repositories: Repositories, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="the tree of c0ffee0 could not be written out: fatal: failed to unpack"):
        await repositories.export(SHOP, NOWHERE, tmp_path)


async def test_a_commit_is_described_by_its_first_line_and_its_author(
    repositories: Repositories, clone: Repository
) -> None:
    commit = pushed(clone, {"a": "1"})
    assert await repositories.describe(SHOP, commit) == ("A commit of master", "Test")


async def test_a_long_description_is_cut(repositories: Repositories, clone: Repository) -> None:
    clone.commit({"a": "1"})
    identity = ("-c", "user.name=" + "Ada " * 100, "-c", "user.email=t@example.com")
    clone.git(*identity, "commit", "--quiet", "--allow-empty", "--message", "long " * 100 + "\n\nand a body")
    clone.push("master")
    commit = await repositories.ref(SHOP, MASTER)
    assert commit is not None
    subject, author = await repositories.describe(SHOP, commit)
    assert (len(subject), len(author), "\n" in subject) == (200, 100, False)


async def test_a_commit_that_is_not_there_cannot_be_described(repositories: Repositories) -> None:
    with pytest.raises(ReleaseNotFound, match="the repository of shop has no commit c0ffee0"):
        await repositories.describe(SHOP, NOWHERE)


async def test_what_is_no_commit_cannot_be_described(repositories: Repositories, clone: Repository) -> None:
    pushed(clone, {"a": "1"})
    tree = Commit(clone.git("rev-parse", "HEAD^{tree}").stdout.strip())
    with pytest.raises(ReleaseNotFound):
        await repositories.describe(SHOP, tree)


async def test_a_branch_can_be_moved_back(repositories: Repositories, clone: Repository) -> None:
    first = pushed(clone, {"a": "1"})
    second = pushed(clone, {"a": "2"})
    assert await repositories.ref(SHOP, MASTER) == second
    await repositories.move_ref(SHOP, MASTER, first)
    assert await repositories.ref(SHOP, MASTER) == first


async def test_a_branch_that_is_not_there_has_no_commit(repositories: Repositories) -> None:
    assert await repositories.ref(SHOP, MASTER) is None


async def test_a_branch_cannot_be_moved_to_a_commit_that_is_not_there(repositories: Repositories) -> None:
    with pytest.raises(BuildFailed, match="git update-ref failed in the repository of shop"):
        await repositories.move_ref(SHOP, MASTER, NOWHERE)


@pytest.mark.parametrize("name", ["master", "feat/x", "release-1.2", "a=b+c"])
async def test_a_branch_of_any_name_has_its_ref(name: str, repositories: Repositories, clone: Repository) -> None:
    branch = BranchName(name)
    commit = pushed(clone, {"a": "1"})
    await repositories.move_ref(SHOP, branch, commit)
    assert await repositories.ref(SHOP, branch) == commit


async def test_a_clone_checks_out_the_branch_that_head_names(
    repositories: Repositories, clone: Repository, tmp_path: Path
) -> None:
    pushed(clone, {"a": "master"})
    pushed(clone, {"a": "test"}, "test")
    await repositories.set_head(SHOP, TEST)
    subprocess.run(["git", "clone", "--quiet", repositories.path(SHOP), tmp_path / "other"], check=True)
    assert (tmp_path / "other" / "a").read_text() == "test"


async def test_git_runs_without_the_users_configuration(
    repositories: Repositories, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".gitconfig").write_text("[init]\n\tdefaultBranch = trap\n[core]\n\thooksPath = /nowhere\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    other = AppName("blog")
    await repositories.create(other)
    assert (repositories.path(other) / "HEAD").read_text() == "ref: refs/heads/master\n"


async def test_it_may_be_created_again_by_many_at_once(repositories: Repositories) -> None:
    for name in ("config", "hooks/update"):
        (repositories.path(SHOP) / name).write_text("")
    await asyncio.gather(*(repositories.create(SHOP) for _ in range(20)))
    assert configuration(repositories)["gc.auto"] == "0"
    assert {path.name for path in (repositories.path(SHOP) / "hooks").iterdir()} == {"update", "pre-receive"}
    assert sorted(path.name for path in (repositories.path(SHOP) / "hooks").iterdir()) == ["pre-receive", "update"]


async def test_what_a_killed_git_has_left_is_swept_away_and_nothing_else(
    repositories: Repositories, clone: Repository
) -> None:
    commit = pushed(clone, {"a": "1"}, "feat/x")
    path = repositories.path(SHOP)
    left = ["HEAD.lock", "config.lock", "shallow.lock", "refs/heads/feat/x.lock", "objects/pack/tmp_pack_1"]
    left += ["objects/tmp_objdir-incoming-1/pack/a", f"refs/balancer/{'0' * 16}"]
    for name in left:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("")
    before = {each for each in path.rglob("*") if each.is_file()}
    repositories.sweep()
    assert {str(each.relative_to(path)) for each in before - set(path.rglob("*"))} == set(left)
    assert await repositories.refs(SHOP) == {BranchName("feat/x"): commit}
