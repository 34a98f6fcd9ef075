"""Plans of splits: from what is said, else from the visitors of the last split, never from a guess."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.domain.declaration import declared
from balancer.domain.metric import MetricName
from balancer.errors import AppNotFound, InvalidInput, NotFound
from balancer.services.expectation import Expectations
from balancer.services.metrics import Metrics
from balancer.services.planning import Planning, SplitPlan, Wish
from balancer.stats.cells import ExposedCell, MeasureCell, MeasureCells, SplitCells, SplitQuestion
from balancer.stats.comoments import CoMoments
from balancer.stats.power import Baseline, Plan
from registries import BLOG, SHOP, World, open_world

pytestmark = pytest.mark.anyio
TENTH = Wish(effect=0.1, relative=True, metric=MetricName("purchase"))
KNOWN = replace(TENTH, baseline=0.05, visitors_a_day=800.0)


class Answering:
    """A ledger that gives what a test has put there, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer = SplitCells()
        self.asked: list[SplitQuestion] = []

    async def cells(self, question: SplitQuestion) -> SplitCells:
        self.asked.append(question)
        return self.answer if question.measures else replace(self.answer, measures=())


class Desk:
    """A world with somebody who plans in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ledger = Answering()
        self.metrics = Metrics(world.registry)
        expectations = Expectations(world.registry, self.ledger, world.clock)
        self.planning = Planning(world.registry, self.metrics, expectations)

    async def plan(self, wish: Wish) -> SplitPlan:
        return await self.planning.plan(SHOP, wish)

    def saw(self, ys: list[float], xs: list[float] | None = None, *, mature: bool = True) -> None:
        """Let the control have these numbers of its visitors, and test as many visitors."""
        moments = CoMoments.of(ys, xs or [0.0] * len(ys))
        cells = [
            MeasureCell(
                phase=1,
                variant=variant,
                day=20_000,
                mature=mature,
                events=0,
                conversions=sum(y != 0 for y in ys),
                moments=moments,
            )
            for variant in ("master", "test")
        ]
        cells[1] = replace(cells[1], moments=CoMoments.of([999.0, 0.0] * 50, [0.0] * 100))  # not the control's
        self.ledger.answer = SplitCells(
            exposed=tuple(ExposedCell(phase=1, variant=each.variant, day=20_000, visitors=len(ys)) for each in cells),
            measures=(MeasureCells(name="purchase", cells=tuple(cells)),),
        )


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_world(tmp_path) as world:
        yield Desk(world)


async def test_what_is_said_is_planned_with_and_the_ledger_is_not_asked(desk: Desk) -> None:
    found = await desk.plan(KNOWN)
    plan = Plan(baseline=Baseline.of_rate(0.05))
    valid, fixed = plan.always_valid(0.005, expected_visitors=11_200), plan.fixed(0.005)
    assert found.always_valid.visitors == valid.visitors
    assert (found.fixed.visitors, found.fixed.total) == (fixed.visitors, fixed.total)
    assert (found.always_valid.days, found.fixed.days) == (valid.days(800), fixed.days(800))
    assert found.fixed.shows == plan.smallest_fixed(14 * 800)
    assert found.always_valid.shows == plan.smallest_always_valid(14 * 800, expected_visitors=11_200)
    assert (found.baseline_from, found.visitors_from) == (None, None)
    assert desk.ledger.asked == []


async def test_evan_millers_form_gives_1030_an_arm_for_20_percent_and_5_points(desk: Desk) -> None:
    wish = Wish(effect=0.05, relative=False, baseline=0.2, visitors_a_day=800.0)
    assert (await desk.plan(wish)).fixed.visitors == (1030, 1030)


async def test_weights_share_the_visitors_out(desk: Desk) -> None:
    found = await desk.plan(replace(KNOWN, weights=(90, 5, 5)))
    control, *others = found.always_valid.visitors
    assert len(set(others)) == 1
    assert control == pytest.approx(18 * others[0], rel=0.001)


async def test_without_a_number_of_visitors_there_are_no_days(desk: Desk) -> None:
    found = await desk.plan(replace(KNOWN, visitors_a_day=None))
    assert (found.visitors_a_day, found.fixed.days, found.fixed.shows) == (None, None, None)
    assert found.fixed.total > 0


async def test_what_is_not_said_is_what_the_control_of_the_last_split_gave(desk: Desk) -> None:
    await desk.world.split_evenly()
    desk.world.clock.advance(2 * 86_400)
    desk.saw([1.0] * 50 + [0.0] * 950)
    found = await desk.plan(TENTH)
    assert found.baseline == pytest.approx(0.05)
    assert (found.is_rate, found.baseline_from) == (True, "s1")
    assert (found.visitors_a_day, found.visitors_from) == (1000.0, "s1"), "2,000 visitors in two days"
    (asked,) = desk.ledger.asked
    assert (asked.split, asked.variants, [measure.name for measure in asked.measures]) == (
        "s1",
        ("master", "test"),
        ["purchase"],
    )


async def test_a_metric_that_is_declared_is_planned_by_its_own_spread(desk: Desk) -> None:
    await desk.world.split_evenly()
    desk.world.clock.advance(86_400)
    await desk.metrics.set(SHOP, declared("revenue", {"kind": "sum", "event": "purchase"}))
    desk.saw([100.0] * 50 + [0.0] * 950)
    found = await desk.plan(replace(TENTH, metric=MetricName("revenue")))
    assert found.baseline == pytest.approx(5.0)
    assert not found.is_rate
    assert found.sd == pytest.approx(21.805, rel=1e-4)


async def test_a_ratio_is_planned_by_the_spread_of_the_ratio(desk: Desk) -> None:
    await desk.world.split_evenly()
    desk.world.clock.advance(86_400)
    ratio = {"kind": "ratio", "numerator": "purchase", "denominator": "visit", "counts": True}
    await desk.metrics.set(SHOP, declared("per_visit", ratio))
    desk.saw([2.0, 4.0, 6.0] * 100, [1.0, 2.0, 3.0] * 100)
    with pytest.raises(NotFound, match="all gave 2 for per_visit"):
        await desk.plan(replace(TENTH, metric=MetricName("per_visit")))
    desk.saw([2.0, 5.0, 5.0] * 100, [1.0, 2.0, 3.0] * 100)
    found = await desk.plan(replace(TENTH, metric=MetricName("per_visit")))
    assert found.baseline == pytest.approx(2.0)
    assert not found.is_rate


async def test_what_was_done_before_narrows_what_is_needed(desk: Desk) -> None:
    await desk.world.split_evenly()
    desk.world.clock.advance(86_400)
    ys, xs = [0.0, 10.0, 20.0, 30.0] * 100, [0.0, 9.0, 22.0, 29.0] * 100
    needed = []
    for cuped in (False, True):
        await desk.metrics.set(SHOP, declared("revenue", {"kind": "sum", "event": "purchase", "cuped": cuped}))
        desk.saw(ys, xs)
        found = await desk.plan(replace(TENTH, metric=MetricName("revenue")))
        assert found.baseline == pytest.approx(15.0)
        needed.append(found.fixed.total)
    assert needed[1] < needed[0] / 20


async def test_where_nobody_knows_the_number_it_has_to_be_given(desk: Desk) -> None:
    with pytest.raises(NotFound, match="shop has had no split yet that tells what purchase is: give it, --baseline 5%"):
        await desk.plan(TENTH)
    await desk.world.split_evenly()
    desk.saw([1.0] * 50 + [0.0] * 49)
    with pytest.raises(NotFound, match="s1 of shop has 99 visitors of master whose time for purchase is over, and 100"):
        await desk.plan(TENTH)
    desk.saw([1.0] * 50 + [0.0] * 950, mature=False)
    with pytest.raises(NotFound, match="s1 of shop has 0 visitors of master"):
        await desk.plan(TENTH)
    desk.saw([0.0] * 1000)
    with pytest.raises(NotFound, match="all gave 0 for purchase"):
        await desk.plan(TENTH)


async def test_a_split_that_was_short_tells_no_visitors_a_day(desk: Desk) -> None:
    await desk.world.split_evenly()
    desk.world.clock.advance(timedelta(hours=23).total_seconds())
    desk.saw([1.0] * 50 + [0.0] * 950)
    found = await desk.plan(TENTH)
    assert (found.visitors_a_day, found.visitors_from, found.always_valid.days) == (None, None, None)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"effect": 0.0}, "an effect of 0"),
        ({"effect": 20.0}, "is no rate"),
        ({"baseline": 1.5}, "a rate of 1.5: it has to lie between 0 and 1; a rate is 5% or 0.05, a mean needs --sd"),
        ({"baseline": 5.0, "sd": -1.0}, "the SD has to be above 0"),
        ({"baseline": None, "sd": 3.0}, "--sd says how the numbers spread about --baseline"),
        ({"baseline": None, "metric": None}, "say of what: a metric or an event"),
        ({"weights": (1,)}, "must be two or more"),
        ({"weights": (1, 0)}, "each above 0"),
        ({"power": 1.0}, "power 1.0"),
    ],
)
async def test_what_cannot_be_planned_is_said(desk: Desk, change: dict[str, object], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        await desk.plan(replace(KNOWN, **change))  # type: ignore[arg-type]


async def test_a_quantile_decides_nothing_and_an_app_has_to_be_there(desk: Desk) -> None:
    slow = declared("slow", {"kind": "quantile", "event": "load", "quantile": 0.9})
    await desk.metrics.set(SHOP, slow)
    with pytest.raises(InvalidInput, match="the metric slow is a quantile"):
        await desk.plan(replace(TENTH, metric=MetricName("slow")))
    with pytest.raises(AppNotFound):
        await desk.planning.plan(BLOG, KNOWN)
