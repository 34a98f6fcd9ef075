"""Targets: the secret is new each time, and a test is one call."""

from pathlib import Path

import pytest

from balancer.domain.notice import NoticeKind
from balancer.domain.target import Address, TargetKind
from balancer.errors import NotDelivered
from balancer.post.courier import Courier
from balancer.services.targets import Targets
from receivers import receiving
from registries import SHOP, open_world

pytestmark = pytest.mark.anyio


async def test_each_webhook_has_a_secret_of_its_own_and_nobody_else_has_one(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        targets = Targets(world.registry, Courier(None, "x@localhost", world.clock), world.clock)
        address = Address("https://ops.example/hook")
        one = await targets.add(address, None, (), None)
        two = await targets.add(address, None, (NoticeKind.CRASH_LOOP,), SHOP)
        slack = await targets.add(address, TargetKind.SLACK, (), None)
        assert one.secret
        assert two.secret
        assert one.secret != two.secret
        assert slack.secret is None
        assert [standing.target for standing in await targets.standings()] == [one, two, slack]


async def test_a_test_is_one_call_that_waits_behind_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, receiving() as receiver:
        targets = Targets(world.registry, Courier(None, "x@localhost", world.clock), world.clock)
        added = await targets.add(Address(receiver.url), None, (NoticeKind.DISK_LOW,), None)
        await targets.test(added.id)
        receiver.answers.append("HTTP/1.1 500 No\r\n")
        with pytest.raises(NotDelivered, match="answered 500"):
            await targets.test(added.id)
        assert len(receiver.calls) == 2
        assert (await targets.standings())[0].waiting == 0
