"""The embedded engine, on real database files."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains there of leaks.
from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import msgspec
import pytest
from edge_lines import ASSIGNED_AT, line, visitor
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import until

from balancer.domain.entry import ERROR, EXPOSURE, Batch, BatchRefused, Entry, Reason
from balancer.domain.event import EventSource
from balancer.domain.split import SplitId
from balancer.errors import InvalidName, LedgerUnavailable
from balancer.stats.moments import Moments
from balancer.stats.tally import EventTally, Exposed, Intake, SplitTally
from balancer.store.ledger import DuckLedger
from balancer.store.ledger_load import DEDUPLICATION_MILLISECONDS
from balancer.store.ledger_words import BEACON_NAMES_LIMIT


class Clock:
    """Arrivals, as the test says."""

    def __init__(self) -> None:
        self.now = ASSIGNED_AT

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.duckdb"


@pytest.fixture
def ledger(path: Path, clock: Clock) -> Iterator[DuckLedger]:
    engine = DuckLedger(path, clock)
    yield engine
    engine.close()


def entry(
    number: int,
    name: str,
    value: float | None = None,
    *,
    app: str = "shop",
    split: str = "s1",
    variant: str = "test",
    phase: int = 1,
    assigned_at: int = ASSIGNED_AT,
    ts: int = ASSIGNED_AT + 1000,
    event_id: str | None = None,
    source: EventSource = EventSource.HEADER,
) -> Entry:
    if name.startswith("$"):
        source = EventSource.EDGE
    return Entry(
        app=app,
        split=SplitId(split),
        variant=variant,
        phase=phase,
        visitor=visitor(number),
        assigned_at=assigned_at,
        ts=ts,
        name=name,
        value=value,
        id=event_id,
        source=source,
        release=3,
        stood_in=False,
    )


def exposure(number: int, variant: str = "test", phase: int = 1, assigned_at: int = ASSIGNED_AT) -> Entry:
    return entry(number, EXPOSURE, variant=variant, phase=phase, assigned_at=assigned_at)


def load(ledger: DuckLedger, *entries: Entry) -> None:
    ledger.load(Batch(list(entries)), "000001.log", 1)


def tally(ledger: DuckLedger) -> SplitTally:
    return ledger.tally("shop", "s1", [1, 2], ["master", "test"])


def only(tallied: SplitTally, event: str = "purchase") -> EventTally:
    (cell,) = (cell for cell in tallied.events if cell.event == event)
    return cell


def test_an_empty_ledger_answers_with_nothing(ledger: DuckLedger) -> None:
    assert tally(ledger) == SplitTally()
    assert ledger.intake("shop") == Intake()
    assert ledger.offsets() == {}


def test_each_exposed_visitor_gives_one_number_zeros_included(ledger: DuckLedger) -> None:
    load(ledger, *(exposure(number) for number in range(4)))
    load(ledger, entry(0, "purchase", 3.0), entry(0, "purchase", 5.0), entry(1, "purchase", 2.0))
    load(ledger, entry(2, "purchase"))
    cell = only(tally(ledger))
    assert (cell.phase, cell.variant, cell.count, cell.converted) == (1, "test", 4, 3)
    assert (cell.values.n, cell.values.mean) == (3, pytest.approx(10 / 3))
    expected = Moments.of([8.0, 2.0, 0.0, 0.0])
    assert (cell.per_visitor.n, cell.per_visitor.mean) == (4, pytest.approx(expected.mean))
    assert cell.per_visitor.m2 == pytest.approx(expected.m2)


def test_a_cell_in_which_nobody_did_it_is_there_with_its_zeros(ledger: DuckLedger) -> None:
    load(ledger, exposure(1, "master"), exposure(2, "test"), entry(2, "signup"))
    cells = {(cell.variant, cell.count, cell.converted, cell.per_visitor.n) for cell in tally(ledger).events}
    assert cells == {("master", 0, 0, 1), ("test", 1, 1, 1)}


def test_events_of_visitors_that_were_not_exposed_do_not_count(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), entry(2, "purchase", 9.0))
    assert tally(ledger) == SplitTally(exposed=(Exposed(phase=1, variant="test", visitors=1),))


def test_events_count_from_the_assignment_on(ledger: DuckLedger) -> None:
    load(ledger, exposure(1, assigned_at=ASSIGNED_AT + 5))
    load(ledger, *(entry(1, "a", ts=ASSIGNED_AT + 5 + late) for late in (-1, 0, 1)))
    assert only(tally(ledger), "a").count == 2


def test_events_before_their_exposure_arrives_count_too(ledger: DuckLedger) -> None:
    load(ledger, entry(1, "landing"))
    load(ledger, exposure(1))
    assert only(tally(ledger), "landing").converted == 1


def test_the_first_exposure_decides_the_phase(ledger: DuckLedger) -> None:
    load(ledger, exposure(1, phase=2, assigned_at=ASSIGNED_AT + 9))
    load(ledger, exposure(1, phase=1, assigned_at=ASSIGNED_AT))
    load(ledger, exposure(1, phase=2, assigned_at=ASSIGNED_AT + 9))
    assert tally(ledger).exposed == (Exposed(phase=1, variant="test", visitors=1),)


@pytest.mark.parametrize("together", [True, False])
def test_visitors_seen_in_two_variants_are_left_out_and_counted(ledger: DuckLedger, together: bool) -> None:
    seen = [exposure(1, "test"), exposure(1, "master"), exposure(2, "test"), entry(1, "purchase", 1.0)]
    for batch in [seen] if together else [[each] for each in seen]:
        load(ledger, *batch)
    assert tally(ledger) == SplitTally(exposed=(Exposed(phase=1, variant="test", visitors=1),), multiple=1)


def test_rows_of_other_phases_variants_splits_and_apps_are_left_out(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), exposure(2, phase=7), exposure(3, variant="forged"), exposure(4, phase=99_999))
    load(ledger, entry(5, EXPOSURE, split="s2"), entry(6, EXPOSURE, app="blog"))
    load(ledger, entry(1, "a", split="s2"), entry(1, "a", app="blog"), entry(2, "a"), entry(3, "a"))
    assert tally(ledger) == SplitTally(exposed=(Exposed(phase=1, variant="test", visitors=1),))


def test_the_platforms_own_entries_are_not_among_the_events(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), entry(1, ERROR))
    assert tally(ledger).events == ()
    assert ledger.intake("shop").accepted == 0


def test_moments_keep_their_digits_where_the_mean_is_large(ledger: DuckLedger) -> None:
    values = [1e12 - offset for offset in range(50)]
    load(ledger, *(exposure(number) for number in range(50)))
    load(ledger, *(entry(number, "purchase", value) for number, value in enumerate(values)))
    cell = only(tally(ledger))
    # A sum of squares would have no digit right here.
    assert cell.values.m2 == pytest.approx(Moments.of(values).m2, rel=1e-3)
    assert cell.per_visitor.m2 == pytest.approx(Moments.of(values).m2, rel=1e-3)


def test_an_event_id_counts_once_in_an_app(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), entry(1, "purchase", 2.0, event_id="a"), entry(1, "purchase", 2.0, event_id="a"))
    load(ledger, entry(1, "purchase", 2.0, event_id="a"), entry(1, "purchase", 3.0, event_id="b"))
    load(ledger, entry(1, "purchase", 2.0, app="blog", event_id="a"))
    assert only(tally(ledger)).count == 2
    assert ledger.intake("shop") == Intake(accepted=2, duplicate=2)
    assert ledger.intake("blog") == Intake(accepted=1)


def test_an_event_id_counts_again_after_seven_days_of_arrivals(ledger: DuckLedger, clock: Clock) -> None:
    load(ledger, entry(1, "purchase", event_id="a"))
    clock.now += DEDUPLICATION_MILLISECONDS - 1
    load(ledger, entry(1, "purchase", event_id="a"))
    assert ledger.intake("shop") == Intake(accepted=1, duplicate=1)
    clock.now += 1
    load(ledger, entry(1, "purchase", event_id="a"))
    assert ledger.intake("shop") == Intake(accepted=2, duplicate=1)


def test_refusals_are_counted_by_reason_the_most_frequent_first(ledger: DuckLedger) -> None:
    for _ in range(2):
        batch = Batch([entry(1, "a")])
        for app, reason in [("shop", Reason.NAME), ("shop", Reason.VALUE), ("shop", Reason.VALUE), ("blog", Reason.ID)]:
            batch.refuse(app, reason)
        ledger.load(batch, "000001.log", 1)
    assert ledger.intake("shop") == Intake(accepted=2, refused=6, reasons=(("value", 4), ("name", 2)))


def test_beacons_bring_so_many_names_and_the_apps_own_are_always_taken(ledger: DuckLedger) -> None:
    flood = [entry(1, f"n{k}", source=EventSource.BEACON) for k in range(BEACON_NAMES_LIMIT + 3)]
    load(ledger, exposure(1), *flood)
    load(ledger, entry(1, "purchase"), entry(1, "n0", source=EventSource.BEACON), flood[-1])
    load(ledger, entry(1, "elsewhere", app="blog", source=EventSource.BEACON))
    assert ledger.intake("shop").reasons == (("too many names", 4),)
    assert only(tally(ledger)).count == 1
    assert only(tally(ledger), "n0").count == 2
    assert ledger.intake("blog").accepted == 1


def test_a_batch_with_its_offset_is_there_after_the_file_is_opened_again(path: Path, clock: Clock) -> None:
    first = DuckLedger(path, clock)
    load(first, exposure(1), entry(1, "purchase", 2.0, event_id="a"))
    before = tally(first)
    first.close()
    second = DuckLedger(path, clock)
    assert second.offsets() == {"000001.log": 1}
    load(second, entry(1, "purchase", 2.0, event_id="a"), entry(1, "signup"))
    assert only(tally(second)) == only(before)
    second.forget("000001.log")
    assert second.offsets() == {}
    second.close()


def test_a_batch_that_cannot_be_stored_is_refused_whole(ledger: DuckLedger) -> None:
    load(ledger, exposure(1))
    impossible = entry(1, "new-name", ts=2**70)
    batch = Batch([entry(1, "other-name"), impossible])
    batch.refuse("shop", Reason.NAME)
    with pytest.raises(BatchRefused):
        ledger.load(batch, "000001.log", 77)
    assert ledger.offsets() == {"000001.log": 1}
    assert ledger.intake("shop") == Intake()
    assert tally(ledger).events == ()
    load(ledger, entry(1, "new-name"), entry(1, "other-name"))  # their numbers were not taken by what failed
    assert {cell.event for cell in tally(ledger).events} == {"new-name", "other-name"}


def test_questions_are_answered_while_a_batch_is_being_loaded(ledger: DuckLedger) -> None:
    load(ledger, exposure(0))
    done = threading.Event()

    def keep_loading() -> None:
        for number in range(1, 40):
            load(ledger, exposure(number), entry(number, "purchase", 1.0))
        done.set()

    loader = threading.Thread(target=keep_loading)
    loader.start()
    try:
        while not done.is_set():
            seen = tally(ledger)  # a batch is seen whole or not at all
            assert sum(cell.visitors for cell in seen.exposed) == 1 + sum(cell.count for cell in seen.events)
    finally:
        loader.join()


LOADER = """
import sys
from pathlib import Path
from balancer.domain.entry import Batch
from balancer.proxy.accesslog import read_line
from balancer.store.ledger import DuckLedger

