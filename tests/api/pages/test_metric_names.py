"""What is offered where a metric is typed: what is declared first, and what was seen, if the ledger says so in time."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from balancer.api.pages import metric_names as module
from balancer.api.pages.metric_names import metric_names
from balancer.api.platform import Platform
from balancer.domain.metric import Kind, Metric, MetricName
from balancer.errors import LedgerUnavailable
from balancer.stats.cells import EventNames, NamedEvents
from values import SHOP

pytestmark = pytest.mark.anyio
BOUGHT = Metric(name=MetricName("bought"), kind=Kind.CONVERTED, events=("purchase",))


def platform(seen: object) -> Platform:
    """Return a platform with a metric, whose ledger answers with a value, fails with an error, or never does."""

    async def declared(_: object) -> tuple[Metric, ...]:
        return (BOUGHT,)

    async def names(_: object) -> object:
        if isinstance(seen, Exception):
            raise seen
        return seen if seen is not None else await asyncio.Event().wait()

    made = SimpleNamespace(metrics=SimpleNamespace(declared=declared), ledger=SimpleNamespace(names=names))
    return cast("Platform", made)


async def test_what_is_declared_comes_first_and_each_name_once() -> None:
    seen = EventNames(names=tuple(NamedEvents(event=each, events=1, valued=0) for each in ("cart", "bought")))
    assert await metric_names(platform(seen), SHOP) == ("bought", "cart")


async def test_a_page_waits_for_no_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.05)
    assert await metric_names(platform(None), SHOP) == ("bought",)
    assert await metric_names(platform(LedgerUnavailable("it died")), SHOP) == ("bought",)
