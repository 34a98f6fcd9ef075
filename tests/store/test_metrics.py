"""Metrics in the registry."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.app import AppName
from balancer.domain.declaration import METRICS_LIMIT, declared
from balancer.domain.metric import Metric, MetricName
from balancer.errors import AppNotFound, InvalidMetric, NotFound
from registries import BLOG, SHOP, World, open_world

pytestmark = pytest.mark.anyio
NOWHERE = AppName("none")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


def metric(name: str, event: str = "purchase") -> Metric:
    return declared(name, {"kind": "sum", "event": event, "cap": 500.5, "sources": ["header", "beacon"]})


async def test_a_metric_comes_back_as_it_was_and_is_its_app_s_alone(world: World) -> None:
    await world.registry.create_app(BLOG, None)
    await world.registry.set_metric(SHOP, metric("revenue"))
    await world.registry.set_metric(SHOP, metric("more"))
    assert await world.registry.metrics(SHOP) == (metric("more"), metric("revenue"))
    assert await world.registry.metrics(BLOG) == ()


async def test_one_of_the_same_name_takes_its_place(world: World) -> None:
    await world.registry.set_metric(SHOP, metric("revenue"))
    await world.registry.set_metric(SHOP, metric("revenue", "order"))
    assert await world.registry.metrics(SHOP) == (metric("revenue", "order"),)


async def test_what_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="shop has no metric revenue that was set by command"):
        await world.registry.remove_metric(SHOP, MetricName("revenue"))
    with pytest.raises(AppNotFound):
        await world.registry.metrics(NOWHERE)
    with pytest.raises(AppNotFound):
        await world.registry.set_metric(NOWHERE, metric("revenue"))
    await world.registry.set_metric(SHOP, metric("revenue"))
    await world.registry.remove_metric(SHOP, MetricName("revenue"))
    assert await world.registry.metrics(SHOP) == ()


async def test_one_too_many_is_refused_and_one_in_the_place_of_another_is_not(world: World) -> None:
    for number in range(METRICS_LIMIT):
        await world.registry.set_metric(SHOP, metric(f"m{number}"))
    await world.registry.set_metric(SHOP, metric("m0", "order"))
    with pytest.raises(InvalidMetric, match="there are 51 metrics"):
        await world.registry.set_metric(SHOP, metric("another"))
    assert len(await world.registry.metrics(SHOP)) == METRICS_LIMIT


async def test_they_go_with_their_app(world: World) -> None:
    await world.registry.set_metric(SHOP, metric("revenue"))
    await world.registry.remove_app(SHOP)
    await world.registry.create_app(SHOP, None)
    assert await world.registry.metrics(SHOP) == ()
