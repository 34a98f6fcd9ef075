"""The collector, with real files and the real engine."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from balancer.domain.entry import Batch, Reason
from balancer.domain.sent import SentBatch, SentEvent
from balancer.proxy.accesslog import read_line
from balancer.services import collect
from balancer.services.collect import BATCH_ENTRIES, READ_BYTES, Collector, ReadLine, Source, edge_source
from balancer.store import spool_lines
from balancer.store.ledger import DuckLedger
from balancer.store.spool_lines import LONGEST_LINE_BYTES, line_of
from edge_lines import ASSIGNED_AT, cookie, line, visitor
from entries import counted

NOW = ASSIGNED_AT / 1000
HOUR = 3600


class Site:
    """A data directory with its ledger."""

    def __init__(self, directory: Path) -> None:
        self.edge = directory / "edge"
        self.refused = directory / "refused"
        self.edge.mkdir()
        self.ledger = DuckLedger(directory / "ledger.duckdb")

    def collector(self, read: ReadLine = read_line, engine: collect.Engine | None = None) -> Collector:
        return Collector(
            sources=[edge_source(self.edge, read)],
            refused=self.refused,
            engine=engine or self.ledger,
            now=lambda: NOW,
        )

    def write(self, name: str, *lines: bytes, end: bytes = b"\n") -> None:
        with (self.edge / name).open("ab") as file:
            file.write(b"\n".join(lines) + end)

    def touch(self, name: str, hours_ago: float) -> None:
        then = NOW - hours_ago * HOUR
        os.utime(self.edge / name, (then, then))

    def counts(self) -> dict[str, int]:
        """Return how often each event is in."""
        return counted(self.ledger)

    def not_lines(self) -> int:
        return self.ledger.intake("-").refused


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.ledger.close()


def drain(collector: Collector) -> int:
    """Collect until there is no more, and return the number of batches."""
    batches = 0
    while collector.collect():
        batches += 1
    return batches


def event(name: str) -> bytes:
    return line(exposed="1", event=name)


def numbered(number: int, worker: int = 71) -> bytes:
    return line(event="a", n=number, p=worker)


def test_what_is_written_is_taken_in_once(site: Site) -> None:
    site.write("000001.log", event("a"), event("b"))
    site.write("000002.log", event("b"))
    collector = site.collector()
    assert collector.behind_bytes() > 0
    drain(collector)
    assert site.counts() == {"a": 1, "b": 2}
    assert collector.behind_bytes() == 0
    assert drain(collector) == 0
    site.write("000002.log", event("c"))
    drain(collector)
    drain(site.collector())
    assert site.counts() == {"a": 1, "b": 2, "c": 1}


def test_files_are_read_in_the_order_of_their_names(site: Site) -> None:
    for name in ("000010.log", "000002.log", "000001.log"):
        site.write(name, event("a"))
    (site.edge / "000000.txt").write_bytes(event("a") + b"\n")
    collector = site.collector()
    seen = []
    while collector.collect():
        seen.append(set(site.ledger.offsets()))
    assert seen == [
        {"000001.log"},
        {"000001.log", "000002.log"},
        {"000001.log", "000002.log", "000010.log"},
    ]


def test_a_torn_last_line_waits_until_it_is_completed(site: Site) -> None:
    whole = event("late")
    site.write("000001.log", event("a"))
    site.write("000001.log", whole[:40], end=b"")
    collector = site.collector()
    drain(collector)
    assert site.counts() == {"a": 1}
    assert collector.behind_bytes() == 40
    site.write("000001.log", whole[40:])
    drain(collector)
    assert site.counts() == {"a": 1, "late": 1}
    assert site.not_lines() == 0


def test_notices_and_damaged_lines_are_counted_and_passed_over(site: Site) -> None:
    site.write("000001.log", b"[NOTICE] hello", event("a"), event("b")[:50], b"", event("c"))
    drain(site.collector())
    assert site.counts() == {"a": 1, "c": 1}
    assert site.not_lines() == 3


def test_much_is_taken_in_by_batches(site: Site) -> None:
    lines = [line(cookie=cookie(number), event="a") for number in range(BATCH_ENTRIES * 2 + 10)]
    site.write("000001.log", *lines)
    assert drain(site.collector()) == 3
    assert site.ledger.intake("shop").accepted == len(lines)


def test_a_line_without_end_longer_than_any_of_haproxys_is_passed_over(site: Site) -> None:
    site.write("000001.log", b"\0" * (READ_BYTES * 2 + 1), event("a"))
    drain(site.collector())
    assert site.counts() == {"a": 1}
    assert site.not_lines() == 3  # two pieces without an end, and the rest of it


def test_the_space_of_what_is_in_is_given_back_and_offsets_stay(site: Site) -> None:
    log = site.edge / "000001.log"
    site.write("000001.log", *[line(event="a", more="x" * 1000)] * 3000)
    size, blocks = log.stat().st_size, log.stat().st_blocks
    collector = site.collector()
    drain(collector)
    assert log.stat().st_size == size
    assert log.stat().st_blocks * 512 < blocks * 512 - size / 2
    site.write("000001.log", event("b"))
    drain(collector)
    assert site.counts() == {"a": 3000, "b": 1}


def test_where_space_cannot_be_given_back_collecting_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def refuse(file: Path, start: int, length: int) -> None:
        calls.append(file)
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(collect, "_punch_hole", refuse)
    site.write("000001.log", *[line(event="a", exposed="1", more="x" * 1000)] * 5000)
    drain(site.collector())
    assert site.counts() == {"a": 5000}
    assert len(calls) == 1


def test_a_file_goes_when_it_is_read_untouched_for_25_hours_and_not_the_newest(site: Site) -> None:
    for name, hours in (("000001.log", 26), ("000002.log", 24), ("000003.log", 99)):
        site.write(name, event("a"))
        site.touch(name, hours)
    drain(site.collector())
    assert sorted(file.name for file in site.edge.iterdir()) == ["000002.log", "000003.log"]
    assert set(site.ledger.offsets()) == {"000002.log", "000003.log"}
    assert site.counts() == {"a": 3}


def test_a_file_that_goes_with_a_torn_end_has_it_counted(site: Site) -> None:
    site.write("000001.log", event("a"), event("b")[:30], end=b"")
    site.touch("000001.log", 26)
    site.write("000002.log", event("c"))
    drain(site.collector())
    assert site.counts() == {"a": 1, "c": 1}
    assert site.not_lines() == 1
    assert not (site.edge / "000001.log").exists()


def test_a_batch_that_the_engine_refuses_is_set_aside_and_the_queue_moves_on(site: Site) -> None:
    def impossible(text: bytes, batch: Batch) -> None:
        read_line(text, batch)
        if b"poison" in text:
            batch.entries[-1] = msgspec.structs.replace(batch.entries[-1], ts=2**70)

    first = [event("a"), event("poison"), b"torn"]
    site.write("000001.log", *first)
    collector = site.collector(impossible)
    drain(collector)
    site.write("000001.log", event("b"))
    drain(collector)
    assert site.counts() == {"b": 1}
    assert (site.refused / "000001.log.0").read_bytes() == b"\n".join(first) + b"\n"
    assert site.ledger.intake("shop").reasons == (("set aside", 4),)
    assert site.not_lines() == 1


def test_a_load_of_unknown_ending_is_neither_lost_nor_done_twice(site: Site) -> None:
    class Unsure:
        """Fails after each second load was done, or before it was."""

        def __init__(self, ledger: DuckLedger) -> None:
            self.offsets = ledger.offsets
            self.expected = ledger.expected
            self.lost = ledger.lost
            self.forget = ledger.forget
            self._load = ledger.load
            self._calls = 0

        def load(self, batch: Batch, file: str, offset: int) -> None:
            self._calls += 1
            if self._calls % 4 == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            self._load(batch, file, offset)
            if self._calls % 4 == 0:
                raise OSError(errno.EIO, "Input/output error")

    collector = site.collector(engine=Unsure(site.ledger))
    failed = 0
    for number in range(12):
        site.write(f"{number:06}.log", event("a"))
        try:
            drain(collector)
        except OSError:
            failed += 1
    drain(collector)
    assert failed > 3
    assert site.counts() == {"a": 12}


def test_a_file_shorter_than_what_is_in_is_not_counted_again(site: Site) -> None:
    site.write("000001.log", event("a"), event("b"), event("c"))
    drain(site.collector())
    os.truncate(site.edge / "000001.log", 2 * (len(event("a")) + 1))
    collector = site.collector()
    drain(collector)
    site.write("000001.log", event("d"))
    drain(collector)
    assert site.counts() == {"a": 1, "b": 1, "c": 1, "d": 1}


def test_without_files_there_is_nothing_to_do(site: Site) -> None:
    site.edge.rmdir()
    collector = site.collector()
    assert not collector.collect()
    assert collector.behind_bytes() == 0


def test_numbers_that_never_come_are_lines_that_are_lost(site: Site) -> None:
    site.write("000001.log", numbered(2), numbered(3))
    collector = site.collector()
    drain(collector)
    assert collector.lost() == 2, "a worker begins with 0"
    site.write("000001.log", numbered(7))
    drain(collector)
    assert collector.lost() == site.ledger.lost() == site.ledger.intake("shop").lost_lines == 5
    assert site.ledger.intake("shop").accepted == 3


def test_each_worker_of_each_file_has_numbers_of_its_own(site: Site) -> None:
    site.write("000001.log", numbered(0, 71), numbered(0, 72), numbered(1, 71), numbered(1, 72), numbered(3, 71))
    site.write("000002.log", numbered(0, 71), numbered(1, 71))
    collector = site.collector()
    drain(collector)
    assert collector.lost() == 1
    assert site.ledger.expected() == {"000001.log": {71: 4, 72: 2}, "000002.log": {71: 2}}


def test_a_line_cut_in_the_middle_and_the_one_glued_to_it_are_lost_once_each(site: Site) -> None:
    site.write("000001.log", numbered(0), numbered(1)[:50] + numbered(4), b"[NOTICE] hello", numbered(5))
    collector = site.collector()
    drain(collector)
    assert collector.lost() == 4  # 1 and 4, and what the full disk refused between them
    assert site.not_lines() == 2


def test_lines_of_before_they_had_numbers_are_not_missed(site: Site) -> None:
    site.write("000001.log", event("a"), event("b"), numbered(0), event("c"), numbered(1))
    collector = site.collector()
    drain(collector)
    assert collector.lost() == 0


def test_a_ledger_that_is_killed_goes_on_with_the_numbers(site: Site) -> None:
    site.write("000001.log", numbered(0), numbered(4))
    drain(site.collector())
    site.write("000001.log", numbered(5), numbered(7))
    again = site.collector()
    assert again.lost() == 3
    drain(again)
    assert again.lost() == site.collector().lost() == 4


def test_a_load_of_unknown_ending_counts_what_is_lost_once(site: Site) -> None:
    class Unsure:
        """Fails after its first load was done, and before its second."""

        def __init__(self, ledger: DuckLedger) -> None:
            self.offsets, self.expected, self.lost, self.forget = (
                ledger.offsets,
                ledger.expected,
                ledger.lost,
                ledger.forget,
            )
            self._load = ledger.load
            self._calls = 0

        def load(self, batch: Batch, file: str, offset: int) -> None:
            self._calls += 1
            if self._calls != 2:
                self._load(batch, file, offset)
            if self._calls <= 2:
                raise OSError(errno.EIO, "Input/output error")

    collector = site.collector(engine=Unsure(site.ledger))
    for numbers in ((0, 3), (4, 6)):
        site.write("000001.log", *[numbered(number) for number in numbers])
        with pytest.raises(OSError, match="Input/output"):
            drain(collector)
    drain(collector)
    assert collector.lost() == site.ledger.lost() == 3


def test_lines_that_are_set_aside_are_not_lost_and_those_missing_among_them_are(site: Site) -> None:
    def impossible(text: bytes, batch: Batch) -> None:
        read_line(text, batch)
        if b"poison" in text:
            batch.entries[-1] = msgspec.structs.replace(batch.entries[-1], ts=2**70)

    site.write("000001.log", numbered(0), line(event="poison", n=3, p=71))
    collector = site.collector(impossible)
    drain(collector)
    site.write("000001.log", numbered(4))
    drain(collector)
    assert collector.lost() == site.ledger.lost() == 2


def test_what_is_known_of_a_file_goes_with_it(site: Site) -> None:
    for name in ("000001.log", "000002.log"):
        site.write(name, numbered(1))
        site.touch(name, 26)
    collector = site.collector()
    drain(collector)
    assert site.ledger.expected() == {"000002.log": {71: 2}}
    assert collector.lost() == 2


def test_what_is_lost_is_told_at_once_and_then_once_a_minute(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    now = NOW
    collector = Collector(
        sources=[edge_source(site.edge, read_line)], refused=site.refused, engine=site.ledger, now=lambda: now
    )
    for number in range(0, 20, 2):
        site.write("000001.log", numbered(number))
        drain(collector)
    now += 60
    drain(collector)
    drain(site.collector())
    told = [record for record in caplog.records if record.getMessage() == "ledger.lines.lost"]
    assert len(told) == 2


class TwoWays:
    """Both ways in, of one ledger."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.spool = site.edge.with_name("spool")
        self.spool.mkdir()

    def collector(self) -> Collector:
        spool = Source(
            directory=self.spool,
            pattern=f"*{spool_lines.SUFFIX}",
            read_line=spool_lines.read_line,
            longest_line_bytes=LONGEST_LINE_BYTES,
        )
        edge = edge_source(self.site.edge, read_line)
        return Collector(sources=[edge, spool], refused=self.site.refused, engine=self.site.ledger, now=lambda: NOW)

    def send(self, name: str, *events: SentEvent, torn: int = 0, **refused: int) -> bytes:
        whole = line_of(SentBatch("shop", [*events], {Reason[key]: count for key, count in refused.items()}))
        with (self.spool / name).open("ab") as file:
            file.write(whole[:-torn] if torn else whole)
        return whole

    def rows(self) -> list[tuple[object, ...]]:
        """Return the events that servers sent, as the engine has them."""
        with self.site.ledger._question() as connection:
            return connection.execute(
                "SELECT visitor::VARCHAR, split, variant, phase, assigned_at, ts, value, event_id, dims, stood_in "
                "FROM events WHERE source = (SELECT id FROM words WHERE kind = 'source' AND word = 'api') ORDER BY ts"
            ).fetchall()


