"""The commands, run as the entry point runs them, against a platform whose proxy and clock are fake."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from balancer import __version__
from balancer.cli import gathered, main, target
from platforms import app_files, probe_quickly
from receivers import receiving
from running import BALANCER, Repository
from served import Served, served
from values import SHOP

pytestmark = pytest.mark.anyio
# Those that run the platform and do not ask it.
RUNNING = {"balancer serve", "balancer ledger"}


def leaves(command: Any, path: str = "balancer") -> Iterator[tuple[str, Any]]:
    """Give every command that does something; they are of the click that Typer brings along."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, each in command.commands.items():
        yield from leaves(each, f"{path} {name}")


COMMANDS = dict(leaves(get_command(gathered())))
# Those without --tail, and why; docs/reference/commands.md says the same.
NOTHING_TO_FOLLOW = {
    *("balancer serve", "balancer ledger", "balancer ssh-serve", "balancer upgrade"),  # the daemon's log is its own
    *("balancer apps create", "balancer apps delete"),  # nothing of the app runs yet, or any more
    *("balancer source remove", "balancer keys add", "balancer keys remove"),  # nothing that runs changes
    *("balancer tokens add", "balancer tokens remove"),
    *("balancer metrics set", "balancer metrics remove"),  # nothing that runs changes
    *("balancer events import", "balancer visitors erase"),  # nor here
    *("balancer notify add", "balancer notify test", "balancer notify remove"),  # nothing that runs changes
    *("balancer freeze add", "balancer freeze remove"),  # nor here
    *("balancer preview", "balancer open"),  # they may make a key, or a link, and show it
    *(f"balancer rollout {name}" for name in ("start", "pause", "resume", "advance", "abort", "promote")),  # --watch
    *(f"balancer bandit {name}" for name in ("start", "pause", "resume", "abort", "promote")),  # --watch
    "balancer run",  # what it prints is shown anyway
}
CHANGE_NOTHING = {
    *(
        f"balancer {name}"
        for name in (
            "status",
            "audit",
            "stats",
            "split plan",
            "cron",
            "ps",
            "releases",
            "logs",
            "tokens list",
            "apps remote",
            "events tail",
            "events export",
        )
    ),
    *(
        f"balancer {name} list"
        for name in ("apps", "branches", "config", "keys", "split", "metrics", "notify", "freeze")
    ),
    *(f"balancer rollout {name}" for name in ("status", "plan")),
    "balancer bandit status",
    *(f"balancer {name} show" for name in ("source", "split")),
}


