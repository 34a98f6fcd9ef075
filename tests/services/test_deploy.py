"""Deploys: a commit of a branch becomes what its visitors see, or nothing has changed."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.app import Commit
from balancer.domain.notice import NoticeKind
from balancer.domain.release import ReleaseState
from balancer.domain.routing import Role
from balancer.errors import (
    BalancerError,
    BuildFailed,
    DomainTaken,
    InvalidManifest,
    NotHealthy,
    RefMoved,
    ReleaseNotFound,
)
from platforms import SERVE, InProcess, app_files, in_process, probe_quickly
from running import Repository
from values import BLOG, MASTER, SHOP, TEST
from waiting import eventually

pytestmark = pytest.mark.anyio
NOWHERE = Commit("c0ffee" + "0" * 34)


@pytest.fixture
async def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcess]:
    """A platform that asks its instances more often, so that these tests are quick."""
    probe_quickly(monkeypatch)
    async with in_process(tmp_path) as made:
        yield made


@pytest.fixture
async def shop(platform: InProcess) -> Repository:
    """A developer's repository of the shop."""
    return await platform.create()


class TestPush:
    """What a push brings goes live."""

    async def test_the_first_one_is_live_on_the_default_branch(self, platform: InProcess, shop: Repository) -> None:
        release = await platform.push(shop, app_files("one"))
        (instance,) = await platform.instances(release)
        assert release.state is ReleaseState.LIVE
        assert (release.subject, release.author) == ("A commit of master", "Test")
        assert (await platform.registry.app(SHOP)).default_branch == MASTER
        assert platform.routes() == {"master--shop": [(instance.server, Role.ACTIVE)]}
        assert await platform.page(release) == "one"

    async def test_whoever_pushes_is_told_the_story(self, platform: InProcess, shop: Repository) -> None:
        release = await platform.push(shop, app_files("one"))
        healthy = platform.told.pop(3)
        assert platform.told == [
            f"-----> Building shop master: {release.commit[:7]} “A commit of master”",
            f"       by Procfile: {SERVE}",
            "-----> Starting release 1: web",
            "-----> Live",
            "       http://shop.localhost:8080/",
            "       http://master--shop.localhost:8080/",
        ]
        assert re.fullmatch(r"       healthy after \d+\.\d s", healthy)

    async def test_another_branch_is_live_under_its_own_host_alone(self, platform: InProcess, shop: Repository) -> None:
        await platform.push(shop, app_files("one"))
        platform.told.clear()
        await platform.push(shop, app_files("two"), "test")
        assert platform.told[-2:] == ["-----> Live", "       http://test--shop.localhost:8080/"]
        assert sorted(platform.routes()) == ["master--shop", "test--shop"]
        assert (await platform.registry.app(SHOP)).default_branch == MASTER

    async def test_during_a_split_it_is_said_that_the_split_goes_on(
        self, platform: InProcess, shop: Repository
    ) -> None:
        await platform.push(shop, app_files("one"))
        await platform.push(shop, app_files("two"), "test")
        await platform.push(shop, app_files("other"), "other")
        split = await platform.registry.start_split(SHOP, {MASTER: 5000, TEST: 5000}, MASTER, 5000)
        release = await platform.push(shop, app_files("three"), "test")
        assert platform.told[-1] == (
            f"       split {split.id} of shop goes on: its visitors of test see release {release.number} from now on; "
            "`balancer stats shop --by release` shows each apart"
        )
        assert platform.workspace.build_log(release).read_text().endswith(platform.told[-1] + "\n")
        platform.told.clear()
        await platform.push(shop, app_files("another"), "other")
        assert "goes on" not in "".join(platform.told), "that branch has no part in it"
        await platform.registry.cancel_split(SHOP)
        await platform.push(shop, app_files("four"), "test")
        assert "goes on" not in "".join(platform.told)

    async def test_the_next_one_takes_the_place_of_the_one_before(self, platform: InProcess, shop: Repository) -> None:
        old = await platform.push(shop, app_files("one"))
        (one,) = await platform.instances(old)
        platform.proxy.in_flight = {one.server}
        new = await platform.push(shop, app_files("two"))
        assert await platform.states() == {1: "draining", 2: "live"}
        assert await platform.page(new) == "two"
        assert await platform.page(old) == "one"

    async def test_its_commands_have_the_config_of_the_moment_and_its_build_is_kept_in_a_log(
        self, platform: InProcess, shop: Repository
    ) -> None:
        await platform.registry.set_config(SHOP, {"GREETING": "hello"})
        files = app_files("one", Procfile=f"release: echo $GREETING\nweb: {SERVE}\n")
        release = await platform.push(shop, files)
        await platform.registry.set_config(SHOP, {"GREETING": "good bye"})
        assert "       hello" in platform.told
        assert await platform.registry.release_config(release.id) == {"GREETING": "hello"}
        assert platform.workspace.build_log(release).read_text().splitlines() == platform.told

    async def test_it_may_have_several_instances_each_on_a_port_of_its_own(
        self, platform: InProcess, shop: Repository
    ) -> None:
        release = await platform.push(shop, app_files("one", **{"balancer.toml": "instances = 3\n"}))
        instances = await platform.instances(release)
        assert [each.index for each in instances] == [1, 2, 3]
        assert len({each.port for each in instances}) == 3
        assert platform.supervisor.running() == {each.id for each in instances}
        assert "-----> Starting release 1: web × 3" in platform.told

    async def test_domains_of_the_default_branch_are_the_apps(self, platform: InProcess, shop: Repository) -> None:
        await platform.push(shop, app_files("one", **{"balancer.toml": 'domains = ["shop.example"]\n'}))
        assert platform.told[-3:] == [
            "       http://shop.localhost:8080/",
            "       http://shop.example:8080/",
            "       http://master--shop.localhost:8080/",
        ]
        assert platform.proxy.table.apps[0].hosts == ("shop.localhost", "shop.example")


