"""A shop on which a rollout of `test` can begin, for the tests of what surrounds rollouts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from platforms import in_process
from services.test_rollouts import Shop
from values import MASTER, SHOP, TEST


class RolloutShop(Shop):
    """The shop of the rollouts."""

    async def last_rule(self) -> str:
        """Return the rule of the decision that was kept last."""
        return (await self.rules())[-1]


@asynccontextmanager
async def rollout_shop(directory: Path) -> AsyncIterator[RolloutShop]:
    """Give a shop with master, the default branch, and test live."""
    async with in_process(directory) as platform:
        shop = RolloutShop(platform, directory)
        await platform.registry.create_app(SHOP, MASTER)
        await platform.repositories.create(SHOP)
        for branch in (MASTER, TEST):
            await shop.make_live(branch)
        try:
            yield shop
        finally:
            shop.engine.close()
