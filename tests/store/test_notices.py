"""Targets and notices in the registry."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from balancer.domain.app import AppName
from balancer.domain.notice import Notice, NoticeKind
from balancer.domain.target import WAITING_LIMIT, Address, Target, TargetKind
from balancer.errors import AppNotFound, DiskFull, IllegalTransition, NotFound
from balancer.store import config_vars, tables
from balancer.store import notices as module
from registries import BLOG, SHOP, World, open_world

pytestmark = pytest.mark.anyio
HOOK = Address("https://ops.example/s3cret")


async def add(world: World, *kinds: NoticeKind, app: AppName | None = None) -> Target:
    return await world.registry.add_target(TargetKind.WEBHOOK, HOOK, secret="whsec_s3cret", kinds=kinds, app=app)


def live(text: str, key: str | None = None, app: AppName = SHOP) -> Notice:
    return Notice(kind=NoticeKind.DEPLOY_LIVE, app=app, text=text, facts={"release": 7}, key=key)


def rows(world: World) -> int:
    with world.engine.begin() as connection:
        return connection.scalar(select(func.count()).select_from(tables.notices)) or 0


async def test_a_target_comes_back_as_it_was_and_its_secrets_are_encrypted(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        added = await add(world, NoticeKind.DISK_LOW, NoticeKind.CRASH_LOOP, app=SHOP)
    async with open_world(tmp_path) as world:
        assert await world.registry.target(added.id) == added
        (standing,) = await world.registry.targets()
        assert (standing.target, standing.waiting, standing.delivered_at, standing.failure) == (added, 0, None, None)
    assert all(b"s3cret" not in file.read_bytes() for file in tmp_path.iterdir())


async def test_who_is_not_there_is_named(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        with pytest.raises(AppNotFound):
            await add(world, app=BLOG)
        for ask in (world.registry.target, world.registry.remove_target):
            with pytest.raises(NotFound, match="there is no target 1;"):
                await ask(1)


async def test_only_the_oldest_of_each_target_is_due(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        first, second = await add(world), await add(world)
        for text in ("one", "two"):
            await world.registry.post(live(text))
        due = await world.registry.due()
        assert [(each.target, each.kept.notice.text, each.attempts) for each in due] == [
            (first, "one", 0),
            (second, "one", 0),
        ]
        assert due[0].kept.id == due[1].kept.id
        await world.registry.settle(due[0], None)
        due = await world.registry.due()
        assert {each.target.id: each.kept.notice for each in due} == {first.id: live("two"), second.id: live("one")}


async def test_what_everyone_has_leaves_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await add(world)
        await world.registry.post(live("one"))
        (delivery,) = await world.registry.due()
        await world.registry.settle(delivery, None)
        await world.registry.post(Notice(kind=NoticeKind.DISK_LOW, app=None, text="low"))
        await world.registry.remove_target(delivery.target.id)
        assert rows(world) == 0


async def test_what_nobody_wants_is_not_kept(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await add(world, NoticeKind.DISK_LOW)
        await world.registry.post(live("one"))
        assert rows(world) == 0


async def test_what_has_a_key_is_told_once_for_a_year(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.registry.post(live("one", key="k"))  # nobody is there yet to be told
        await add(world)
        world.clock.advance(timedelta(days=365).total_seconds())
        await world.registry.post(live("two", key="k"))
        assert await world.registry.due() == ()
        world.clock.advance(1)
        await world.registry.post(live("three", key="k"))
        assert [each.kept.notice.text for each in await world.registry.due()] == ["three"]


async def test_a_target_that_is_away_for_long_keeps_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert WAITING_LIMIT == 1000
    monkeypatch.setattr(module, "WAITING_LIMIT", 3)
    async with open_world(tmp_path) as world:
        await add(world)
        gave_way: list[int] = []
        world.registry.on_told = lambda _notice, dropped: gave_way.append(dropped)
        for number in range(5):
            await world.registry.post(live(str(number)))
        assert gave_way == [0, 0, 0, 1, 1]
        assert [each.kept.notice.text for each in await world.registry.due()] == ["2"]
        assert (await world.registry.targets())[0].waiting == 3


async def test_a_target_of_one_app_goes_with_it_and_what_waits_for_others_stays(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await add(world, app=SHOP)
        other = await add(world)
        await world.registry.post(live("one"))
        await world.registry.remove_app(SHOP)
        assert [(each.target, each.kept.notice.app) for each in await world.registry.due()] == [(other, SHOP)]


async def test_a_removed_target_s_number_is_not_given_out_again(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        first = await add(world)
        await world.registry.remove_target(first.id)
        assert (await add(world)).id > first.id


async def test_a_change_and_what_is_told_of_it_are_there_together_or_neither_is(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await add(world)
        heard: list[str] = []
        world.registry.on_told = lambda notice, _dropped: heard.append(notice.kind.value)
        release = await world.push()
        with pytest.raises(IllegalTransition):
            await world.registry.activate(release.id)
        with world.engine.begin() as connection:
            kept = connection.execute(select(tables.notices.c.kind, tables.notices.c.text)).all()
        assert [(row.kind, row.text[:28]) for row in kept] == [("deploy.live", "shop master: release 1 is li")]
        assert heard == ["deploy.live"]


async def test_of_a_change_that_is_not_made_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(tmp_path) as world:
        await add(world)
        heard: list[str] = []
        world.registry.on_told = lambda notice, _dropped: heard.append(notice.kind.value)
        release = await world.start()

        def full(*_: object) -> None:
            raise OperationalError("", {}, Exception("database or disk is full"))

        monkeypatch.setattr(config_vars, "replace", full)  # the last thing of it, after all is told
        with pytest.raises(DiskFull):
            await world.registry.activate(release.id, with_config=True)
        assert await world.state_of(release) == "starting"
        assert await world.registry.due() == ()
        assert heard == []


async def test_a_fact_that_is_no_json_does_not_break_what_it_is_told_of(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await add(world)
        await world.registry.post(Notice(kind=NoticeKind.TEST, app=None, text="odd", facts={"path": tmp_path}))
        (waiting,) = await world.registry.due()
        assert waiting.kept.notice.facts == {"path": str(tmp_path)}
