"""Deliveries: a real registry, and real receivers on the loopback; only the clock is moved."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from balancer import logs
from balancer.domain.notice import Notice, NoticeKind
from balancer.domain.target import Address, Delivery, Target, TargetKind
from balancer.errors import DiskFull
from balancer.post.courier import Courier
from balancer.services import deliveries as module
from balancer.services.deliveries import Deliveries
from balancer.services.targets import Targets
from receivers import Receiver, receiving
from registries import SHOP, World, open_world
from waiting import eventually

pytestmark = pytest.mark.anyio


def deliveries_of(world: World) -> Deliveries:
    """Return deliveries as a daemon that starts has them."""
    deliveries = Deliveries(world.registry, Courier(None, "x@localhost", world.clock))
    world.registry.on_told = deliveries.kept
    return deliveries


async def add(world: World, receiver: Receiver, *kinds: NoticeKind) -> Target:
    targets = Targets(world.registry, Courier(None, "x@localhost", world.clock), world.clock)
    return await targets.add(Address(receiver.url), TargetKind.WEBHOOK, kinds, None)


async def bring(deliveries: Deliveries) -> None:
    """Bring what is due now, and wait until that is done."""
    await deliveries.begin()
    await deliveries.quiet()


def live(text: str, **values: Any) -> Notice:
    return Notice(**{"kind": NoticeKind.DEPLOY_LIVE, "app": SHOP, "text": text, **values})


def texts(receiver: Receiver) -> list[str]:
    return [json.loads(call.body)["data"]["text"] for call in receiver.calls]


@asynccontextmanager
async def running(deliveries: Deliveries) -> AsyncIterator[None]:
    task = asyncio.ensure_future(deliveries.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_what_is_told_is_delivered_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 1000.0)  # no look is due so soon
    async with open_world(tmp_path) as world, receiving() as receiver:
        await add(world, receiver)
        deliveries = deliveries_of(world)
        async with running(deliveries):
            await deliveries.tell(live("one"))
            await deliveries.tell(live("two"))
            await eventually(lambda: texts(receiver) == ["one", "two"], 30)


async def test_a_failure_is_tried_again_later_and_later_with_the_same_id(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, receiving() as receiver:
        await add(world, receiver)
        receiver.answers += ["HTTP/1.1 500 No\r\n"] * 3
        deliveries = deliveries_of(world)
        await deliveries.tell(live("one"))
        for pause in (5, 10, 20):
            await bring(deliveries)
            seen = len(receiver.calls)
            world.clock.advance(pause - 1)
            await bring(deliveries)
            assert len(receiver.calls) == seen
            world.clock.advance(1)
        await bring(deliveries)
        await bring(deliveries)
        assert len(receiver.calls) == 4
        assert len({call.headers["webhook-id"] for call in receiver.calls}) == 1
        assert len({call.headers["webhook-timestamp"] for call in receiver.calls}) == 4
        (standing,) = await world.registry.targets()
        assert (standing.waiting, standing.failure, standing.delivered_at) == (0, None, world.clock.now)


async def test_what_fails_keeps_its_place(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, receiving() as receiver:
        await add(world, receiver)
        receiver.answers += ["HTTP/1.1 500 No\r\n"]
        deliveries = deliveries_of(world)
        for text in ("one", "two"):
            await deliveries.tell(live(text))
        await bring(deliveries)
        await bring(deliveries)
        assert texts(receiver) == ["one"]
        world.clock.advance(5)
        await bring(deliveries)
        await bring(deliveries)
        assert texts(receiver) == ["one", "one", "two"]


async def test_after_a_day_it_is_given_up_and_the_log_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_world(tmp_path) as world, receiving() as receiver:
        await add(world, receiver)
        receiver.answers += ["HTTP/1.1 500 No\r\n"] * 1000
        deliveries = deliveries_of(world)
        await deliveries.tell(live("one"))
        said = io.StringIO()
        logs.start(said)
        hours = 0
        while (await world.registry.targets())[0].waiting:
            await bring(deliveries)
            world.clock.advance(3600)
            hours += 1
            assert hours < 30
        (given_up,) = [line for line in map(json.loads, said.getvalue().splitlines()) if line["level"] == "ERROR"]
        assert (given_up["message"], given_up["text"], hours) == ("notice.given.up", "one", 25)
        assert "s3cret" not in said.getvalue()


async def test_a_target_that_says_that_it_is_gone_is_not_asked_again_and_one_is_told_to_remove_it(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path) as world, receiving() as receiver:
        added = await add(world, receiver)
        receiver.answers += ["HTTP/1.1 410 Gone\r\n"]
        deliveries = deliveries_of(world)
        await deliveries.tell(live("one"))
        said = io.StringIO()
        logs.start(said)
        await bring(deliveries)
        (standing,) = await world.registry.targets()
        assert standing.waiting == 0
        assert standing.failure is not None
        assert standing.failure.endswith(f"`balancer notify remove {added.id}`")
        (given_up,) = [line for line in map(json.loads, said.getvalue().splitlines()) if line["level"] == "ERROR"]
        assert (given_up["message"], given_up["text"]) == ("notice.given.up", "one")
        await deliveries.tell(live("two"))  # of what happens later it is told: it may have answered so by mistake
        await bring(deliveries)
        assert texts(receiver) == ["one", "two"]


async def test_a_daemon_that_was_killed_in_between_leaves_it_to_the_next(tmp_path: Path) -> None:
    async with receiving() as receiver:
        async with open_world(tmp_path) as world:
            await add(world, receiver)
            receiver.hangs = True
            deliveries = deliveries_of(world)
            async with running(deliveries):
                await deliveries.tell(live("one"))
                await eventually(lambda: receiver.calls, 30)
        receiver.hangs = False
        async with open_world(tmp_path) as world:
            await bring(deliveries_of(world))
            assert texts(receiver) == ["one", "one"]
            await bring(deliveries_of(world))
            assert len(receiver.calls) == 2


async def test_who_hangs_holds_up_nobody_else(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, receiving() as hanging, receiving() as well:
        hanging.hangs = True
        for receiver in (hanging, well):
            await add(world, receiver)
        deliveries = deliveries_of(world)
        async with running(deliveries):
            for text in ("one", "two", "three"):
                await deliveries.tell(live(text))
            await eventually(lambda: texts(well) == ["one", "two", "three"], 30)
            assert texts(hanging) == ["one"]


async def test_a_target_is_told_only_what_it_asked_for(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, receiving() as receiver:
        await add(world, receiver, NoticeKind.DISK_LOW)
        deliveries = deliveries_of(world)
        await deliveries.tell(live("one"))
        await deliveries.tell(Notice(kind=NoticeKind.DISK_LOW, app=None, text="two"))
        await bring(deliveries)
        assert texts(receiver) == ["two"]


async def test_telling_fails_nobody(tmp_path: Path) -> None:
    class Full:
        async def post(self, notice: Notice) -> None:
            raise DiskFull

        async def due(self) -> tuple[Delivery, ...]:
            return ()

        async def settle(self, delivery: Delivery, failure: str | None, *, gone: bool = False) -> None:
            return None

    await Deliveries(Full(), Courier(None, "x@localhost", lambda: None)).tell(live("one"))  # type: ignore[arg-type,return-value]


async def test_what_cannot_be_noted_is_not_sent_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it not for the pause, a full disk would make us call every moment."""
    monkeypatch.setattr(module, "_LOOK_SECONDS", 1000.0)
    async with open_world(tmp_path) as world, receiving() as receiver:
        await add(world, receiver)
        deliveries = deliveries_of(world)

        async def full(delivery: Delivery, failure: str | None, *, gone: bool = False) -> None:
            raise DiskFull

        monkeypatch.setattr(world.registry, "settle", full)
        async with running(deliveries):
            await deliveries.tell(live("one"))
            await eventually(lambda: receiver.calls, 30)
            await deliveries.tell(live("two"))
            await deliveries.begin()
            assert texts(receiver) == ["one"]