FAILURES: dict[str, tuple[dict[str, str], type[BalancerError], str]] = {
    "no way to run it": ({"README": "hello"}, InvalidManifest, "nothing here says how to run the app"),
    "a release command that fails": (
        app_files("two", Procfile=f"release: exit 7\nweb: {SERVE}\n"),
        BuildFailed,
        "the release command failed with status 7",
    ),
    "an app that dies": (
        {"Procfile": "web: echo no such table; exit 3\n"},
        NotHealthy,
        r"the instance web\.1 exited with status 3 before it was healthy; the last lines of its log:\n *no such table",
    ),
    "one sound instance of two": (
        app_files("two", Procfile=f"web: mkdir 1 || exit 4; {SERVE}\n") | {"balancer.toml": "instances = 2\n"},
        NotHealthy,
        "exited with status 4",
    ),
    "one dead worker of two": (
        app_files("two", Procfile=f"web: {SERVE}\nworker: mkdir 1 || exit 4; exec sleep 600\n")
        | {"balancer.toml": "formation = { worker = 2 }\n"},
        NotHealthy,
        r"the instance worker\.\d exited with status 4",
    ),
    "a domain that is the platform's": (
        app_files("two", **{"balancer.toml": 'domains = ["blog.localhost"]\n'}),
        InvalidManifest,
        "the domain blog.localhost lies below localhost",
    ),
}