ledger, batch = DuckLedger(Path(sys.argv[1])), Batch()
read_line(sys.argv[2].encode(), batch)
done = ledger.offsets().get("000001.log", 0)
print("ready", flush=True)
while True:
    done += 1
    ledger.load(batch, "000001.log", done)
"""


def test_killed_at_any_moment_rows_offset_and_counters_agree(path: Path) -> None:
    text = line(event="a").decode()
    before, chance = 0, random.Random(3)
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", LOADER, path, text], stdout=subprocess.PIPE) as loader:
            assert loader.stdout
            loader.stdout.readline()
            end = time.monotonic() + 0.05 + chance.random() / 10
            until(lambda end=end: time.monotonic() > end, 5)  # type: ignore[misc]
            loader.kill()
        ledger = DuckLedger(path)
        done = ledger.offsets()["000001.log"]
        with ledger._question() as connection:
            rows = connection.execute("SELECT count(*) FROM events").fetchone()
        accepted = ledger.intake("shop").accepted
        ledger.close()
        assert rows == (done,)
        assert accepted == done > before
        before = done


def test_closing_ends_a_question_that_would_take_long(path: Path) -> None:
    ledger = DuckLedger(path)
    ended = threading.Event()

    def ask() -> None:
        with pytest.raises(duckdb.InterruptException), ledger._question() as connection:
            connection.execute("SELECT count(*) FROM range(100_000_000_000) a, range(1000) b WHERE hash(a, b) = 1")
        ended.set()

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: ledger._asking, 5)
    ledger.close()
    asking.join(10)
    assert ended.is_set()
    with pytest.raises(LedgerUnavailable):
        tally(ledger)


def test_a_split_that_is_none_is_refused(ledger: DuckLedger) -> None:
    with pytest.raises(InvalidName):
        ledger.tally("shop", "17", [1], ["test"])


def test_a_directory_with_the_signs_of_a_pattern_is_only_a_directory(tmp_path: Path, clock: Clock) -> None:
    odd = tmp_path / "a[b]*{c}'"
    odd.mkdir()
    ledger = DuckLedger(odd / "ledger.duckdb", clock)
    load(ledger, exposure(1))
    assert len(tally(ledger).exposed) == 1
    ledger.close()


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Give an entry of one of a few visitors, so that they meet again in other variants, phases and times."""
    return entry(
        draw(st.integers(0, 5)),
        draw(st.sampled_from([EXPOSURE, "purchase", "signup"])),
        draw(st.none() | st.integers(-3, 3).map(float)),
        variant=draw(st.sampled_from(["master", "test", "forged"])),
        phase=draw(st.integers(1, 3)),
        assigned_at=ASSIGNED_AT + draw(st.integers(0, 3)),
        ts=ASSIGNED_AT + draw(st.integers(0, 5)),
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(entries(), max_size=40), st.integers(1, 9), st.randoms(use_true_random=False))
def test_a_replay_in_any_order_and_any_batches_gives_the_same_tally(
    given_entries: list[Entry], size: int, chance: random.Random
) -> None:
    marked = [
        each if each.name == EXPOSURE else entry_with_id(each, f"id-{place}")
        for place, each in enumerate(given_entries)
    ]
    once, again = DuckLedger(Path(":memory:")), DuckLedger(Path(":memory:"))
    try:
        load(once, *marked)
        replay = marked * 2
        chance.shuffle(replay)
        for start in range(0, len(replay), size):
            load(again, *replay[start : start + size])
        assert rounded(tally(again)) == rounded(tally(once)) == rounded(by_hand(marked))
    finally:
        once.close()
        again.close()


