"""A day of traffic gives one table, in whatever order, how often and in what batches it arrives: in every engine."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from balancer.domain.app import AppName, BranchName
from balancer.domain.entry import ERROR, EXPOSURE, Batch, Entry
from balancer.domain.event import EventSource
from balancer.domain.metric import Kind, Metric, MetricName, Role
from balancer.domain.split import Brief, Phase, Split, SplitId, SplitState
from balancer.services.measures import measure_of
from balancer.services.outcome import branches_of
from balancer.services.report import Report, make_report, measured_of
from balancer.stats.cells import SplitQuestion
from contract.ledger_engines import ClickHouse, Embedded, Engine, Stored, alike, closing
from edge_lines import ASSIGNED_AT
from entries import Clock, entry, exposure

HOUR = 3_600_000
DAY = 24 * HOUR
VISITORS = 3_000
SEEDS = (1, 2, 3)
# The day is the same each time; only how it arrives is not.
DAY_SEED = 20_260_301
MASTER, TEST = BranchName("master"), BranchName("test")
START = datetime.fromtimestamp(ASSIGNED_AT / 1000, UTC)
# Half of the visitors are mature then, and all has arrived.
LOOKED_AT = START + timedelta(days=3, hours=12)


def metric(name: str, kind: Kind, *events: str, **more: object) -> Metric:
    return Metric(name=MetricName(name), kind=kind, events=events, **more)  # type: ignore[arg-type]


METRICS = (
    metric("bought", Kind.CONVERTED, "purchase"),
    metric("revenue", Kind.SUM, "purchase", cap=150.0, cuped=True),
    metric("order", Kind.MEAN, "purchase"),
    metric("views-an-order", Kind.RATIO, "view", "purchase", counts=True),
    metric("path", Kind.FUNNEL, "view", "cart", "purchase"),
    metric("pages", Kind.COUNT, "view", sources=(EventSource.BEACON,)),
    metric("dear", Kind.QUANTILE, "purchase", quantile=0.9),
    metric("failed", Kind.CONVERTED, ERROR, role=Role.GUARDRAIL),
)
SPLIT = Split(
    id=SplitId("s1"),
    app=AppName("shop"),
    control=MASTER,
    phases=(
        Phase(number=1, weights={MASTER: 8000, TEST: 2000}, started_at=START),
        Phase(number=2, weights={MASTER: 5000, TEST: 5000}, started_at=START + timedelta(hours=9)),
    ),
    state=SplitState.RUNNING,
    ended_at=None,
    expected_visitors=5000,
    brief=Brief(metrics=METRICS, metric=METRICS[0].name),
)


def day_of_traffic(app: str) -> Iterator[Entry]:
    """Give what visitors did, one visitor after the other; every event has an id, failures and exposures have none."""
    chance = random.Random(DAY_SEED)
    sources = [EventSource.HEADER, EventSource.BEACON, EventSource.API]
    for number in range(VISITORS):
        assigned_at = ASSIGNED_AT + DAY * number // VISITORS
        phase = 1 if assigned_at < ASSIGNED_AT + 9 * HOUR else 2
        variant = "test" if chance.random() < (0.2, 0.5)[phase - 1] else "master"
        seen = exposure(number, variant, phase, assigned_at)
        yield msgspec.structs.replace(seen, app=app, ts=assigned_at + chance.randrange(9000))
        if chance.random() < 0.01:  # another device brought another cookie
            yield msgspec.structs.replace(seen, app=app, variant="master", assigned_at=assigned_at + HOUR)
        names = ["view"] * chance.randrange(5) + ["cart"] * chance.randrange(2)
        if chance.random() < (0.35 if variant == "test" else 0.25):
            names.append("purchase")
        names += ["purchase"] * (chance.random() < 0.05) + [ERROR] * (chance.random() < 0.03)
        for place, name in enumerate(names):
            made = entry(
                number,
                name,
                round(chance.lognormvariate(3, 1), 2) if name == "purchase" and chance.random() < 0.9 else None,
                app=app,
                variant=variant,
                phase=phase,
                assigned_at=assigned_at,
                ts=assigned_at + chance.randrange(-HOUR, 4 * HOUR),
                event_id=None if name == ERROR else f"{number}-{place}",
                source=chance.choice(sources),
            )
            if made.source is EventSource.API:  # a server knows of no assignment
                made = msgspec.structs.replace(
                    made, split=None, variant="", phase=0, assigned_at=0, release=None, dims='{"till":"7"}'
                )
            yield made


def replayed(engine: Engine, clock: Clock, rows: list[Entry], seed: int) -> int:
    """Let rows arrive in disorder, a fifth of those that may come twice, 3 % a day late; return how many did twice."""
    chance = random.Random(seed)
    twice = [row for row in rows if row.name != ERROR]
    again = chance.sample(twice, len(twice) // 5)
    arrivals = rows + again
    chance.shuffle(arrivals)
    late = len(arrivals) * 3 // 100
    for wave in (arrivals[late:], arrivals[:late]):
        clock.now += DAY
        while wave:
            size = chance.randrange(1, 3_000)
            engine.load(Batch(wave[:size]), "000001.log", len(wave))
            wave = wave[size:]
    return sum(row.name != EXPOSURE for row in again)


def report_of(engine: Engine, app: str) -> Report:
    """Return the report of the split, after all has arrived."""
    measured = measured_of(SPLIT, engine.names(app))
    question = SplitQuestion(
        app=app,
        split=str(SPLIT.id),
        phases=tuple(phase.number for phase in SPLIT.phases),
        variants=tuple(branch.slug for branch in branches_of(SPLIT)),
        measures=tuple(measure_of(each.metric) for each in measured),
        as_of=ASSIGNED_AT + (LOOKED_AT - START) // timedelta(milliseconds=1),
        offsets=((0, HOUR),),
    )
    return make_report(SPLIT, measured, engine.cells(question), engine.intake(app), (), LOOKED_AT).report


def rows_of(rows: list[Stored], app: str) -> list[Stored]:
    """Return what the tables have of an app, an exposure that came twice once: it has no id."""
    found = [row[1:] for row in rows if row[0] == app]
    seen = [row for row in found if row[6] == EXPOSURE]
    return sorted([*set(seen), *(row for row in found if row[6] != EXPOSURE)], key=repr)


@pytest.fixture
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """Give an embedded ledger in which the day arrived in its order, each row once."""
    with closing(Embedded(tmp_path_factory.mktemp("plain"), lambda: ASSIGNED_AT + DAY)) as embedded:
        embedded.open().load(Batch(list(day_of_traffic("plain"))), "000001.log", 1)
        yield embedded


def test_a_day_that_arrives_in_disorder_twice_and_late_gives_the_identical_table(
    site: Embedded | ClickHouse, clock: Clock, plain: Embedded
) -> None:
    wanted = report_of(plain.open(), "plain")
    assert wanted.multiple > 0
    assert [len(each.outcomes) for each in wanted.metrics] == [2] * len(wanted.metrics)
    engine = site.open()
    for seed in SEEDS:
        app = f"replay-{seed}"
        clock.now = ASSIGNED_AT
        repeated = replayed(engine, clock, list(day_of_traffic(app)), seed)
        found = report_of(engine, app)
        assert found.intake.duplicate == repeated > 1000
        assert alike(replace(found, intake=replace(found.intake, duplicate=0)), wanted), (found, wanted)
    rows, of_plain = site.rows(), rows_of(plain.rows(), "plain")
    for seed in SEEDS:
        assert rows_of(rows, f"replay-{seed}") == of_plain
