"""What may decide a split: what was declared, or was seen; a typing error is said, with what was meant."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from balancer.domain.declaration import declared
from balancer.domain.metric import MetricName
from balancer.domain.split import Brief
from balancer.errors import LedgerUnavailable, MetricNotFound
from balancer.services.known_metrics import KnownMetrics
from balancer.stats.cells import EventNames, NamedEvents
from platforms import InProcess, in_process
from services.test_metrics import make_live, metric
from values import MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio


class Ledger:
    """A ledger that has seen events of these names, or does not answer."""

    def __init__(self, *names: str) -> None:
        self.seen = list(names)
        self.away = False

    async def names(self, app: str) -> EventNames:
        """Return what it has seen."""
        assert app == SHOP
        if self.away:
            raise LedgerUnavailable("away")
        return EventNames(names=tuple(NamedEvents(event=name, events=3, valued=0) for name in self.seen))


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[InProcess]:
    """A shop that declares revenue, of the event purchase."""
    async with in_process(tmp_path) as made:
        await made.registry.create_app(SHOP, MASTER)
        await make_live(made, MASTER, metric("purchase"))
        await make_live(made, TEST)
        yield made


@pytest.mark.parametrize("name", [None, "revenue", "purchase", "sign_up"])
async def test_what_is_declared_or_announced_or_was_seen_can_decide(platform: InProcess, name: str | None) -> None:
    known = KnownMetrics(platform.metrics, Ledger("sign_up"))
    deciding = MetricName(name) if name else None
    assert [each.name for each in await known.declared(SHOP, deciding)] == ["revenue"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("purchas", " (did you mean purchase?)"),
        ("signup", " (did you mean sign_up?)"),
        ("revenu", " (did you mean revenue?)"),
        ("zzz", ""),
    ],
)
async def test_what_was_never_heard_of_is_refused_with_what_was_meant(
    platform: InProcess, name: str, near: str
) -> None:
    known = KnownMetrics(platform.metrics, Ledger("sign_up"))
    with pytest.raises(MetricNotFound) as refused:
        await known.declared(SHOP, MetricName(name))
    assert str(refused.value) == (
        f"shop has no metric {name}, and no event of that name was ever seen{near}: if it is yet to come, declare it "
        f"(in balancer.toml, or with `balancer metrics set shop {name} --kind converted --event EVENT`), and try again"
    )
    await platform.metrics.set(SHOP, declared(name, {"kind": "converted", "event": name}))
    assert name in [each.name for each in await known.declared(SHOP, MetricName(name))]


async def test_where_the_ledger_does_not_answer_nothing_is_refused(platform: InProcess) -> None:
    ledger = Ledger()
    ledger.away = True
    known = KnownMetrics(platform.metrics, ledger)
    assert len(await known.declared(SHOP, MetricName("purchas"))) == 1
    assert await known.unseen_guardrails(SHOP) == ()


async def test_a_split_begins_by_no_metric_that_was_never_heard_of(
    platform: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform.known_metrics, "_ledger", Ledger())
    brief = Brief(metric=MetricName("purchas"))
    with pytest.raises(MetricNotFound):
        await platform.experiments.start(SHOP, {MASTER: 5000, TEST: 5000}, None, brief)
    assert (await platform.registry.snapshot()).splits == ()
    await platform.experiments.start(
        SHOP, {MASTER: 5000, TEST: 5000}, None, replace(brief, metric=MetricName("revenue"))
    )
