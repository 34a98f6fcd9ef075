"""The life of a split: when a call returns, the proxy does what it asked for."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from balancer.domain.app import BranchName, Commit
from balancer.domain.audience import Audience, HeaderCondition, HeaderName
from balancer.domain.declaration import declared
from balancer.domain.manifest import WEB, Manifest, Source
from balancer.domain.metric import MetricName
from balancer.domain.split import Brief, SplitId, SplitState
from balancer.errors import (
    AppNotFound,
    BranchNotFound,
    IllegalTransition,
    InvalidSplit,
    InvalidWeights,
    ProxyFailed,
    SplitNotFound,
    SplitRunning,
)
from platforms import InProcess, in_process
from values import BLOG, MASTER, SHOP, TEST

pytestmark = pytest.mark.anyio
EVEN = {MASTER: 5000, TEST: 5000}
BLUE = BranchName("blue")


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[InProcess]:
    """A shop with master, the default branch, and test live."""
    async with in_process(tmp_path) as made:
        await made.registry.create_app(SHOP, MASTER)
        for branch in (MASTER, TEST):
            await make_live(made, branch)
        yield made


async def make_live(platform: InProcess, branch: BranchName) -> None:
    """Make a release of a branch live; without instances, which a split does not ask for."""
    commit = Commit("c0ffee" + "0" * 34)
    release = await platform.registry.open_release(SHOP, branch, commit, subject="Sell", author="Ada")
    await platform.registry.start_release(release.id, Manifest(source=Source.PROCFILE, processes={WEB: "serve"}))
    await platform.registry.activate(release.id)


def shares(platform: InProcess) -> dict[str, int] | None:
    """Return how many buckets the proxy gives to each variant; None where it splits nobody."""
    (app,) = platform.proxy.table.apps
    if app.split is None:
        return None
    found: dict[str, int] = {}
    for piece in app.split.allocation:
        found[piece.variant] = found.get(piece.variant, 0) + piece.stop - piece.start
    return found


async def test_when_a_split_has_started_the_proxy_splits(platform: InProcess) -> None:
    split = await platform.experiments.start(SHOP, EVEN, None)
    assert (split.id, split.state, split.phase.number) == ("s1", SplitState.RUNNING, 1)
    assert split.expected_visitors == 5000
    assert shares(platform) == {"master": 32_768, "test": 32_768}


@pytest.mark.parametrize(
    ("weights", "asked", "control"),
    [
        ({TEST: 5000, MASTER: 5000}, None, MASTER),
        ({TEST: 5000, BLUE: 5000}, None, TEST),
        ({BLUE: 5000, TEST: 5000}, None, BLUE),
        ({TEST: 5000, MASTER: 5000}, TEST, TEST),
    ],
)
async def test_the_control_is_the_one_named_else_the_default_branch_else_the_first(
    weights: dict[BranchName, int], asked: BranchName | None, control: BranchName, platform: InProcess
) -> None:
    await make_live(platform, BLUE)
    assert (await platform.experiments.start(SHOP, weights, asked)).control == control


async def test_a_control_that_takes_no_part_is_refused(platform: InProcess) -> None:
    with pytest.raises(InvalidWeights, match="the control blue must be one of the branches of the split: master, test"):
        await platform.experiments.start(SHOP, EVEN, BLUE)
    assert (await platform.registry.snapshot()).splits == ()


async def test_a_branch_that_is_not_live_takes_no_part(platform: InProcess) -> None:
    with pytest.raises(BranchNotFound, match="shop has no live branch blue; push it first"):
        await platform.experiments.start(SHOP, {MASTER: 5000, BLUE: 5000}, None)


async def test_an_app_has_one_running_split(platform: InProcess) -> None:
    await platform.experiments.start(SHOP, EVEN, None)
    with pytest.raises(SplitRunning, match="has a running split, s1"):
        await platform.experiments.start(SHOP, EVEN, None)


async def test_an_app_that_is_not_there_has_no_split(platform: InProcess) -> None:
    with pytest.raises(AppNotFound):
        await platform.experiments.start(BLOG, EVEN, None)


async def test_new_weights_are_a_new_phase_and_the_proxy_follows(platform: InProcess) -> None:
    await platform.experiments.start(SHOP, EVEN, None)
    split = await platform.experiments.set_weights(SHOP, {MASTER: 7500, TEST: 2500})
    assert split.phase.number == 2
    assert shares(platform) == {"master": 49_152, "test": 16_384}


async def test_the_weights_that_it_has_are_no_new_phase(platform: InProcess) -> None:
    await platform.experiments.start(SHOP, EVEN, None)
    assert (await platform.experiments.set_weights(SHOP, EVEN)).phase.number == 1


async def test_the_control_may_get_weight_0_and_not_be_left_out(platform: InProcess) -> None:
    await make_live(platform, BLUE)
    await platform.experiments.start(SHOP, EVEN, None)
    await platform.experiments.set_weights(SHOP, {MASTER: 0, TEST: 10_000})
    assert shares(platform) == {"test": 65_536}
    with pytest.raises(InvalidWeights, match="the control master must stay"):
        await platform.experiments.set_weights(SHOP, {TEST: 5000, BLUE: 5000})


async def test_after_the_end_everyone_sees_the_default_branch(platform: InProcess) -> None:
    await platform.experiments.start(SHOP, EVEN, None)
    split = await platform.experiments.cancel(SHOP)
    assert (split.state, split.ended_at) == (SplitState.CANCELLED, platform.clock.now)
    assert shares(platform) is None
    assert platform.proxy.table.apps[0].default_backend == "master--shop"


async def test_the_next_split_has_another_id(platform: InProcess) -> None:
    await platform.experiments.start(SHOP, EVEN, None)
    await platform.experiments.cancel(SHOP)
    assert (await platform.experiments.start(SHOP, EVEN, None)).id == "s2"


async def test_without_a_running_split_there_is_nothing_to_change_or_end(platform: InProcess) -> None:
    for act in (platform.experiments.set_weights(SHOP, EVEN), platform.experiments.cancel(SHOP)):
        with pytest.raises(SplitNotFound, match="shop has no running split"):
            await act


async def test_a_proxy_that_does_not_follow_is_said_and_follows_later(platform: InProcess) -> None:
    platform.proxy.refuses = True
    with pytest.raises(ProxyFailed):
        await platform.experiments.start(SHOP, EVEN, None)
    platform.proxy.refuses = False
    await platform.reconciler.converge()
    assert shares(platform) == {"master": 32_768, "test": 32_768}


async def test_a_paused_split_gives_no_bucket_away_until_it_is_resumed(platform: InProcess) -> None:
    await platform.experiments.start(SHOP, EVEN, None)
    assert (await platform.experiments.pause(SHOP)).state is SplitState.PAUSED
    assert shares(platform) == {}
    assert platform.proxy.table.apps[0].split is not None, "who has a variant keeps it"
    with pytest.raises(IllegalTransition, match="the split s1 of shop is paused already"):
        await platform.experiments.pause(SHOP)
    with pytest.raises(SplitRunning):
        await platform.experiments.start(SHOP, EVEN, None)
    assert (await platform.experiments.resume(SHOP)).state is SplitState.RUNNING
    assert shares(platform) == {"master": 32_768, "test": 32_768}


async def test_a_reshuffle_is_the_same_split_with_another_id(platform: InProcess) -> None:
    brief = Brief(name="Buttons", held_out=1000, audience=Audience(path="/shop"))
    await platform.experiments.start(SHOP, EVEN, TEST, brief)
    await platform.experiments.set_weights(SHOP, {MASTER: 2500, TEST: 7500})
    again = await platform.experiments.reshuffle(SHOP)
    assert (again.id, again.brief, again.control, len(again.phases)) == ("s2", brief, TEST, 1)
    assert again.phase.weights == {MASTER: 2500, TEST: 7500}
    states = [split.state for split in await platform.registry.splits(SHOP)]
    assert states == [SplitState.RUNNING, SplitState.CANCELLED]


async def test_what_a_split_was_begun_with_is_kept_to_its_end(platform: InProcess) -> None:
    beta = HeaderCondition(name=HeaderName("x-beta"), values=("1", "yes"))
    brief = Brief(
        name="Buttons",
        hypothesis="A button that says what it does is pressed",
        metric=MetricName("purchase"),
        audience=Audience(path="/shop", headers=(beta,)),
        held_out=500,
    )
    await platform.experiments.start(SHOP, EVEN, None, brief)
    await platform.experiments.cancel(SHOP)
    found = await platform.registry.split(SHOP, SplitId("s1"))
    assert found.brief == brief
    with pytest.raises(SplitNotFound, match="shop has had no split s2"):
        await platform.registry.split(SHOP, SplitId("s2"))


async def test_a_decision_is_declared_for_a_time_to_come(platform: InProcess) -> None:
    for at in (platform.clock.now, platform.clock.now - timedelta(days=1)):
        with pytest.raises(InvalidSplit, match="the decision is to be in the future"):
            await platform.experiments.start(SHOP, EVEN, None, Brief(decide_at=at))
    later = platform.clock.now + timedelta(days=14)
    split = await platform.experiments.start(SHOP, EVEN, None, Brief(decide_at=later, aa=True))
    assert (split.brief.decide_at, split.brief.aa) == (later, True)


async def test_a_quantile_that_is_declared_decides_no_split(platform: InProcess) -> None:
    slow = declared("slow", {"kind": "quantile", "event": "load", "quantile": 0.95})
    await platform.metrics.set(SHOP, slow)
    with pytest.raises(InvalidSplit, match="the metric slow is a quantile"):
        await platform.experiments.start(SHOP, EVEN, None, Brief(metric=MetricName("slow")))
    assert (await platform.registry.snapshot()).splits == ()


async def test_others_are_told_that_it_began_and_that_it_is_over(platform: InProcess) -> None:
    platform.teller.told.clear()  # of the pushes
    split = await platform.experiments.start(SHOP, EVEN, None)
    await platform.experiments.cancel(SHOP)
    assert [notice.text for notice in platform.teller.told] == [
        f"shop: the split {split.id} began: master 50 %, test 50 %",
        f"shop: the split {split.id} is over: it was cancelled, and everyone sees the default branch",
    ]
    assert platform.teller.told[0].facts["weights"] == {"master": 50, "test": 50}


async def test_others_are_told_who_won(platform: InProcess) -> None:
    platform.teller.told.clear()  # of the pushes
    split = await platform.experiments.start(SHOP, EVEN, None)
    await platform.experiments.conclude(SHOP, MASTER, platform.told.append)
    assert platform.teller.told[-1].text == f"shop: the split {split.id} is over: everyone sees master"
    assert platform.teller.told[-1].facts["winner"] == "master"
