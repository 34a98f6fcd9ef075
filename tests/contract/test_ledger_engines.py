"""One contract for the ledger's engines: DuckDB, two ClickHouse shards of 2018, and today's ClickHouse by chDB."""

from __future__ import annotations

import random
from dataclasses import replace

import duckdb
import msgspec
import pytest

from balancer.domain.entry import NO_APP, Batch, BatchRefused, Entry, Reason
from balancer.domain.event import EventSource
from balancer.domain.event_row import Erased, EventRow, Form, Imported, Tail
from balancer.domain.ledger_url import LedgerUrl
from balancer.errors import LedgerUnavailable
from balancer.stats.cells import What
from balancer.stats.raw import RawCells, RawQuestion
from balancer.stats.tally import Intake, Mark
from balancer.store.clickhouse_ledger import ClickHouseLedger
from balancer.store.ledger_words import BEACON_NAMES_LIMIT
from clickhouses import Servers
from contract.ledger_engines import ClickHouse, Embedded, alike, closing
from edge_lines import ASSIGNED_AT, visitor
from entries import Clock, asked, entry, exposure
from relays import Fault, relaying

DAY = 86_400_000
FILE = "000001.log"


def many(count: int, seed: int = 1) -> list[Entry]:
    """Return entries of every kind, some with the id of another."""
    chance = random.Random(seed)
    found: list[Entry] = []
    for number in range(count):
        who = chance.randrange(count // 3)
        if number % 4 == 0:
            found.append(exposure(who, variant=chance.choice(["test", "master"])))
        else:
            value = chance.choice([None, 5.94, chance.random() / 1e7, chance.uniform(-1e12, 1e12), 0.0])
            event_id = chance.choice([None, f"e{chance.randrange(count)}"])
            app = chance.choice(["shop", "blog's \\ \n"])
            made = entry(who, "purchase", value, app=app, event_id=event_id, ts=ASSIGNED_AT + number)
            if number % 4 == 3:  # as a server sends it
                made = msgspec.structs.replace(
                    made, split=None, variant="", phase=0, assigned_at=0, release=None, source=EventSource.API,
                    dims='{"a":"\\\\\'é"}',
                )  # fmt: skip
            found.append(made)
    return found


def expected_rows(entries: list[Entry]) -> list[tuple[object, ...]]:
    """Return what the tables must hold of entries, each id of an app once."""
    seen: set[tuple[str, str]] = set()
    rows = []
    for each in entries:
        if each.id is not None:
            if (each.app, each.id) in seen:
                continue
            seen.add((each.app, each.id))
        rows.append(
            (each.app, each.split.number if each.split else 0, each.phase, each.variant, each.release, each.visitor,
             each.assigned_at,
             each.name, each.value, each.ts, each.id, each.source.value, each.stood_in, each.dims)
        )  # fmt: skip
    return sorted(rows, key=repr)


def test_every_engine_holds_the_same_rows_to_the_last_bit(site: Embedded | ClickHouse) -> None:
    entries = many(900)
    engine = site.open()
    for start in range(0, 900, 300):
        engine.load(Batch(entries[start : start + 300]), FILE, start + 300)
    assert engine.offsets() == {FILE: 900}
    assert site.rows() == expected_rows(entries)


def test_an_event_id_counts_once_in_a_batch_and_within_seven_days_of_arrivals(
    site: Embedded | ClickHouse, clock: Clock
) -> None:
    engine = site.open()
    bought, other = entry(1, "purchase", 2.0, event_id="a"), entry(2, "purchase", 2.0, app="blog", event_id="a")
    engine.load(Batch([bought, bought, other]), FILE, 1)
    clock.now += 7 * DAY - 1
    engine.load(Batch([bought]), FILE, 2)
    assert engine.intake("shop") == Intake(accepted=1, duplicate=2)
    assert engine.intake("blog") == Intake(accepted=1)
    clock.now += 2
    engine.load(Batch([bought]), FILE, 3)
    assert engine.intake("shop") == Intake(accepted=2, duplicate=2)


def test_what_is_known_of_files_and_counted_is_there_when_the_engine_is_opened_again(
    site: Embedded | ClickHouse,
) -> None:
    engine = site.open()
    engine.load(Batch([entry(1, "signup")], expected={7: 3, 9: 1}, lost=2), FILE, 10)
    refused = Batch(expected={7: 5})
    refused.refuse("shop", Reason.NAME)
    refused.refuse(NO_APP, Reason.NOT_A_LINE)
    engine.load(refused, FILE, 20)
    engine.load(Batch([entry(1, "signup")], lost=1), "000002.log", 5)
    for again in (False, True):
        engine = site.open() if again else engine
        assert dict(engine.offsets()) == {FILE: 20, "000002.log": 5}
        assert engine.expected()[FILE] == {7: 5, 9: 1}
        assert engine.lost() == 3
        assert engine.intake("shop") == Intake(accepted=2, refused=1, reasons=(("name", 1),), lost_lines=3)
    engine.forget(FILE)
    for again in (False, True):
        engine = site.open() if again else engine
        assert dict(engine.offsets()) == {"000002.log": 5}
        assert FILE not in engine.expected()
        assert engine.lost() == 3
        assert engine.intake(NO_APP).refused == 1


def test_a_batch_that_no_table_can_hold_is_refused_and_the_next_one_goes_in(site: Embedded | ClickHouse) -> None:
    engine = site.open()
    with pytest.raises(BatchRefused):
        engine.load(Batch([entry(1, "signup"), entry(2, "signup", phase=2**40)]), FILE, 1)
    engine.load(Batch([entry(3, "signup")]), FILE, 2)
    assert engine.intake("shop").accepted == 1
    assert len(site.rows()) == 1


def test_beacons_bring_a_bounded_number_of_names_into_an_app(site: Embedded | ClickHouse) -> None:
    engine = site.open()

    def beacon(name: str) -> Entry:
        return entry(1, name, source=EventSource.BEACON)

    engine.load(Batch([entry(1, "of-the-app"), exposure(1)]), FILE, 1)
    engine.load(Batch([beacon(f"n{number}") for number in range(BEACON_NAMES_LIMIT)]), FILE, 2)
    engine = site.open()
    engine.load(Batch([beacon("n1"), beacon("new"), entry(1, "new-of-the-app"), beacon("of-the-app")]), FILE, 3)
    assert engine.intake("shop").reasons == (("too many names", 2),)


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("statement", ["INSERT+INTO+{}.events", "INSERT+INTO+{}.progress", "INSERT+INTO+{}.names"])
def test_a_batch_whose_answer_did_not_come_is_in_once_when_asked_again(
    shards: Servers, clock: Clock, fault: Fault, statement: str
) -> None:
    entries = many(600)
    with relaying(*(server.port for server in shards.servers)) as relays:
        url = shards.url([relay.port for relay in relays])
        with closing(ClickHouse(shards, clock, url)) as site:
            engine = site.open()
            engine.load(Batch(entries[:200]), FILE, 1)
            at = relays[1 if "events" in statement else 0]
            at.fail(fault, statement.format(LedgerUrl.parse(url).database))
            new_name = [entry(5, "a-new-name")]
            with pytest.raises(LedgerUnavailable, match="shard"):
                engine.load(Batch(entries[200:400] + new_name), FILE, 2)
            assert at.met == [fault]
            assert engine.offsets() == {FILE: 2}
            engine.load(Batch(entries[400:]), FILE, 3)
            assert site.rows() == expected_rows(entries + new_name)


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("statement", ["INSERT+INTO+{}.events", "INSERT+INTO+{}.progress"])
def test_what_a_process_left_half_done_is_not_there_for_the_next_one(
    shards: Servers, clock: Clock, fault: Fault, statement: str
) -> None:
    entries = many(600)
    with relaying(*(server.port for server in shards.servers)) as relays:
        url = shards.url([relay.port for relay in relays])
        with closing(ClickHouse(shards, clock, url)) as site:
            engine = site.open()
            engine.load(Batch(entries[:200]), FILE, 1)
            relays[0].fail(fault, statement.format(LedgerUrl.parse(url).database))
            with pytest.raises(LedgerUnavailable, match="shard 1"):
                engine.load(Batch(entries[200:400]), FILE, 2)
            engine = site.open()  # as after a kill: nothing is remembered
            done = engine.offsets()[FILE]
            assert done == (2 if (fault, statement[12:]) == (Fault.NO_ANSWER, "{}.progress") else 1)
            if done == 1:
                engine.load(Batch(entries[200:500]), FILE, 2)  # read again, there may be more
                engine.load(Batch(entries[500:]), FILE, 3)
            else:
                engine.load(Batch(entries[400:]), FILE, 3)
            assert site.rows() == expected_rows(entries)


def test_while_a_shard_is_down_its_name_is_told_and_all_is_there_when_it_is_back(shards: Servers, clock: Clock) -> None:
    with_ids, without = many(200), [exposure(number) for number in range(100)]
    shard_2 = r"shard 2 of the cluster pair \(127\.0\.0\.1:\d+\)"
    with closing(ClickHouse(shards, clock)) as site:
        engine = site.open()
        engine.load(Batch(with_ids[:100]), FILE, 1)
        shards.servers[1].stop()
        try:
            with pytest.raises(LedgerUnavailable, match=shard_2):
                engine.load(Batch(with_ids[100:]), FILE, 2)
            assert engine.offsets() == {FILE: 1}  # it was not begun
            with pytest.raises(LedgerUnavailable, match=shard_2):
                engine.load(Batch(with_ids[100:] + without), FILE, 2)
            with pytest.raises(LedgerUnavailable, match=shard_2):
                engine.load(Batch(without), FILE, 2)
            with pytest.raises(LedgerUnavailable, match=shard_2):
                engine.offsets()  # one shard has its piece of it
            other = ClickHouseLedger(LedgerUrl.parse(site.url), clock)
            with pytest.raises(LedgerUnavailable, match=f"127.0.0.1:{shards.servers[1].port}"):
                other.offsets()
            other.close()
        finally:
            shards.servers[1].start()
        assert engine.offsets() == {FILE: 2}
        engine.load(Batch(with_ids[100:]), FILE, 3)
        assert site.rows() == expected_rows(with_ids + without)


def test_rows_of_a_visitor_are_on_the_shard_that_the_distributed_table_would_choose(
    shards: Servers, clock: Clock
) -> None:
    with closing(ClickHouse(shards, clock)) as site:
        site.open().load(Batch(many(300)), FILE, 1)
        database = LedgerUrl.parse(site.url).database
        for number, server in enumerate(shards.servers):
            places = server.ask(f"SELECT DISTINCT halfMD5(toString(visitor)) % 2 FROM {database}.events")
            assert places == f"{number}\n"
        assert shards.servers[0].ask(f"SELECT count() FROM {database}.events_everywhere") == f"{len(site.rows())}\n"


def test_questions_see_a_batch_whole_or_not_at_all(shards: Servers, clock: Clock) -> None:
    people = [exposure(number) for number in range(40)]
    bought = [entry(number, "purchase", 1.0) for number in range(40)]
    with relaying(*(server.port for server in shards.servers)) as relays:
        url = shards.url([relay.port for relay in relays])
        with closing(ClickHouse(shards, clock, url)) as site:
            engine = site.open()
            engine.load(Batch(people), FILE, 1)

            def seen() -> object:
                by_release = engine.releases("shop", "s1", [1], ["test"], [])
                return engine.cells(asked("purchase")), by_release, engine.names("shop")

            before = seen()
            relays[1].fail(Fault.NOT_SENT, f"INSERT+INTO+{LedgerUrl.parse(url).database}.events")
            with pytest.raises(LedgerUnavailable):
                engine.load(Batch(bought), FILE, 2)
            assert seen() == before
            assert engine.offsets() == {FILE: 2}
            assert [cell.events for cell in engine.cells(asked("purchase")).measures[0].cells] == [40]


def test_an_erased_visitor_has_no_row_left_and_does_not_come_back(site: Embedded | ClickHouse, clock: Clock) -> None:
    entries = many(300)
    theirs = [each for each in expected_rows(entries) if each[5] == visitor(3)]
    in_shop = [row for row in theirs if row[0] == "shop"]
    engine = site.open()
    clock.now += DAY
    engine.load(Batch(entries), FILE, 1)
    erased = engine.erase("shop", visitor(3))
    assert erased == Erased(events=len(in_shop), exposures=1)
    assert engine.erase("shop", visitor(3)) == Erased()
    assert engine.erase(None, visitor(3)) == Erased(events=len(theirs) - len(in_shop))
    clock.now += 8 * DAY  # ids are forgotten, the erasure is not
    for again in (False, True):
        engine = site.open() if again else engine
        engine.load(Batch([each for each in entries if each.visitor == visitor(3)]), FILE, 2)
    later = entry(3, "purchase", ts=clock.now)
    engine.load(Batch([later]), FILE, 3)
    assert dict(engine.intake("shop").reasons)["erased"] >= 2 * len(in_shop) > 0
    assert site.rows() == sorted(
        [row for row in expected_rows(entries) if row[5] != visitor(3)] + expected_rows([later]), key=repr
    )


def test_what_arrived_too_long_ago_goes_for_each_app(site: Embedded | ClickHouse, clock: Clock) -> None:
    engine = site.open()
    for _ in range(3):
        engine.load(Batch([entry(1, "a"), entry(2, "a", app="blog"), entry(3, "a", app="wiki")]), FILE, 1)
        clock.now += DAY
    removed = engine.remove_before({"shop": ASSIGNED_AT + 2 * DAY, "wiki": 0}, ASSIGNED_AT + DAY)
    assert {app: gone.events for app, gone in removed.items()} == {"shop": 2, "blog": 1}
    assert engine.remove_before({"shop": ASSIGNED_AT + 2 * DAY, "wiki": 0}, ASSIGNED_AT + DAY) == {}
    assert [row[0] for row in site.rows()] == ["blog", "blog", "shop", "wiki", "wiki", "wiki"]


def test_the_newest_rows_are_told_and_what_came_since(site: Embedded | ClickHouse, clock: Clock) -> None:
    engine = site.open()
    for number in range(4):
        batch = [entry(each, "purchase", float(number), ts=ASSIGNED_AT + each) for each in range(5)]
        engine.load(Batch([*batch, entry(9, "signup"), entry(1, "a", app="blog")]), FILE, number)
    tail = engine.newest("shop", "purchase", None, 7)
    assert [(row.value, row.visitor) for row in tail.rows] == [
        *((2.0, visitor(each)) for each in (3, 4)),
        *((3.0, visitor(each)) for each in range(5)),
    ]
    assert engine.newest("shop", None, tail.cursor, 7) == Tail(cursor=tail.cursor)
    sent = msgspec.structs.replace(entry(5, "b", 1.5, event_id="x"), split=None, variant="", dims='{"a":"b"}')
    engine.load(Batch([entry(each, "c") for each in range(9)] + [sent]), FILE, 9)
    since = engine.newest("shop", None, tail.cursor, 4)
    assert (len(since.rows), since.skipped) == (4, 6)
    (row,) = engine.newest("shop", "b", None, 100).rows
    assert (row.visitor, row.value, row.id, row.split, row.dims) == (visitor(5), 1.5, "x", None, '{"a":"b"}')


def test_rows_of_a_file_come_in_once_whenever_they_were_there_before(site: Embedded | ClickHouse, clock: Clock) -> None:
    engine = site.open()
    rows = [
        EventRow(visitor=visitor(number), name="a", ts=ASSIGNED_AT, id=f"i{number}", split="s1", variant="test")
        for number in range(6)
    ]
    clock.now += DAY
    engine.erase("shop", visitor(5))
    assert engine.bring_in("shop", rows[:3]) == Imported(accepted=3)
    clock.now += 30 * DAY
    engine = site.open()
    assert engine.bring_in("shop", rows) == Imported(accepted=2, duplicate=3, erased=1)
    assert engine.intake("shop").accepted == 5
    assert engine.offsets() == {}
    assert len(site.rows()) == 5


def test_events_as_such_are_counted_as_the_embedded_engine_does(
    site: Embedded | ClickHouse, tmp_path_factory: pytest.TempPathFactory, clock: Clock
) -> None:
    chance = random.Random(11)
    october = 1_698_541_200_000  # 29 October 2023 01:00 UTC: an hour comes twice in Berlin
    berlin = ((0, 3_600_000), (1_679_792_400_000, 7_200_000), (october, 3_600_000))
    entries = [
        msgspec.structs.replace(
            each, ts=october + chance.choice([1, 24, 24 * 40]) * chance.randrange(-9, 9) * 1_800_000
        )
        for each in many(600)
    ]
    questions = [
        RawQuestion(app="shop", unit=unit, offsets=offsets, event=event, split=split, since=since, until=until)
        for unit in (None, "hour", "day", "week", "month")
        for offsets in (((0, 0),), berlin)
        for event, split, since, until in (
            (None, None, None, None),
            ("$exposure", "s1", october - DAY, october),
            ("purchase", None, october, None),
        )
    ]
    with closing(Embedded(tmp_path_factory.mktemp("embedded"), clock)) as embedded:
        engines = site.open(), embedded.open()
        for engine in engines:
            engine.load(Batch(entries), FILE, 1)
        for question in questions:
            found, wanted = (engine.raw(question) for engine in engines)
            assert wanted.cells
            assert alike(found, wanted), (question, found, wanted)
        assert engines[0].raw(RawQuestion(app="nobody", unit="day")) == RawCells()


@pytest.mark.parametrize("form", list(Form))
def test_a_file_of_an_apps_rows_is_that_of_the_embedded_engine(
    site: Embedded | ClickHouse, tmp_path_factory: pytest.TempPathFactory, clock: Clock, form: Form
) -> None:
    directory = tmp_path_factory.mktemp("it's a file")
    with closing(Embedded(tmp_path_factory.mktemp("embedded"), clock)) as embedded:
        written = []
        for number, engine in enumerate((site.open(), embedded.open())):
            engine.load(Batch(many(400)), FILE, 1)
            file = directory / f"{number}"
            exported = engine.export(file, "shop", form, ASSIGNED_AT + 1, ASSIGNED_AT + 390)
            read = "read_parquet" if form is Form.PARQUET else f"read_{form.replace('ndjson', 'json')}"
            rows = duckdb.execute(f"SELECT * FROM {read}(?) ORDER BY ALL", [str(file)])
            written.append(([column[:2] for column in rows.description or []], rows.fetchall()))
            assert exported.rows == len(written[-1][1]) > 0
        assert written[0] == written[1]
        assert sorted(path.name for path in directory.iterdir()) == ["0", "1"]


def test_a_wrong_password_and_an_unknown_cluster_are_told(shards: Servers, clock: Clock) -> None:
    url = shards.url()
    for changed, told in (
        (url.replace("?cluster=pair", "?cluster=other"), "knows no cluster other"),
        (url.replace("balancer:", "balancer:not"), "refuses: Code: 193"),
    ):
        engine = ClickHouseLedger(LedgerUrl.parse(changed), clock)
        with pytest.raises(LedgerUnavailable, match=told):
            engine.offsets()
        engine.close()


def test_servers_are_spoken_to_without_the_proxy_of_the_environment(
    shards: Servers, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with closing(ClickHouse(shards, clock)) as site:
        assert site.open().offsets() == {}


def test_a_piece_of_which_a_part_is_there_is_deleted_and_sent_again(shards: Servers, clock: Clock) -> None:
    entries = many(400)
    with relaying(*(server.port for server in shards.servers)) as relays:
        url = shards.url([relay.port for relay in relays])
        database = LedgerUrl.parse(url).database
        with closing(ClickHouse(shards, clock, url)) as site:
            engine = site.open()
            engine.load(Batch(entries[:200]), FILE, 1)
            relays[1].fail(Fault.NOT_SENT, f"INSERT+INTO+{database}.events")
            with pytest.raises(LedgerUnavailable):
                engine.load(Batch(entries[200:]), FILE, 2)
            columns = "row, app, split, phase, variant, visitor, assigned_at, name, ts, event_key, source, stood_in"
            events = f"{database}.events"
            arrived = int(shards.servers[0].ask(f"SELECT DISTINCT arrived FROM {events} WHERE batch = 2"))
            shards.servers[1].ask(
                f"INSERT INTO {events} (batch, arrived, {columns}) "
                f"SELECT 2, {arrived}, {columns} FROM {events} WHERE batch = 1 LIMIT 5"
            )
            assert engine.offsets() == {FILE: 2}
            assert site.rows() == expected_rows(entries)


def test_cells_releases_and_names_are_those_of_the_embedded_engine(
    site: Embedded | ClickHouse, tmp_path_factory: pytest.TempPathFactory, clock: Clock
) -> None:
    chance = random.Random(7)
    entries = [
        msgspec.structs.replace(
            each,
            release=chance.choice([None, 3, 4]),
            stood_in=chance.random() < 0.2,
            phase=chance.choice([1, 2]),
            variant=chance.choice(["test"] * 20 + ["master"]) if int(each.visitor[-2:], 16) % 2 else "master",
            ts=each.ts + chance.randrange(-2000, 2000),
        )
        for each in many(900, seed=3)
        if each.split
    ]
    purchases = asked("purchase", of=tuple(What))
    marks = [Mark(variant="test", release=3, since=0), Mark(variant="test", release=4, since=ASSIGNED_AT + 500)]
    with closing(Embedded(tmp_path_factory.mktemp("embedded"), clock)) as embedded:
        engines = site.open(), embedded.open()
        for engine in engines:
            for start in range(0, len(entries), 100):
                engine.load(Batch(entries[start : start + 100]), FILE, start)
        ours, wanted = (
            [
                engine.cells(replace(purchases, phases=(2, 1), variants=("test", "master"))),
                engine.cells(replace(purchases, phases=(2,), variants=("master",))),
                engine.releases("shop", "s1", [1, 2], ["master", "test"], marks),
                engine.releases("shop", "s1", [1], ["test"], []),
                engine.names("shop"),
                engine.cells(replace(purchases, app="nobody")),
            ]
            for engine in engines
        )
        for found, of_embedded in zip(ours, wanted, strict=True):
            assert alike(found, of_embedded), (found, of_embedded)
        assert engines[0].cells(purchases).multiple > 0