class TestFailure:
    """A push that cannot go live has changed nothing that a visitor sees."""

    @pytest.mark.parametrize("what", FAILURES)
    async def test_what_was_live_serves_on(self, what: str, platform: InProcess, shop: Repository) -> None:
        files, error, why = FAILURES[what]
        live = await platform.push(shop, app_files("one"))
        table = platform.proxy.table

        with pytest.raises(error, match=why):
            await platform.push(shop, files)

        assert platform.proxy.table == table
        assert await platform.page(live) == "one"
        assert await platform.states() == {1: "live", 2: "failed"}
        failed, _ = await platform.registry.releases(SHOP)
        assert failed.reason is not None
        assert not platform.workspace.has_tree(failed)
        assert platform.workspace.build_log(failed).parent.is_dir()
        await platform.reconciler.converge()
        await eventually(lambda: len(platform.supervisor.running()) == 1, 30)
        await platform.reconciler.converge()
        assert len(await platform.registry.leased_ports()) == 1

    async def test_it_can_be_pushed_again(self, platform: InProcess, shop: Repository) -> None:
        with pytest.raises(NotHealthy):
            await platform.push(shop, {"Procfile": "web: exit 1\n"})
        assert await platform.live() is None
        assert platform.routes() == {}
        assert (await platform.registry.app(SHOP)).default_branch is None
        release = await platform.push(shop, app_files("one"))
        assert await platform.page(release) == "one"

    async def test_a_domain_of_another_app_is_refused_at_the_last_moment(
        self, platform: InProcess, shop: Repository
    ) -> None:
        blog = await platform.create("blog")
        domains = {"balancer.toml": 'domains = ["shop.example"]\n'}
        await platform.push(blog, app_files("blog", **domains), app=BLOG)
        live = await platform.push(shop, app_files("one"))
        with pytest.raises(DomainTaken, match=r"shop\.example belongs to the app 'blog'"):
            await platform.push(shop, app_files("two", **domains))
        assert await platform.states() == {1: "live", 2: "failed"}
        assert await platform.page(live) == "one"
        assert (await platform.registry.app(SHOP)).domains == ()

    @pytest.mark.parametrize("stage", ["building", "starting"])
    async def test_a_push_that_is_broken_off_leaves_nothing_running(
        self, stage: str, platform: InProcess, shop: Repository
    ) -> None:
        live = await platform.push(shop, app_files("one"))
        slow = {"building": "release: sleep 100\nweb: x\n", "starting": "web: exec sleep 100\n"}[stage]
        pushing = asyncio.ensure_future(platform.push(shop, {"Procfile": slow}))
        told = {"building": "Running the release command", "starting": "Starting release 2"}[stage]
        await eventually(lambda: any(told in line for line in platform.told), 30)
        pushing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pushing

        failed, _ = await platform.registry.releases(SHOP)
        assert (failed.state, failed.reason) == (ReleaseState.FAILED, "broken off (CancelledError)")
        await platform.reconciler.converge()
        await eventually(lambda: len(platform.supervisor.running()) == 1, 30)
        assert await platform.page(live) == "one"

    async def test_a_commit_that_the_repository_lacks_opens_no_release(
        self, platform: InProcess, shop: Repository
    ) -> None:
        with pytest.raises(ReleaseNotFound, match="no commit c0ffee0"):
            await platform.deploys.push(SHOP, MASTER, NOWHERE, None, platform.told.append)
        assert await platform.states() == {}

    async def test_a_proxy_that_does_not_follow_is_told_and_the_push_is_live(
        self, platform: InProcess, shop: Repository
    ) -> None:
        platform.proxy.refuses = True
        release = await platform.push(shop, app_files("one"))
        assert release.state is ReleaseState.LIVE
        assert any("the proxy has not followed yet and is asked again" in line for line in platform.told)
        platform.proxy.refuses = False
        await platform.reconciler.converge()
        assert "master--shop" in platform.routes()