@pytest.fixture
def ways(site: Site) -> TwoWays:
    return TwoWays(site)


def sent(number: int, *, event_id: str | None = None, dims: str | None = None) -> SentEvent:
    return SentEvent(visitor(number), ASSIGNED_AT + number, "purchase", float(number), event_id, dims)


def test_what_a_server_sent_is_a_row_of_its_visitor_and_of_no_split(ways: TwoWays) -> None:
    ways.send("000001.ndjson", sent(1), sent(2, event_id="order-2", dims='{"plan":"pro"}'), VALUE=2, PAST=1)
    drain(ways.collector())
    assert ways.rows() == [
        (visitor(1), 0, "", 0, 0, ASSIGNED_AT + 1, 1.0, None, None, False),
        (visitor(2), 0, "", 0, 0, ASSIGNED_AT + 2, 2.0, "order-2", '{"plan":"pro"}', False),
    ]
    intake = ways.site.ledger.intake("shop")
    assert (intake.accepted, intake.reasons) == (2, (("value", 2), ("past", 1)))


def test_an_id_counts_once_whichever_way_it_comes(ways: TwoWays) -> None:
    ways.site.write("000001.log", line(event="purchase=1;id=order-1"))
    ways.send("000001.ndjson", sent(1, event_id="order-1"), sent(2, event_id="order-2"))
    ways.send("000001.ndjson", sent(2, event_id="order-2"))
    drain(ways.collector())
    intake = ways.site.ledger.intake("shop")
    assert (intake.accepted, intake.duplicate) == (2, 2)