def by_hand(rows: list[Entry]) -> SplitTally:
    """Return the tally as its definition says it, slowly."""
    seen: dict[str, list[Entry]] = {}
    for row in rows:
        if row.name == EXPOSURE:
            seen.setdefault(row.visitor, []).append(row)
    multiple = {who for who, rows in seen.items() if len({row.variant for row in rows}) > 1}
    first = {
        who: min((row.assigned_at, row.phase, row.variant) for row in rows)
        for who, rows in seen.items()
        if who not in multiple
    }
    cells: dict[tuple[int, str], list[str]] = {}
    for who, (_, phase, variant) in first.items():
        if phase in (1, 2) and variant in ("master", "test"):
            cells.setdefault((phase, variant), []).append(who)
    did = {
        (who, name): [r for r in rows if (r.visitor, r.name) == (who, name) and r.ts >= first[who][0]]
        for members in cells.values()
        for who in members
        for name in ("purchase", "signup")
    }
    names = sorted({name for (_, name), found in did.items() if found})
    return SplitTally(
        exposed=tuple(Exposed(phase=p, variant=v, visitors=len(cells[p, v])) for p, v in sorted(cells)),
        multiple=len(multiple),
        events=tuple(
            EventTally(
                event=name,
                phase=phase,
                variant=variant,
                count=sum(len(did[who, name]) for who in members),
                converted=sum(bool(did[who, name]) for who in members),
                values=Moments.of(r.value for who in members for r in did[who, name] if r.value is not None),
                per_visitor=Moments.of(sum(r.value or 0.0 for r in did[who, name]) for who in members),
            )
            for name in names
            for (phase, variant), members in sorted(cells.items())
        ),
    )


def rounded(tallied: SplitTally) -> object:
    def figures(moments: Moments) -> tuple[int, float, float]:
        return moments.n, round(moments.mean, 9), round(moments.m2, 9)

    return (
        tallied.exposed,
        tallied.multiple,
        [
            (c.event, c.phase, c.variant, c.count, c.converted, figures(c.values), figures(c.per_visitor))
            for c in tallied.events
        ],
    )