@pytest.fixture
async def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A platform that the commands mean by the environment, as on a developer's machine."""
    probe_quickly(monkeypatch)
    for name in [name for name in os.environ if name.startswith("BALANCER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.setenv("BALANCER_DATA_DIR", str(tmp_path / "no-data"))
    target._settings.cache_clear()
    async with served(tmp_path / "platform") as made:
        monkeypatch.setenv("BALANCER_URL", made.url)
        monkeypatch.setenv("BALANCER_TOKEN", made.token)
        yield made
    target._settings.cache_clear()


class Shell:
    """Runs commands in this process, and tells how they ended and what they printed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    async def run(self, line: str) -> tuple[int, str, str]:
        """Return status, output and errors of `balancer …`."""
        return await self.run_words(line.split())

    async def run_words(self, words: list[str]) -> tuple[int, str, str]:
        """Return the same, where a word may be empty or have blanks."""
        self._monkeypatch.setattr(sys, "argv", words)
        self._capsys.readouterr()
        status = await asyncio.to_thread(self._main)
        return status, *self._capsys.readouterr()

    async def json(self, line: str) -> Any:
        """Return the JSON that a command prints with --json, and nothing else."""
        status, out, err = await self.run(f"{line} --json")
        assert (status, err) == (0, ""), out + err
        return json.loads(out)

    def _main(self) -> int:
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell."""
    return Shell(monkeypatch, capsys)


async def shop_with(on: Served, *branches: str) -> Repository:
    """Create the shop, and make a release of each branch live."""
    work = await on.platform.create("shop")
    for branch in branches:
        await on.platform.push(work, app_files(branch), branch)
    return work


@pytest.mark.parametrize("path", COMMANDS)
def test_what_changes_something_can_follow_its_log(path: str) -> None:
    options = {name for each in COMMANDS[path].params for name in each.opts}
    assert ("--tail" in options) == (path not in NOTHING_TO_FOLLOW | CHANGE_NOTHING)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_help_with_an_example_and_speaks_json(path: str) -> None:
    command = COMMANDS[path]
    text = command.help or ""
    options = {option for each in command.params for option in each.opts}
    if path not in RUNNING and not command.hidden:
        assert "--json" in options
    if not command.hidden:
        assert re.search(rf"Example: \[bold\].*{path}", text), text
    assert all(each.help for each in command.params if each.param_type_name == "option")


@pytest.mark.parametrize("path", ["balancer", *COMMANDS])
async def test_help_is_shown_and_is_no_failure(path: str, shell: Shell) -> None:
    for flag in ("-h", "--help"):
        status, out, err = await shell.run(f"{path} {flag}")
        assert (status, err) == (0, "")
        assert "Usage: " in out


def test_the_installed_command_tells_its_version() -> None:
    done = subprocess.run([BALANCER, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"balancer {__version__}\n"


async def test_an_app_is_created_with_the_remote_to_push_to(on: Served, shell: Shell) -> None:
    status, out, err = await shell.run("balancer apps create shop")
    assert (status, err) == (0, "")
    assert f"    git remote add balancer {on.remote('shop')}\n" in out
    assert "It will answer on http://shop.localhost:8080/" in out
    made = await shell.json("balancer apps create blog --default-branch main")
    assert (made["name"], made["default_branch"], made["remote"]) == ("blog", "main", on.remote("blog"))
    assert await shell.run("balancer apps remote shop") == (0, f"{on.remote('shop')}\n", "")
    assert await shell.json("balancer apps remote shop") == {"remote": on.remote("shop")}


async def test_apps_are_listed(on: Served, shell: Shell) -> None:
    status, out, _ = await shell.run("balancer apps list")
    assert (status, out) == (0, "There are no apps yet; make one with: balancer apps create shop\n")
    assert await shell.json("balancer apps list") == []
    await shop_with(on, "master")
    await on.platform.create("blog")
    _, out, _ = await shell.run("balancer apps list")
    assert [line.split() for line in out.splitlines()] == [
        ["App", "Default", "branch", "Mode", "Answers", "on"],
        ["blog", "nothing", "live", "yet", "serving", "http://blog.localhost:8080/"],
        ["shop", "master", "serving", "http://shop.localhost:8080/"],
    ]
    assert [each["name"] for each in await shell.json("balancer apps list")] == ["blog", "shop"]


async def test_config_vars_are_set_listed_and_removed(on: Served, shell: Shell) -> None:
    await on.platform.create("shop")
    _, out, _ = await shell.run("balancer config list shop")
    assert out == "There are no config vars; set one with: balancer config set APP KEY=VALUE\n"
    status, out, err = await shell.run("balancer config set shop URL=redis://:key:@db/[0] EMPTY=")
    assert (status, out, err) == (0, "-----> set URL, EMPTY\n", "")
    assert await shell.json("balancer config set shop A=b=c") == {
        "A": "b=c",
        "EMPTY": "",
        "URL": "redis://:key:@db/[0]",
    }
    assert await shell.json("balancer config unset shop URL EMPTY NONE") == {"A": "b=c"}
    assert await shell.run("balancer config list shop") == (0, "A=b=c\n", "")


async def test_releases_are_listed_newest_first(on: Served, shell: Shell) -> None:
    await on.platform.create("blog")
    _, out, _ = await shell.run("balancer releases blog")
    assert out == "blog has no releases yet; `balancer apps remote blog` prints where to push\n"
    work = await shop_with(on, "master", "test")
    with pytest.raises(Exception, match="no `web` process"):
        await on.platform.push(work, {"Procfile": "worker: x\n"})
    _, out, _ = await shell.run("balancer releases shop")
    head, *lines = out.splitlines()
    assert head.split() == ["Release", "Branch", "Commit", "State", "Pushed", "By", "What"]
    numbers = [line.split()[0] for line in lines if line.split()[0].isdigit()]  # a long reason is folded
    assert numbers == ["3", "2", "1"]
    assert "failed" in lines[0]
    assert "the Procfile has no `web` process" in lines[0]
    assert lines[-1].rstrip().endswith("A commit of master")
    found = await shell.json("balancer releases shop -n 2")
    assert [(each["number"], each["state"]) for each in found] == [(3, "failed"), (2, "live")]


async def test_instances_are_listed(on: Served, shell: Shell) -> None:
    await on.platform.create("blog")
    _, out, _ = await shell.run("balancer ps blog")
    assert out == "blog has no instances; `balancer apps remote blog` prints where to push\n"
    await shop_with(on, "master")
    (found,) = await shell.json("balancer ps shop")
    _, out, _ = await shell.run("balancer ps shop")
    head, row = (line.split() for line in out.splitlines())
    assert head == ["Instance", "Branch", "Release", "State", "Up", "Restarts", "Port", "Pid"]
    assert (row[:4], row[-2:]) == (["web.1", "master", "1", "healthy"], [str(found["port"]), str(found["pid"])])
    assert 0 < found["up_seconds"] < 60
    assert found["restarts"] == 0
    await on.platform.formations.stop(SHOP, on.platform.told.append)
    status, out, err = await shell.run("balancer ps shop")
    assert (status, out, err) == (0, "shop has no instances; `balancer start shop` starts it\n", "shop: stopped\n")


async def test_what_instances_print_is_shown(on: Served, shell: Shell) -> None:
    await shop_with(on, "master", "test")
    status, out, err = await shell.run("balancer logs shop")
    assert (status, err) == (0, "")
    time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(rf"{time} master\.1 web\.1 \| serving master\n{time} test\.2 web\.1 \| serving test\n", out)
    status, out, _ = await shell.run("balancer logs shop --branch test -n 5 --json")
    line = json.loads(out)
    assert (status, line["instance"], line["line"]) == (0, "test.2 web.1", "serving test")
    assert datetime.fromisoformat(line["at"]).utcoffset() == timedelta(0)
    status, out, _ = await shell.run("balancer logs shop --release 1 --process build")
    assert (status, "master.1 build | " in out) == (0, True)


async def test_a_rollback_is_shown_as_it_goes(on: Served, shell: Shell) -> None:
    work = await shop_with(on, "master")
    await on.platform.push(work, app_files("two"))
    status, out, err = await shell.run("balancer rollback shop")
    assert (status, err) == (0, "")
    assert out.startswith("-----> Rolling shop master back to release 1 ")
    assert "-----> Live\n" in out
    found = await shell.json("balancer rollback shop 2")
    assert (found["number"], found["state"]) == (2, "live")


async def test_a_rollback_that_fails_has_the_exit_code_of_its_error(on: Served, shell: Shell) -> None:
    await shop_with(on, "master")
    status, out, err = await shell.run("balancer rollback shop")
    assert (status, out) == (3, "")
    assert err.startswith("error: no release of master of shop was live before")
    status, out, err = await shell.run("balancer rollback shop 7 --json")
    assert (status, err, json.loads(out)["error"]) == (3, "", "release-not-found")


async def test_a_split_is_started_changed_shown_and_ended(on: Served, shell: Shell) -> None:
    await shop_with(on, "master", "test")
    status, out, _ = await shell.run("balancer split start shop master=50 test=50")
    assert (status, out) == (
        0,
        "Split s1 of shop, running: master 50 %, test 50 % (control: master, phase 1)\n"
        "See how it goes with: balancer stats shop\n",
    )
    _, out, _ = await shell.run("balancer split set shop master=99.99 test=0.01")
    assert out == "Split s1 of shop, running: master 99.99 %, test 0.01 % (control: master, phase 2)\n"
    assert (await shell.json("balancer split show shop"))["phases"][1]["weights"] == {"master": 99.99, "test": 0.01}
    _, out, _ = await shell.run("balancer split cancel shop")
    assert out.startswith("Split s1 of shop, cancelled: ")
    found = await shell.json("balancer split start shop test=50 master=50 --control test")
    assert (found["id"], found["control"]) == ("s2", "test")


async def test_a_rollout_is_started_steered_shown_and_promoted(on: Served, shell: Shell) -> None:
    await shop_with(on, "master", "test")
    for margin in ("2", "0.02"):
        for command in ("start", "plan"):
            status, _, err = await shell.run(f"balancer rollout {command} shop test --margin {margin}")
            assert (status, err) == (
                2,
                f"error: the margin {margin} has no unit: write it as a percentage, such as 2%\n",
            )
    status, out, _ = await shell.run("balancer rollout start shop test --steps 5,50,100 --step-time 2h")
    assert (status, out) == (
        0,
        "test of shop: running, [5 %] → 50 % → 100 % (split s1)\n"
        "See how it goes with: balancer rollout status shop --watch\n",
    )
    assert (await shell.json("balancer rollout pause shop"))["state"] == "paused"
    _, out, _ = await shell.run("balancer rollout resume shop")
    assert out == "test of shop: running, [5 %] → 50 % → 100 % (split s1)\n"
    found = await shell.json("balancer rollout advance shop")
    assert (found["step"], found["weight"], found["phase"]) == (2, 50.0, 2)
    standing = await shell.json("balancer rollout status shop")
    assert standing["rollout"]["plan"] == {
        "steps": [5.0, 50.0, 100.0],
        "metric": None,
        "mode": "superiority",
        "margin": 0.02,
        "auto_promote": False,
        "step_seconds": 7200,
        "hours": None,
    }
    _, out, _ = await shell.run("balancer rollout status shop")
    assert "5 % → [50 %] → 100 %" in out
    assert "advance: an operator has advanced it" in out
    _, out, _ = await shell.run("balancer rollout status shop --decisions")
    assert [line.split()[-4:] for line in out.splitlines()[1:]] == [
        ["operator", "has", verb, "it"] for verb in ("paused", "resumed", "advanced")
    ]
    status, out, _ = await shell.run("balancer rollout promote shop")
    assert status == 0
    assert out.startswith("-----> The rollout of test of shop is over: everyone sees it\n")
    assert (await shell.json("balancer rollout status shop"))["rollout"]["state"] == "done"
    (line,) = (await shell.run("balancer rollout status shop --watch --json"))[1].splitlines()
    assert json.loads(line)["rollout"]["state"] == "done", "it ends, for nothing changes any more"


@pytest.mark.parametrize("noun", ["rollout", "bandit"])
async def test_watching_fails_where_what_is_watched_did_not_come_to_its_end(
    noun: str, on: Served, shell: Shell
) -> None:
    await shop_with(on, "master", "test")
    begin = {"rollout": "start shop test", "bandit": "start shop test --metric bought"}[noun]
    for end, expected in (("abort shop", 1), ("promote shop", 0)):
        assert (await shell.run(f"balancer {noun} {begin}"))[0] == 0
        word = f"{end} test" if noun == "bandit" and expected == 0 else end
        assert (await shell.run(f"balancer {noun} {word}"))[0] == 0
        for form in ("", " --json"):
            status, out, err = await shell.run(f"balancer {noun} status shop --watch{form}")
            assert (status, err) == (expected, "")
            assert ("aborted" if expected else "done") in out
        assert (await shell.run(f"balancer {noun} status shop"))[0] == 0, (
            "it tells how it ended, and was not asked to wait"
        )


async def test_a_rollout_says_what_gives_everybody_the_branch_in_the_end(on: Served, shell: Shell) -> None:
    await shop_with(on, "master", "test")
    await shell.run("balancer metrics set shop bought --kind converted --event purchase")
    by_hand = "somebody promotes it: balancer rollout promote shop"
    for options, said in (
        ("", by_hand),
        ("--auto-promote", "it is promoted by itself"),
        ("--metric bought", f"when bought is shown to be better than the control's, {by_hand}"),
        (
            "--metric bought --mode non-inferiority --margin 2.5% --auto-promote",
            "when bought is shown not to be worse by 2.5 % or more, it is promoted by itself",
        ),
    ):
        await shell.run(f"balancer rollout start shop test {options}")
        _, out, _ = await shell.run("balancer rollout status shop")
        assert re.search(rf"^In the end +{re.escape(said)} *$", out, flags=re.MULTILINE), out
        await shell.run("balancer rollout abort shop")
        assert "In the end" not in (await shell.run("balancer rollout status shop"))[1]


async def test_who_sets_weights_that_a_rollout_or_a_bandit_gives_is_told_that_it_waits(
    on: Served, shell: Shell
) -> None:
    await shop_with(on, "master", "test")
    weigh = "balancer split set shop master=70 test=30"
    for noun, begin in (("rollout", "start shop test"), ("bandit", "start shop test --metric bought")):
        await shell.run(f"balancer {noun} {begin}")
        _, out, err = await shell.run(weigh)
        assert (out.splitlines()[-1], err) == (
            f"The {noun} that gives this split its weights waits as long as these hold: balancer {noun} resume shop",
            "",
        )
        await shell.run(f"balancer {noun} abort shop")
    await shell.run("balancer split start shop master=50 test=50")
    _, out, err = await shell.run(weigh)
    assert ("waits" in out, err) == (False, "")


async def test_branches_say_that_a_winner_waits_to_be_merged_and_how(on: Served, shell: Shell) -> None:
    await shop_with(on, "master", "test")
    assert "won a split" not in (await shell.run("balancer branches list shop"))[1]
    await shell.run("balancer split start shop master=50 test=50")
    await shell.run("balancer split conclude shop --winner test")
    status, out, _ = await shell.run("balancer branches list shop")
    commit = next(line.split()[2] for line in out.splitlines() if line.startswith("test"))
    commands = [
        "git fetch balancer",
        "git checkout master",
        "git merge --ff-only balancer/master",
        f"git merge {commit}",
        "git push balancer master",
    ]
    assert status == 0
    assert out.splitlines()[-6:] == [
        "Visitors see test, which has won a split, in the place of master until you have merged, in a clone whose "
        "remote is called balancer:",
        *(f"    {command}" for command in commands),
    ]
    found = {each["branch"]: each for each in await shell.json("balancer branches list shop")}
    assert (found["test"]["promoted"], found["test"]["merge"]) == (True, commands)
    assert (found["master"]["promoted"], found["master"]["merge"]) == (False, [])
    await shell.run("balancer rollback shop")
    assert "won a split" not in (await shell.run("balancer branches list shop"))[1]


async def test_who_begins_a_rollout_is_told_of_a_guardrail_that_nothing_feeds(on: Served, shell: Shell) -> None:
    await shop_with(on, "master", "test")
    await shell.run("balancer metrics set shop refunds --kind count --event refund --guardrail")
    await on.ledger.begin()
    _, out, _ = await shell.run("balancer rollout start shop test --step-time 0s")
    assert "The guardrail refunds counts refund, of which none was ever seen: until one comes it stops nothing\n" in out
    _, out, _ = await shell.run("balancer stats shop")
    assert (
        "Verdict: keep running – no metric decides: the rollout was begun without one, and goes by its guardrails "
        "alone (`balancer rollout status shop`)\n" in out
    )
    await shell.run("balancer rollout abort shop")
    found = await shell.json("balancer rollout start shop test")
    assert [text.partition(" counts")[0] for text in found["unseen"]] == ["the guardrail refunds"]


async def test_a_bandit_is_started_steered_shown_and_promoted(on: Served, shell: Shell) -> None:
    await shop_with(on, "master", "test", "blue")
    status, out, _ = await shell.run("balancer bandit start shop test blue --metric purchase --step-time 2h")
    assert (status, out) == (
        0,
        "shop: the bandit of master, test, blue on purchase is running (split s1)\n"
        "It is there to earn, not to know: `balancer split start` compares.\n"
        "See how it goes with: balancer bandit status shop --watch\n",
    )
    assert (await shell.json("balancer bandit pause shop"))["state"] == "paused"
    _, out, _ = await shell.run("balancer bandit resume shop")
    assert out == "shop: the bandit of master, test, blue on purchase is running (split s1)\n"
    standing = await shell.json("balancer bandit status shop")
    assert standing["weights"] == {"master": 33.34, "test": 33.33, "blue": 33.33}
    assert (standing["bandit"]["metric"], standing["bandit"]["step_seconds"]) == ("purchase", 7200)
    _, out, _ = await shell.run("balancer bandit status shop")
    head, *arms = out.splitlines()
    assert head.strip() == "shop: bandit on purchase, split s1"
    assert [line.split()[:4] for line in arms[1:4]] == [
        ["master", "33.34", "%", "–"],
        ["test", "33.33", "%", "–"],
        ["blue", "33.33", "%", "–"],
    ]
    assert "it earns, it does not prove" in out
    _, out, _ = await shell.run("balancer bandit status shop --decisions")
    assert [line.split()[-4:] for line in out.splitlines()[1:]] == [
        ["operator", "has", verb, "it"] for verb in ("paused", "resumed")
    ]
    status, out, _ = await shell.run("balancer bandit promote shop test")
    assert status == 0
    assert out.startswith("-----> The bandit of shop is over: everyone sees test\n")
    assert (await shell.json("balancer bandit status shop"))["bandit"]["state"] == "done"
    (line,) = (await shell.run("balancer bandit status shop --watch --json"))[1].splitlines()
    assert json.loads(line)["bandit"]["state"] == "done", "it ends, for nothing changes any more"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("start shop test --steps 50,5", "invalid-rollout"),
        ("start shop test --steps 5,x", "invalid-weights"),
        ("start shop test --step-time soon", "invalid-metric"),
        ("start shop blue", "branch-not-found"),
        ("start shop master", "invalid-rollout"),
        ("abort shop", "rollout-not-found"),
        ("status shop --watch --decisions", "invalid-input"),
    ],
)
async def test_a_rollout_that_cannot_be_is_refused(line: str, code: str, on: Served, shell: Shell) -> None:
    await shop_with(on, "master", "test")
    status, out, _ = await shell.run(f"balancer rollout {line} --json")
    assert (status, json.loads(out)["error"]) == (3 if code.endswith("not-found") else 2, code)


async def test_a_split_is_told_with_what_it_was_begun_with_and_listed(on: Served, shell: Shell) -> None:
    await shop_with(on, "master", "test")
    assert "has had no split yet" in (await shell.run("balancer split list shop"))[1]
    audience = "--path /shop --header x-beta=1,2 --country DE --country AT --hold-out 2.5"
    _, out, _ = await shell.run(f"balancer split start shop master=50 test=50 --name Buttons --metric buy {audience}")
    assert out.splitlines()[:4] == [
        "Split s1 (Buttons) of shop, running: master 50 %, test 50 % (control: master, phase 1)",
        "  Decided by: buy",
        "  Only for: paths that begin with /shop, x-beta 1 or 2, cf-ipcountry DE or AT",
        "  Held out: 2.5 % of all visitors",
    ]
    assert (await shell.json("balancer split pause shop"))["state"] == "paused"
    assert (await shell.json("balancer split resume shop"))["state"] == "running"
    assert (await shell.json("balancer split reshuffle shop"))["id"] == "s2"
    status, out, _ = await shell.run("balancer split conclude shop --winner master")
    assert (status, out) == (0, "-----> The split s2 of shop is over: everyone sees master\n")
    _, out, _ = await shell.run("balancer split list shop")
    rows = [line.split() for line in out.splitlines()]
    assert [row[:3] for row in rows] == [
        ["Split", "State", "Name"],
        ["s2", "concluded", "Buttons"],
        ["s1", "cancelled", "Buttons"],
    ]
    assert "Winner: master" in (await shell.run("balancer split show shop s2"))[1]
    assert (await shell.json("balancer split show shop s1"))["brief"]["held_out"] == "2.5"


async def test_metrics_are_declared_listed_and_taken_back_and_a_split_keeps_its_own(on: Served, shell: Shell) -> None:
    await shop_with(on, "master", "test")
    assert "There are no metrics" in (await shell.run("balancer metrics list shop"))[1]
    said = "--kind sum --event purchase --window 7d --cap 500 --source header --guardrail"
    _, out, _ = await shell.run(f"balancer metrics set shop revenue {said}")
    assert out == "revenue of shop: sum: purchase, up to 500 a visitor, from header alone, guardrail\n"
    at = datetime.now(UTC).year + 100
    started = f"balancer split start shop master=50 test=50 --metric revenue --decide-at {at}-12-24 --aa"
    _, out, _ = await shell.run(started)
    assert [line.strip() for line in out.splitlines()[1:5]] == [
        "Decided by: revenue",
        f"Decided at: {at}-12-23 23:00 UTC",  # midnight in Vienna, where the platform is
        "Metrics: revenue",
        "A/A: nothing is to differ between its variants",
    ]
    _, out, _ = await shell.run("balancer metrics set shop revenue --kind count --event purchase --lower")
    assert out.splitlines() == [
        "revenue of shop: count: purchase, less is better",
        "The split s1 goes on with what it was begun with; this counts from the next one on.",
    ]
    _, out, _ = await shell.run("balancer metrics list shop")
    assert "s1 has sum: purchase, up to 500" in out
    (listed,) = await shell.json("balancer metrics list shop")
    assert (listed["name"], listed["kind"], listed["origin"], listed["split"]) == ("revenue", "count", "command", "s1")
    assert (await shell.json("balancer split show shop"))["brief"]["metrics"] == [listed["counted"]]
    _, out, _ = await shell.run("balancer metrics remove shop revenue")
    assert out == "revenue of shop is gone from the next split on; s1 goes on with it\n"
    assert (await shell.json("balancer split cancel shop"))["state"] == "cancelled"
    assert await shell.json("balancer metrics list shop") == []


async def test_a_metric_that_does_not_hold_is_refused_with_the_reason(on: Served, shell: Shell) -> None:
    await shop_with(on)
    for line, code, why in (
        ("metrics set shop m --kind ratio --event a", 2, "a ratio has no `event`; it needs `numerator`"),
        ("metrics set shop m --kind sum --event a --window long", 2, "window: 'long' is no duration"),
        ("metrics set shop ../m --kind sum --event a", 2, "is no name for a metric"),
        ("metrics set none m --kind sum --event a", 3, "no app is called"),
        ("metrics remove shop m", 3, "shop has no metric m that was set by command"),
        ("split start shop master=50 test=50 --decide-at soon", 2, "--decide-at soon: write a date"),
    ):
        status, _, err = await shell.run(f"balancer {line}")
        assert (status, why in err.replace("\n", " ")) == (code, True), err


async def test_a_split_is_planned_before_it_begins(on: Served, shell: Shell) -> None:
    await shop_with(on)
    line = "balancer split plan shop --effect 0.05 --baseline 20% --visitors-a-day 800"
    _, out, err = await shell.run(line)
    assert err == ""
    said, wanted, head, valid, fixed, days, *could = (" ".join(line.split()) for line in out.splitlines())
    assert (said, wanted) == ("A visitor: 20 %", "To see: 25 %, +25 % of that, with 80% certainty")
    assert head == "Decided Control Variant 1 In all Days"
    assert fixed == "on a day declared 1,030 1,030 2,060 3"
    assert days == f"At 800 visitors a day: {valid.split()[-1]} days"
    assert [text.startswith("In 14 days") for text in could] == [True, True]
    found = await shell.json(f"{line} --split 90:10 --power 90% --metric purchase")
    assert (found["weights"], found["power"], found["metric"]) == ([90, 10], 0.9, "purchase")
    _, out, _ = await shell.run("balancer split plan shop --effect 10% --baseline 12.5 --sd 30 --metric revenue")
    assert "revenue: 12.5 (SD 30)" in out
    assert "give them, --visitors-a-day 800" in out
    for more, why in (
        ("--effect much --baseline 5%", "--effect much: write a number"),
        ("--effect 10% --baseline 5% --split 50", "--split 50: write whole numbers"),
        ("--effect 10% --metric purchase", "shop has had no split yet that tells what purchase is"),
        ("--effect 10% --baseline 50", "a mean needs --sd beside it"),
    ):
        status, _, err = await shell.run(f"balancer split plan shop {more}")
        assert status in (2, 3)
        assert why in err.replace("\n", " ")


@pytest.mark.parametrize("kind", ["split", "rollout"])
async def test_an_option_out_of_its_range_is_wrong_usage_that_names_it(on: Served, shell: Shell, kind: str) -> None:
    await shop_with(on)
    line = f"balancer {kind} plan shop test --effect 10% --visitors-a-day"
    line = line.replace("shop test", "shop") if kind == "split" else line
    for given in ("0", "-5", "nan", "inf"):
        status, out, err = await shell.run(f"{line} {given}")
        assert (status, out) == (2, "")
        assert err.startswith(f"error: visitors-a-day {float(given)}: input should be ")
    status, out, err = await shell.run(f"{line} 0 --json")
    assert (status, json.loads(out)["error"], err) == (2, "invalid-input", "")


async def test_a_preview_is_a_link_for_each_live_branch(on: Served, shell: Shell) -> None:
    await shop_with(on, "master", "test")
    found = await shell.json("balancer preview shop")
    assert [each["branch"] for each in found] == ["master", "test"]
    assert found[1]["link"] == f"http://shop.localhost:8080/?balancer={found[1]['header']}"
    _, out, _ = await shell.run("balancer preview shop test")
    assert out.splitlines()[0] == f"test: {found[1]['link']}"
    assert (await shell.json("balancer preview shop --rotate"))[1]["link"] != found[1]["link"]


async def test_a_report_is_shown_when_the_ledger_is_there(on: Served, shell: Shell) -> None:
    await shop_with(on, "master", "test")
    await shell.run("balancer split start shop master=50 test=50")
    status, out, err = await shell.run("balancer stats shop")
    assert (status, out) == (9, "")
    assert "the ledger does not answer" in err
    await on.ledger.begin()
    status, out, err = await shell.run("balancer stats shop")
    assert (status, err) == (0, "")
    assert out.startswith("shop: split s1, running")
    assert "Visitors are shared master 50.00%, test 50.00%; the control is master.\n" in out
    assert "No events yet." in out
    assert "Verdict: keep running – no metric decides; one is named when a split or a rollout begins" in out
    assert (await shell.json("balancer stats shop"))["verdict"]["verdict"] == "keep running"
    status, out, err = await shell.run("balancer stats shop --csv")
    assert (status, out.split(",")[:3], err) == (0, ["split", "looked_at", "metric"], "")
    status, out, err = await shell.run("balancer stats shop --over-time")
    assert "The effect over time needs" in out
    status, out, err = await shell.run("balancer stats shop --by release")
    assert (status, err) == (0, "")
    assert out.startswith("shop: split s1, running, by release\nExploratory: ")
    assert (await shell.json("balancer stats shop --by release"))["releases"] == []
    status, out, err = await shell.run("balancer stats shop --by device")
    assert (status, err) == (3, "error: no metric decides s1 of shop; name the one to cut with --metric\n")
    for options, why in (
        ("--by device --over-time", "--over-time is for the whole report"),
        ("--by day --again", "--again is for the whole report"),
        ("--metric purchase", "--metric is for a cut such as --by device"),
        ("--by release --csv", "--csv is for the whole report and for counts"),
        (
            "--by device --event purchase",
            "--event is for counts of events, such as --by day; --by device cuts a report",
        ),
    ):
        status, out, err = await shell.run(f"balancer stats shop {options}")
        assert (status, err) == (2, f"error: {why}\n")


async def test_the_platform_tells_how_it_is(on: Served, shell: Shell) -> None:
    status, out, err = await shell.run("balancer status")
    assert (status, err) == (0, "")
    assert out.startswith(f"Balancer {__version__}, pid {os.getpid()}, site http://localhost:8080/\n")
    assert (await shell.json("balancer status"))["apps"] == 0
    on.platform.proxy.refuses = True
    status, out, _ = await shell.run("balancer status")
    assert status == 0
    assert "HAProxy does not answer; it is started again by itself" in out


ERRORS = [
    ("balancer apps remote none", 3, "app-not-found", "no app is called"),
    ("balancer apps create shop", 4, "app-exists", "choose another name"),
    ("balancer apps create -- -rf", 2, "invalid-name", "'-rf' is no name for an app"),
    ("balancer apps create ../x", 2, "invalid-name", "'../x' is no name for an app"),
    ("balancer releases ../x", 2, "invalid-name", "'../x' is no name for an app"),
    ("balancer ps Blog", 2, "invalid-name", "'Blog' is no name for an app"),
    ("balancer config set shop X", 2, "invalid-input", "'X' is no config var: write KEY=VALUE"),
    ("balancer config set shop A-B=1", 2, "invalid-name", "'A-B' is no name for a config var"),
    ("balancer split start shop master=50 test=49", 2, "invalid-weights", "the weights add up to 99 %, not to 100 %"),
    ("balancer split start shop master=1e999999 test=0", 2, "invalid-weights", "is no number"),
    ("balancer split start shop master=50 test=50", 3, "branch-not-found", "no live branch"),
    ("balancer split cancel shop", 3, "split-not-found", "no running split"),
    ("balancer split conclude shop --winner test", 3, "split-not-found", "no running split"),
    ("balancer split pause shop", 3, "split-not-found", "no running split"),
    ("balancer split show shop s9", 3, "split-not-found", "has had no split s9"),
    ("balancer split show shop 9", 2, "invalid-name", "'9' is no id of a split"),
    ("balancer split start shop master=50 test=50 --path shop", 2, "invalid-split", "must begin with /"),
    ("balancer split start shop master=50 test=50 --header beta", 2, "invalid-split", "write NAME=VALUE"),
    ("balancer split start shop master=50 test=50 --hold-out x", 2, "invalid-input", "write a percentage"),
    ("balancer split start shop master=50 test=50 --hold-out 95", 2, "invalid-split", "from 0 to 90 %"),
    ("balancer split promote shop", 3, "branch-not-found", "nothing of shop was ever live"),
    ("balancer preview shop", 3, "branch-not-found", "nothing of shop is live"),
    ("balancer rollback shop", 3, "branch-not-found", "nothing of shop was ever live"),
    ("balancer logs shop", 3, "branch-not-found", "no live instance"),
    ("balancer --token wrong apps list", 5, "unauthorized", "the token is missing or wrong"),
    ("balancer --url http://127.0.0.1:9 apps list", 9, "daemon-unreachable", "no daemon answers at http://127.0.0.1:9"),
    ("balancer --url http://127.0.0.1:9 logs shop", 9, "daemon-unreachable", "start one with `balancer serve`"),
    ("balancer serve --instance-ports 5", 2, "invalid-setting", "write FIRST-LAST"),
]


async def test_every_error_has_its_exit_code_and_says_what_next(on: Served, shell: Shell) -> None:
    await on.platform.create("shop")
    for line, code, name, message in ERRORS:
        status, out, err = await shell.run(line)
        assert (status, out) == (code, ""), f"{line}: {out}{err}"
        assert err.startswith("error: ")
        assert message in err, line
        if " -- " not in line and "serve" not in line:
            status, out, err = await shell.run(f"{line} --json")
            assert (status, err) == (code, ""), line
            assert json.loads(out)["error"] == name


@pytest.mark.parametrize("line", ["balancer apps remote", "balancer nonsense", "balancer apps list --nonsense"])
async def test_wrong_usage_exits_with_2(line: str, shell: Shell) -> None:
    status, out, err = await shell.run(line)
    assert (status, out) == (2, "")
    assert "Usage: " in err


async def test_the_token_of_this_machine_is_found_by_itself(
    on: Served, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BALANCER_TOKEN")
    assert (await shell.run("balancer apps list"))[0] == 5
    data = Path(os.environ["BALANCER_DATA_DIR"])
    data.mkdir()
    (data / "operator.token").write_text(f"{on.token}\n")
    assert (await shell.run("balancer apps list"))[0] == 0


async def test_the_audit_log_is_a_table_and_json(on: Served, shell: Shell) -> None:
    assert (await shell.run("balancer audit"))[1] == "Nothing was changed.\n"
    await shell.run("balancer apps create shop")
    _, out, _ = await shell.run("balancer audit shop --since 1h")
    assert out.splitlines()[1].split() == [
        "2026-03-01",
        "12:00:00",
        "token",
        "operator",
        "Created",
        "shop",
        "done",
    ]
    (entry,) = await shell.json("balancer audit shop")
    assert (entry["who"], entry["what"]) == ("token operator", "POST /api/apps")
    assert await shell.json("balancer audit blog") == []


async def test_a_webhook_is_told_from_adding_it_to_removing_it(on: Served, shell: Shell) -> None:
    assert (await shell.run("balancer notify list"))[1].startswith("Nobody is told")
    async with receiving() as receiver:
        _, out, _ = await shell.run(f"balancer notify add {receiver.url} --events deploy.live,disk.low")
        assert out.startswith(f"http://127.0.0.1:{receiver.port}/… is told from now on, as target 1")
        assert "not shown again: whsec_" in out
        assert await shell.run("balancer notify test 1") == (0, "The target 1 has taken it.\n", "")
        assert json.loads(receiver.calls[0].body)["type"] == "test"
        receiver.answers.append("HTTP/1.1 500 No\r\n")
        status, _, err = await shell.run("balancer notify test 1")
        assert (status, err) == (10, "error: the target 1 answered 500\n")
    (listed,) = await shell.json("balancer notify list")
    assert (listed["events"], listed["waiting"], listed["failure"]) == (["deploy.live", "disk.low"], 0, None)
    assert "s3cret" not in json.dumps(listed)
    assert "secret" not in listed
    await shell.run("balancer notify remove 1")
    assert await shell.json("balancer notify list") == []
    log = await shell.json("balancer audit")
    assert [entry["what"] for entry in log][-1] == "POST /api/targets"
    assert log[-1]["summary"] == "events deploy.live disk.low"


async def test_what_cannot_be_told_is_said(on: Served, shell: Shell) -> None:
    for line, said in (
        ("add nowhere", "this is no address to tell"),
        ("add https://ops.example/ --events deploys", "'deploys' is nothing to tell of; there are: deploy.live, "),
        ("add https://ops.example/ --app nope", "no app is called 'nope'"),
        ("add ops@example.com", "there is no mail server: set smtp_url"),
        ("add https://ops.example/ --kind email", "there is no mail server: set smtp_url"),
        ("test 7", "there is no target 7"),
        ("remove 7", "there is no target 7"),
    ):
        status, _, err = await shell.run(f"balancer notify {line}")
        assert status != 0
        assert said in err, line


async def test_a_freeze_is_added_listed_and_taken_back(on: Served, shell: Shell) -> None:
    await on.platform.create("shop")
    assert await shell.run("balancer freeze list") == (0, "Nothing is frozen.\n", "")
    _, out, _ = await shell.run("balancer freeze add shop --from 2126-12-20 --until 2127-01-02T12:00 --why Christmas")
    assert out == (
        "Freeze 1 of shop: 2126-12-20T00:00+01:00 to 2127-01-02T12:00+01:00 (Europe/Vienna)\n"
        "Take it back with: balancer freeze remove 1\n"
    )
    added = await shell.json("balancer freeze add --until 2126-12-20 --from 2126-12-20 --why Fair")
    assert (added["app"], added["in_force"], added["until"]) == (None, False, "2126-12-20T23:00:00Z")
    _, out, _ = await shell.run("balancer freeze list")
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["1", "shop"], ["2", "all"]]
    assert "to come" in out
    for wrong, complaint in (
        ("add shop --until soon --why Fair", "'soon' is no date"),
        ("add shop --until 2120-01-01 --from 2126-01-01 --why Fair", "ends after it has begun"),
    ):
        status, _, err = await shell.run(f"balancer freeze {wrong}")
        assert (status, complaint in err) == (2, True), err
    assert (await shell.run("balancer freeze remove 1"))[1] == "Freeze 1 is gone; what it held goes on by itself.\n"
    assert (await shell.run("balancer freeze remove 1"))[0] == 3


async def test_a_plan_of_a_rollout_is_shown_with_what_is_lacking(on: Served, shell: Shell) -> None:
    await shop_with(on, "master", "test")
    _, out, _ = await shell.run(
        "balancer rollout plan shop test --steps 10,50,100 --visitors-a-day 4000 --hours 00:00-24:00 --metric purchase"
        " --baseline 5%"
    )
    lines = out.splitlines()
    assert [line.split()[:4] for line in lines[1:4]] == [
        ["1", "10", "%", "400"],
        ["2", "50", "%", "2,000"],
        ["3", "100", "%", "4,000"],
    ]
    assert "It goes on by itself 00:00-24:00 alone (UTC)" in out
    assert "purchase: a gain of 0.005 beside 0.05, with 80% certainty takes" in out
    assert "Everybody gets test at 20" in out
    _, out, _ = await shell.run("balancer rollout plan shop test --visitors-a-day 4000 --steps 10,50")
    assert "In the end somebody has to promote it: balancer rollout promote shop" in out
    assert (await shell.run("balancer rollout plan shop"))[0] == 3


@pytest.mark.parametrize(
    "command",
    [
        ["freeze", "add", "", "--until", "2100-01-01", "--why", "x"],
        ["notify", "add", "https://ops.example/hook", "--app", ""],
        ["audit", ""],
        ["rollback", "shop", "--branch", ""],
        ["restart", "shop", "--branch", ""],
        ["restart", "shop", "--process", ""],
        ["cancel", "shop", ""],
        ["run", "shop", "--branch", "", "true"],
        ["deploy", "shop", "--from", "tests/cli", "--branch", ""],
        ["logs", "shop", "--branch", ""],
        ["rollout", "start", "shop", "test", "--metric", ""],
        ["rollout", "plan", "shop", ""],
        ["split", "start", "shop", "master=50", "test=50", "--metric", ""],
        ["split", "start", "shop", "master=50", "test=50", "--control", ""],
    ],
    ids=lambda command: " ".join(command[:2]),
)
async def test_an_empty_name_is_none_and_does_not_mean_all_of_them(
    on: Served, shell: Shell, command: list[str]
) -> None:
    await shop_with(on, "master", "test")  # a variable of a script that is not set must not freeze every app
    status, out, err = await shell.run_words(["balancer", *command])
    assert (status, out) == (2, ""), err
    assert err.startswith("error: '' is no name for ")
    assert await shell.json("balancer freeze list") == []
