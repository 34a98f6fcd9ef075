"""A ledger full of made-up visitors, made by SQL in the tables that the ledger itself has made.

Visitors come one after the other over four weeks; each is exposed once and does nine things within three days, a tenth
of them `signup`, a tenth `purchase` with a value. A phase changes after two weeks. Rows stand in the order of their
arrival, as the ledger's intake writes them.
"""

import os
from pathlib import Path

import duckdb

from balancer.domain.entry import EXPOSURE, Batch, Entry
from balancer.domain.event import EventSource
from balancer.domain.split import SplitId
from balancer.stats.cells import Measure, Part, SplitQuestion, What
from balancer.store.ledger import DuckLedger
from balancer.store.ledger_names import count_names

EVENTS_EACH = 10
STARTED_AT = 1_700_000_000_000
SPAN = 28 * 86_400_000
# 2100: whatever the clock says, all has arrived and all windows are over.
AS_OF = 4_102_444_800_000
WINDOW = 72 * 3_600_000
# 1 M rows a statement: about what is sorted in memory.
CHUNK = 1_000_000
NAMES = {"view": 50, "click": 70, "scroll": 80, "signup": 90, "purchase": 100}
"""Events of a name, and how many in a hundred are of it or of one before."""
_ROWS = """
INSERT INTO events BY NAME
WITH places AS (
    SELECT i, hash(i) AS h, i % {each} = 0 AS exposed,
           CASE WHEN exposed THEN i // {each} ELSE greatest(0, i // {each} - (h % {reach})::BIGINT) END AS who
    FROM range({first}, {last}) AS places(i)
)
SELECT {app} AS app, 1 AS split, if(who < {visitors} // 2, 1, 2) AS phase,
       if(hash(who + 7) % 2 = 0, 'master', 'test') AS variant, 3 AS release, md5(who::VARCHAR)::UUID AS visitor,
       {start} + (who * {each} * {span} / {events})::BIGINT AS assigned_at,
       CASE WHEN exposed THEN {exposure} {named} END AS name,
       CASE WHEN NOT exposed AND (h >> 8) % 100 >= 90 THEN 5 + ((h >> 20) % 10000) / 100 END AS value,
       {start} + (i * {span} / {events})::BIGINT AS ts, ts + 500 AS arrived,
       CASE WHEN exposed THEN {edge} WHEN (h >> 40) % 5 = 0 THEN {header} ELSE {beacon} END AS source,
       false AS stood_in
FROM places ORDER BY i
"""
_EXPOSURES = """
INSERT INTO exposures BY NAME
SELECT app, split, visitor, assigned_at, phase, variant, false AS multiple FROM events WHERE name = ?
"""


def question(suffix: str = "") -> SplitQuestion:
    """Return what the report asks: who signed up, and what was earned, a visitor, within three days.

    Another `suffix` to the names makes it a question that was not asked before.
    """
    return SplitQuestion(
        app="shop",
        split="s1",
        phases=(1, 2),
        variants=("master", "test"),
        measures=(
            Measure(name=f"signup{suffix}", y=Part(event="signup", what=What.HAPPENED), until=WINDOW),
            Measure(name="revenue", y=Part(event="purchase", what=What.VALUES), until=WINDOW),
        ),
        as_of=AS_OF,
    )


def make_ledger(path: Path, events: int) -> float:
    """Make a ledger of `events` rows of a tenth as many visitors, and return its bytes on disk for each."""
    ledger = DuckLedger(path)
    for source in (EventSource.HEADER, EventSource.BEACON):
        ledger.load(Batch([_entry(name, source) for name in NAMES]), "made", 0)
    ledger.load(Batch([_entry(EXPOSURE, EventSource.EDGE)]), "made", 0)
    ledger.close()
    spill = path.with_name(f"{path.name}.tmp")
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": "400MB", "threads": 2, "preserve_insertion_order": False, "temp_directory": str(spill),
    }  # fmt: skip
    with duckdb.connect(str(path), config=config) as connection:
        for table in ("events", "exposures", "intake", "offsets"):
            connection.execute(f"DELETE FROM {table}")
        numbers = dict(connection.execute("SELECT word, id FROM words").fetchall())
        named = " ".join(f"WHEN (h >> 8) % 100 < {up_to} THEN {numbers[name]}" for name, up_to in NAMES.items())
        visitors = events // EVENTS_EACH
        for first in range(0, events, CHUNK):
            rows = _ROWS.format(
                first=first, last=min(events, first + CHUNK), events=events, visitors=visitors, each=EVENTS_EACH,
                reach=max(1, visitors * 3 // 28), start=STARTED_AT, span=SPAN, named=named, app=numbers["shop"],
                exposure=numbers[EXPOSURE], **{each.value: numbers[each.value] for each in EventSource
                                               if each.value in numbers},
            )  # fmt: skip
            connection.execute(rows)
        connection.execute(_EXPOSURES, [numbers[EXPOSURE]])
        count_names(connection)
        connection.execute("CHECKPOINT")
    return os.path.getsize(path) / events  # noqa: PTH202 # as plain as can be


def _entry(name: str, source: EventSource) -> Entry:
    return Entry(
        app="shop", split=SplitId("s1"), variant="master", phase=1, visitor="00000000-0000-4000-8000-000000000000",
        assigned_at=STARTED_AT, ts=STARTED_AT, name=name, value=None, id=None, source=source, release=None,
        stood_in=False,
    )  # fmt: skip
