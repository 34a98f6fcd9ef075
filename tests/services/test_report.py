"""The report: the sample ratio first, nothing decided, and JSON carries it there and back."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from balancer.domain.app import AppName, BranchName
from balancer.domain.split import Phase, Split, SplitId, SplitState
from balancer.errors import AppNotFound, LedgerUnavailable, SplitNotFound
from balancer.services.outcome import Reading
from balancer.services.report import Advice, Report, Reports, report
from balancer.stats.cells import EventNames, SplitCells, SplitQuestion
from balancer.stats.moments import Moments
from balancer.stats.srm import Verdict
from balancer.stats.tally import EventTally, Exposed, Intake, Mark, ReleaseExposed, ReleaseTally, SplitTally
from registries import SHOP, open_world

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MASTER, FEAT = BranchName("master"), BranchName("feat/x")
SPLIT = Split(
    id=SplitId("s1"),
    app=SHOP,
    control=MASTER,
    phases=(
        Phase(number=1, weights={FEAT: 1000, MASTER: 9000}, started_at=NOON),
        Phase(number=2, weights={FEAT: 5000, MASTER: 5000}, started_at=NOON + timedelta(days=1)),
    ),
    state=SplitState.RUNNING,
    ended_at=None,
    expected_visitors=5000,
)
INTAKE = Intake(accepted=700, duplicate=3, refused=2, reasons=(("no such split", 2),))


def tally(*cells: tuple[int, BranchName, int, int], multiple: int = 0) -> SplitTally:
    """Return a tally of `purchase` from (phase, branch, visitors, converted), each purchase of 20."""
    return SplitTally(
        exposed=tuple(Exposed(phase=phase, variant=branch.slug, visitors=n) for phase, branch, n, _ in cells),
        events=tuple(
            EventTally(
                event="purchase",
                phase=phase,
                variant=branch.slug,
                count=x,
                converted=x,
                values=Moments.of([20.0] * x),
                per_visitor=Moments.of([20.0] * x).with_zeros(n - x),
            )
            for phase, branch, n, x in cells
        ),
        multiple=multiple,
    )


SOUND = tally((1, MASTER, 900, 50), (1, FEAT, 100, 5), (2, MASTER, 500, 50), (2, FEAT, 500, 60), multiple=20)
BROKEN = tally((1, MASTER, 900, 50), (1, FEAT, 100, 5), (2, MASTER, 9500, 500), (2, FEAT, 500, 200))


def look(of: SplitTally, split: Split = SPLIT) -> Report:
    """Return the report of a look two days after the start."""
    return report(split, of, INTAKE, NOON + timedelta(days=2))


def test_a_report_says_whose_split_it_is_and_who_was_counted() -> None:
    found = look(SOUND)
    assert (found.app, found.split, found.state, found.control) == ("shop", "s1", SplitState.RUNNING, "master")
    assert (found.started_at, found.ended_at) == ("2026-03-01T12:00:00+00:00", None)
    assert found.looked_at == "2026-03-03T12:00:00+00:00"
    assert [(each.branch, each.slug, each.share, each.visitors) for each in found.variants] == [
        ("master", "master", 0.5, 1400),
        ("feat/x", FEAT.slug, 0.5, 600),
    ]
    assert [(each.number, each.shares, each.visitors) for each in found.phases] == [
        (1, (("feat/x", 0.1), ("master", 0.9)), 1000),
        (2, (("feat/x", 0.5), ("master", 0.5)), 1000),
    ]
    assert found.multiple == 20
    assert found.multiple_share == pytest.approx(20 / 2020)
    assert found.intake == INTAKE


def test_the_sample_ratio_is_against_the_weights_of_each_phase() -> None:
    found = look(SOUND)
    assert found.sample_ratio.verdict is Verdict.OK
    expected = {each.variant: each.expected for each in found.sample_ratio.counts}
    assert expected == pytest.approx({"master": 1400, "feat/x": 600}, abs=0.01)
    assert found.advice is Advice.KEEP_RUNNING


def test_a_broken_split_is_said_first_and_none_of_its_differences_is_read() -> None:
    found = look(BROKEN)
    assert found.sample_ratio.verdict is Verdict.ALARM
    assert found.advice is Advice.BROKEN_SPLIT
    differences = [found.events[0].outcomes[1].rate_difference, found.events[0].outcomes[1].value_difference]
    assert [each and each.reading for each in differences] == [Reading.BROKEN_SPLIT] * 2


def test_a_visitor_in_a_variant_that_a_phase_does_not_have_breaks_the_split() -> None:
    alone = replace(SPLIT, phases=(replace(SPLIT.phases[0], weights={MASTER: 10_000, FEAT: 0}), SPLIT.phases[1]))
    assert look(tally((1, MASTER, 900, 50)), alone).sample_ratio.verdict is Verdict.OK
    assert look(tally((1, MASTER, 900, 50), (1, FEAT, 1, 0)), alone).advice is Advice.BROKEN_SPLIT


def test_the_shares_that_count_are_those_the_proxy_can_give() -> None:
    """0.01 % are 7 of 65,536 buckets: at 10⁸ visitors that is no fault."""
    tiny = replace(SPLIT, phases=(Phase(number=1, weights={MASTER: 9999, FEAT: 1}, started_at=NOON),))
    canary = round(1e8 * 7 / 65_536)
    found = look(SplitTally(exposed=(_exposed(MASTER, 10**8 - canary), _exposed(FEAT, canary))), tiny)
    assert found.sample_ratio.verdict is Verdict.OK


def _exposed(branch: BranchName, visitors: int) -> Exposed:
    return Exposed(phase=1, variant=branch.slug, visitors=visitors)


def test_without_visitors_there_is_not_enough_data_and_no_number() -> None:
    found = look(SplitTally())
    assert found.advice is Advice.NOT_ENOUGH_DATA
    assert found.multiple_share is None
    assert found.events == ()


def test_a_sound_split_that_is_over_asks_for_nothing() -> None:
    over = replace(SPLIT, state=SplitState.CANCELLED, ended_at=NOON + timedelta(days=2))
    assert look(SOUND, over).advice is None
    assert look(SOUND, over).ended_at == "2026-03-03T12:00:00+00:00"
    assert look(BROKEN, over).advice is Advice.BROKEN_SPLIT


@pytest.mark.parametrize("of", [SplitTally(), SOUND, BROKEN, tally((1, FEAT, 1, 1)), tally((2, MASTER, 200, 60))])
@pytest.mark.parametrize("weight", [0, 1000])
def test_json_carries_a_report_there_and_back(of: SplitTally, weight: int) -> None:
    first = replace(SPLIT.phases[0], weights={FEAT: weight, MASTER: 10_000 - weight})
    found = look(of, replace(SPLIT, phases=(first, SPLIT.phases[1])))
    adapter = TypeAdapter(Report)
    text = adapter.dump_json(found)
    assert adapter.validate_json(text) == found
    json.loads(text, parse_constant=pytest.fail)


class StandInLedger:
    """Answers with what it is given, and keeps what it was asked; without an answer it is unavailable."""

    def __init__(self, answer: SplitTally | None) -> None:
        self._answer = answer
        self.asked: tuple[str, str, Sequence[int], Sequence[str]] | None = None

    async def tally(self, *, app: str, split: str, phases: Sequence[int], variants: Sequence[str]) -> SplitTally:
        """Return the answer."""
        self.asked = (app, split, phases, variants)
        if self._answer is None:
            raise LedgerUnavailable("it does not listen")
        return self._answer

    async def releases(
        self, *, app: str, split: str, phases: Sequence[int], variants: Sequence[str], marks: Sequence[Mark]
    ) -> ReleaseTally:
        """Return all visitors of the answer, under the first mark of their variant."""
        found = await self.tally(app=app, split=split, phases=phases, variants=variants)
        first = {mark.variant: mark.release for mark in reversed(marks)}
        return ReleaseTally(
            exposed=tuple(
                ReleaseExposed(variant=cell.variant, release=first[cell.variant], visitors=cell.visitors)
                for cell in found.exposed
            )
        )

    async def cells(self, question: SplitQuestion) -> SplitCells:
        """Return nothing."""
        return SplitCells()

    async def names(self, app: str) -> EventNames:
        """Return nothing."""
        return EventNames()

    async def intake(self, app: str) -> Intake:
        """Return what was taken in."""
        return INTAKE


@pytest.mark.anyio
async def test_the_report_of_an_app_is_that_of_its_split_as_the_ledger_sees_it(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        split = await world.split_evenly()
        ledger = StandInLedger(SplitTally(exposed=(_exposed(MASTER, 52), _exposed(BranchName("test"), 48))))
        found = await Reports(world.registry, ledger, world.clock).of(SHOP)
        assert ledger.asked == ("shop", split.id, [1], ["master", "test"])
        assert (found.split, found.looked_at) == (split.id, world.clock.now.isoformat())
        assert [each.visitors for each in found.variants] == [52, 48]


@pytest.mark.anyio
async def test_the_report_by_release_asks_for_the_releases_that_were_live_and_names_them(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        split = await world.split_evenly()
        live = (await world.registry.snapshot()).live(SHOP)
        ledger = StandInLedger(SplitTally(exposed=(_exposed(MASTER, 52), _exposed(BranchName("test"), 48))))
        found = await Reports(world.registry, ledger, world.clock).by_release(SHOP)
        assert ledger.asked == ("shop", split.id, [1], ["master", "test"])
        assert [(each.branch, each.release, each.commit, each.visitors) for each in found.releases] == [
            (branch, live[BranchName(branch)].number, live[BranchName(branch)].commit, visitors)
            for branch, visitors in (("master", 52), ("test", 48))
        ]


@pytest.mark.anyio
async def test_without_app_split_or_ledger_the_error_says_which(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        reports = Reports(world.registry, StandInLedger(None), world.clock)
        with pytest.raises(AppNotFound):
            await reports.of(AppName("nobody"))
        with pytest.raises(SplitNotFound):
            await reports.of(SHOP)
        await world.split_evenly()
        with pytest.raises(LedgerUnavailable):
            await reports.of(SHOP)