def test_a_torn_batch_is_not_in_and_a_segment_that_is_read_goes_at_once_but_the_newest(ways: TwoWays) -> None:
    ways.send("000001.ndjson", sent(1))
    ways.send("000001.ndjson", sent(2), sent(3), torn=5)
    collector = ways.collector()
    drain(collector)
    assert [row[5] for row in ways.rows()] == [ASSIGNED_AT + 1]
    assert [path.name for path in ways.spool.iterdir()] == ["000001.ndjson"]
    ways.send("000002.ndjson", sent(4))
    drain(collector)
    assert [path.name for path in ways.spool.iterdir()] == ["000002.ndjson"]
    assert len(ways.rows()) == 2
    assert set(ways.site.ledger.offsets()) == {"000002.ndjson"}


def test_other_files_beside_the_segments_are_nobodys_business(ways: TwoWays) -> None:
    (ways.spool / "archive.x7").write_bytes(b"nonsense\n")
    drain(ways.collector())
    assert (ways.spool / "archive.x7").exists()
    assert ways.site.not_lines() == 0


def test_a_batch_longer_than_what_is_read_at_once_is_taken_in_whole(ways: TwoWays) -> None:
    many = [sent(number, dims=json.dumps({"d": "x" * 64, "e": "y" * 64})) for number in range(30_000)]
    assert len(ways.send("000001.ndjson", *many)) > READ_BYTES
    ways.send("000001.ndjson", sent(99_999))
    drain(ways.collector())
    assert ways.site.ledger.intake("shop").accepted == 30_001


def test_much_of_one_way_does_not_hold_up_the_other(ways: TwoWays) -> None:
    ways.site.write("000001.log", *[line(event="a")] * BATCH_ENTRIES * 4)
    ways.send("000001.ndjson", sent(1))
    collector = ways.collector()
    assert collector.collect()
    assert collector.collect()
    assert len(ways.rows()) == 1
    drain(collector)
    assert ways.site.ledger.intake("shop").accepted == BATCH_ENTRIES * 4 + 1
    assert collector.behind_bytes() == 0