class TestTurns:
    """One deploy a branch at a time."""

    async def test_a_push_of_what_has_moved_meanwhile_is_refused(self, platform: InProcess, shop: Repository) -> None:
        first = await platform.push(shop, app_files("one"))
        await platform.push(shop, app_files("two"))
        stale = platform.commit(shop, app_files("three"))
        for before in (None, first.commit, NOWHERE):
            with pytest.raises(RefMoved, match="master moved while this push waited: fetch, merge and push again"):
                await platform.deploys.push(SHOP, MASTER, stale, before, platform.told.append)
        assert len(await platform.states()) == 2

    async def test_the_second_push_waits_is_told_so_and_is_refused_when_the_first_went_live(
        self, platform: InProcess, shop: Repository
    ) -> None:
        one = platform.commit(shop, app_files("one"))
        two = platform.commit(shop, app_files("two"))
        said: tuple[list[str], list[str]] = ([], [])
        first = asyncio.ensure_future(platform.deploys.push(SHOP, MASTER, one, None, said[0].append))
        await eventually(lambda: said[0], 30)
        second = asyncio.ensure_future(platform.deploys.push(SHOP, MASTER, two, None, said[1].append))
        await eventually(lambda: said[1], 30)
        assert said[1] == ["-----> Another deploy of shop master is under way; waiting for its turn"]
        assert (await first).commit == one
        with pytest.raises(RefMoved):
            await second
        assert await platform.live_commit() == one

    async def test_the_second_push_goes_on_when_the_first_has_failed(
        self, platform: InProcess, shop: Repository
    ) -> None:
        bad = platform.commit(shop, {"Procfile": "release: sleep 0.2; exit 1\nweb: x\n"})
        good = platform.commit(shop, app_files("good"))
        pushes = [
            asyncio.ensure_future(platform.deploys.push(SHOP, MASTER, commit, None, platform.told.append))
            for commit in (bad, good)
        ]
        failed, release = await asyncio.gather(*pushes, return_exceptions=True)
        assert isinstance(failed, BuildFailed)
        assert not isinstance(release, BaseException)
        assert await platform.page(release) == "good"

    async def test_whoever_gives_up_waiting_leaves_the_others_their_turn(
        self, platform: InProcess, shop: Repository
    ) -> None:
        slow = platform.commit(shop, app_files("one", Procfile=f"release: sleep 0.3\nweb: {SERVE}\n"))
        first = asyncio.ensure_future(platform.deploys.push(SHOP, MASTER, slow, None, platform.told.append))
        await eventually(lambda: platform.told, 30)
        impatient = asyncio.ensure_future(platform.deploys.push(SHOP, MASTER, slow, None, platform.told.append))
        await eventually(lambda: any("waiting for its turn" in line for line in platform.told), 30)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        assert (await first).state is ReleaseState.LIVE
        await platform.push(shop, app_files("two"))

    async def test_two_branches_do_not_wait_for_each_other(self, platform: InProcess, shop: Repository) -> None:
        one, two = platform.commit(shop, app_files("one")), platform.commit(shop, app_files("two"), "test")
        master, test = await asyncio.gather(
            platform.deploys.push(SHOP, MASTER, one, None, platform.told.append),
            platform.deploys.push(SHOP, TEST, two, None, platform.told.append),
        )
        assert (await platform.page(master), await platform.page(test)) == ("one", "two")
        assert not any("waiting" in line for line in platform.told)


class TestSettle:
    """Refs point at what is live."""

    async def test_a_ref_that_points_elsewhere_is_mended(self, platform: InProcess, shop: Repository) -> None:
        one = await platform.push(shop, app_files("one"))
        stray = platform.commit(shop, app_files("two"))
        await platform.repositories.move_ref(SHOP, MASTER, stray)
        await platform.refs.settle(SHOP)
        assert await platform.repositories.ref(SHOP, MASTER) == one.commit

    async def test_a_ref_that_git_has_not_moved_is_moved(self, platform: InProcess, shop: Repository) -> None:
        commit = platform.commit(shop, app_files("one"))
        await platform.deploys.push(SHOP, MASTER, commit, None, platform.told.append)
        await platform.refs.settle(SHOP, [MASTER, TEST])
        assert await platform.repositories.ref(SHOP, MASTER) == commit
        assert await platform.repositories.ref(SHOP, TEST) is None

    async def test_a_clone_checks_out_the_default_branch(self, platform: InProcess, shop: Repository) -> None:
        await platform.push(shop, app_files("one"), "test")
        await platform.refs.settle(SHOP)
        head = platform.repositories.path(SHOP) / "HEAD"
        assert head.read_text() == "ref: refs/heads/test\n"

    async def test_an_app_without_releases_has_nothing_to_settle(self, platform: InProcess, shop: Repository) -> None:
        await platform.refs.settle(SHOP)


class TestTelling:
    """What others are told of deploys."""

    async def test_that_it_is_live(self, platform: InProcess, shop: Repository) -> None:
        release = await platform.push(shop, app_files("one"))
        (notice,) = platform.teller.told
        assert (notice.kind, notice.app) == (NoticeKind.DEPLOY_LIVE, SHOP)
        assert notice.text == f"shop master: release 1 is live ({release.commit[:7]}: A commit of master)"
        assert (notice.facts["branch"], notice.facts["commit"]) == ("master", release.commit)

    async def test_that_it_is_not_and_why(self, platform: InProcess, shop: Repository) -> None:
        with pytest.raises(BuildFailed):
            await platform.push(shop, {"Procfile": "release: exit 3\nweb: x\n"})
        (notice,) = platform.teller.told
        assert notice.kind is NoticeKind.DEPLOY_FAILED
        assert notice.text.startswith("shop master: release 1 did not go live: ")
        assert "status 3" in str(notice.facts["reason"])
