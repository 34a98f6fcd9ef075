"""Metrics of an app: whose word counts, and from when on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.app import BranchName, Commit
from balancer.domain.declaration import METRICS_LIMIT, declared
from balancer.domain.manifest import WEB, Manifest, Source
from balancer.domain.metric import Metric, MetricName
from balancer.errors import InvalidMetric, NotFound
from balancer.services.metrics import Origin
from platforms import InProcess, in_process
from values import MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio
EVEN = {MASTER: 5000, TEST: 5000}
REVENUE = MetricName("revenue")


def metric(event: str, name: str = "revenue") -> Metric:
    return declared(name, {"kind": "sum", "event": event})


async def make_live(platform: InProcess, branch: BranchName, *metrics: Metric) -> None:
    commit = Commit("c0ffee" + "0" * 34)
    manifest = Manifest(source=Source.MANIFEST, processes={WEB: "serve"}, metrics=metrics)
    release = await platform.registry.open_release(SHOP, branch, commit, subject="Sell", author="Ada")
    await platform.registry.start_release(release.id, manifest)
    await platform.registry.activate(release.id)


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[InProcess]:
    """A shop whose default branch declares revenue and visits; test declares something else."""
    async with in_process(tmp_path) as made:
        await made.registry.create_app(SHOP, MASTER)
        await make_live(made, MASTER, metric("purchase"), metric("visit", "visits"))
        await make_live(made, TEST, metric("other", "other"))
        yield made


async def standings(platform: InProcess) -> dict[str, tuple[Origin, str]]:
    found = await platform.metrics.every(SHOP)
    return {str(each.metric.name): (each.origin, each.metric.events[0]) for each in found}


async def test_the_manifest_of_the_default_branch_declares_and_a_command_wins(platform: InProcess) -> None:
    assert await standings(platform) == {
        "revenue": (Origin.MANIFEST, "purchase"),
        "visits": (Origin.MANIFEST, "visit"),
    }
    await platform.metrics.set(SHOP, metric("order"))
    await platform.metrics.set(SHOP, metric("signup", "signups"))
    assert await standings(platform) == {
        "revenue": (Origin.COMMAND, "order"),
        "signups": (Origin.COMMAND, "signup"),
        "visits": (Origin.MANIFEST, "visit"),
    }
    await make_live(platform, MASTER, metric("pushed"))
    assert (await platform.metrics.one(SHOP, REVENUE)).metric == metric("order"), "whenever either was said"
    await platform.metrics.remove(SHOP, REVENUE)
    assert (await platform.metrics.one(SHOP, REVENUE)).metric == metric("pushed")


async def test_what_is_not_declared_is_not_found(platform: InProcess) -> None:
    with pytest.raises(NotFound, match=r"shop has no metric other: declare it in balancer\.toml"):
        await platform.metrics.one(SHOP, MetricName("other"))
    with pytest.raises(NotFound, match="shop has no metric revenue that was set by command"):
        await platform.metrics.remove(SHOP, REVENUE)


async def test_a_split_keeps_the_metrics_that_it_was_begun_with(platform: InProcess) -> None:
    split = await platform.experiments.start(SHOP, EVEN, None)
    assert split.brief.metrics == (metric("purchase"), metric("visit", "visits"))
    found = await platform.metrics.set(SHOP, metric("order"))
    assert (found.metric, found.counted) == (metric("order"), metric("purchase"))
    assert found.split is not None
    added = await platform.metrics.set(SHOP, metric("signup", "signups"))
    assert added.counted is None
    await make_live(platform, MASTER)
    assert (await standings(platform))["visits"] == (Origin.SPLIT, "visit"), "nobody declares it any more"
    assert (await platform.registry.split(SHOP)).brief.metrics == split.brief.metrics
    assert (await platform.experiments.reshuffle(SHOP)).brief.metrics == split.brief.metrics, "it is the same split"
    await platform.experiments.cancel(SHOP)
    assert "visits" not in await standings(platform)
    assert (await platform.experiments.start(SHOP, EVEN, None)).brief.metrics == (
        metric("order"),
        metric("signup", "signups"),
    )


async def test_manifest_and_commands_together_declare_no_more_than_there_can_be(platform: InProcess) -> None:
    for number in range(METRICS_LIMIT - 1):
        await platform.metrics.set(SHOP, metric("a", f"m{number}"))
    with pytest.raises(InvalidMetric, match="there are 51 metrics"):
        await platform.experiments.start(SHOP, EVEN, None)
