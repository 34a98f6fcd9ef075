"""The commands about events, on a whole platform: counted by day, watched, exported, imported, erased."""

import itertools
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer.errors import NotFound
from balancer.wire.events import SentEventBody
from browsing import Browser
from running import BALANCER, Running, app_files
from waiting import until


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Give a platform with a shop in Apia, which is a day ahead, whose two branches were shared among 12 visitors."""
    running = Running(tmp_path_factory.mktemp("platform"))
    try:
        running.start()
        shop = running.create("shop")
        files = {**app_files("1"), "balancer.toml": 'timezone = "Pacific/Apia"\n'}
        for branch in ("master", "test"):
            shop.commit(files, branch)
            shop.push(branch)
        running.split("shop", master=50, test=50)
        for _ in range(12):
            visitor = Browser(running.port, "shop.localhost")
            for _ in range(3):
                assert visitor.get("/buy=2.5").status == 200
        until(lambda: len(rows(running)) >= 12 * 3, 60)  # 12 exposures, 24 purchases: the first request has no cookie
        yield running
    finally:
        running.end()


def rows(running: Running) -> list[dict[str, object]]:
    done = running.command("events", "tail", "shop", "-n", "1000", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


def imported(running: Running, app: str, file: Path) -> tuple[int, dict[str, object]]:
    done = running.command("events", "import", app, str(file), "--json")
    return done.returncode, json.loads(done.stdout)


def test_events_are_counted_by_day_in_the_time_zone_of_the_app(platform: Running) -> None:
    found = platform.json("stats", "shop", "--by", "day", "--event", "purchase")
    assert isinstance(found, dict)
    assert found["timezone"] == "Pacific/Apia"
    assert {row["branch"] for row in found["totals"]} <= {"master", "test"}
    assert sum(row["visitors"] for row in found["totals"]) == 12
    assert {row["mean"] for row in found["totals"]} == {2.5}
    assert all(bucket["start"].endswith("+13:00") for bucket in found["buckets"])
    printed = platform.command("stats", "shop", "--by", "hour").stdout
    assert "purchase" in printed
    assert "Pacific/Apia" in printed
    csv = platform.command("stats", "shop", "--from", "2026-01-01", "--csv").stdout.splitlines()
    assert csv[0] == "event,branch,bucket,count,valued,mean,sd,visitors"


def test_a_range_that_does_not_hold_and_a_split_that_is_none_are_refused(platform: Running) -> None:
    for words, said in (
        (("--from", "yesterday"), "is no date"),
        (("--from", "2026-11-02", "--to", "2026-11-01"), "there is no time"),
        (("--split", "17"), "is no id of a split"),
        (("--by", "release", "--event", "x"), "--by release cuts a report"),
    ):
        done = platform.command("stats", "shop", *words)
        assert done.returncode == 2
        assert said in done.stderr


def test_events_are_shown_as_they_come(platform: Running) -> None:
    tail = subprocess.Popen(
        [BALANCER, "events", "tail", "shop", "-f", "-n", "0", "--event", "late", "--json"],
        env=platform.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    shown: list[str] = []
    reading = threading.Thread(target=lambda: shown.extend(tail.stdout or ()), daemon=True)
    reading.start()
    visitor, sent = rows(platform)[0]["visitor"], itertools.count()

    def send(name: str = "late") -> None:
        platform.client.send_events(
            "shop", [SentEventBody(visitor=str(visitor), name=name, value=3, id=f"late-{next(sent)}")]
        )

    def follows() -> bool:
        """Tell whether it shows events by now; what came before it began to follow it does not."""
        send()
        return bool(shown)

    try:
        until(follows, 60)
        send("other")
        send()
        last = next(sent) - 1
        until(lambda: f"late-{last}" in shown[-1], 60)
    finally:
        tail.terminate()
        tail.wait(60)
        reading.join(60)
        assert tail.stdout is not None
        tail.stdout.close()
    seen = [json.loads(line) for line in shown]
    assert {(row["name"], row["value"], row["source"]) for row in seen} == {("late", 3.0, "api")}
    numbers = [int(row["id"].removeprefix("late-")) for row in seen]
    assert numbers == [number for number in range(numbers[0], last + 1) if number != last - 1], "each once"


@pytest.mark.parametrize("form", ["parquet", "csv", "ndjson"])
def test_what_is_exported_is_imported_once(platform: Running, tmp_path: Path, form: str) -> None:
    file, copy = tmp_path / f"shop.{form}", f"copy-{form}"
    told = platform.json("events", "export", "shop", "-o", str(file))
    assert isinstance(told, dict)
    assert told["rows"] >= 36
    assert [each.name for each in tmp_path.iterdir()] == [file.name]
    assert not list((platform.data / "spool").glob("export-*"))
    platform.client.create_app(copy)
    status, first = imported(platform, copy, file)
    assert (status, first["accepted"], first["refused"]) == (0, told["rows"], 0)
    status, second = imported(platform, copy, file)
    assert (status, second["accepted"], second["duplicate"]) == (0, 0, told["rows"])
    original, again = (platform.json("stats", app, "--from", "2026-01-01") for app in ("shop", copy))
    assert isinstance(original, dict)
    assert isinstance(again, dict)
    assert again["totals"] == original["totals"]


def test_an_import_tells_line_by_line_what_it_refuses(platform: Running, tmp_path: Path) -> None:
    platform.client.create_app("old")
    visitor = "0b9f7ab4-6c1e-4bd8-9d2c-0f5f43f2b2aa"
    file = tmp_path / "old.csv"
    lines = (
        "visitor,name,value,ts,id",
        f"{visitor},paid,9.5,2001-02-03T04:05:06Z,",
        "me,paid,1,1000,",
        f"{visitor},,,,",
    )
    file.write_text("\n".join(lines) + "\n")
    status, told = imported(platform, "old", file)
    assert (status, told["accepted"], told["refused"]) == (1, 1, 2)
    assert [(each["line"], each["reason"]) for each in told["refusals"]] == [(3, "visitor"), (4, "time")]  # type: ignore[attr-defined]
    done = platform.command("events", "import", "old", str(file))
    assert "line 3: visitor" in done.stdout
    assert "0 accepted, 1 there already, 2 refused" in done.stdout
    found = platform.json("stats", "old", "--by", "month")
    assert isinstance(found, dict)
    assert [(row["bucket"], row["branch"], row["mean"]) for row in found["rows"]] == [("2001-02", None, 9.5)]


def test_what_cannot_be_exported_leaves_no_file(platform: Running, tmp_path: Path) -> None:
    done = platform.command("events", "export", "nowhere", "-o", str(tmp_path / "x.csv"))
    assert done.returncode == NotFound.exit_code
    assert list(tmp_path.iterdir()) == []


def test_an_erased_visitor_is_gone_and_the_log_does_not_say_who(platform: Running) -> None:
    there = [row for row in rows(platform) if row["name"] == "$exposure"]
    visitor = str(there[0]["visitor"])
    told = platform.json("visitors", "erase", "shop", visitor, "--yes")
    assert isinstance(told, dict)
    assert told["events"] >= 2
    assert visitor not in {row["visitor"] for row in rows(platform)}
    again = platform.json("visitors", "erase", "--all", visitor, "--yes")
    assert isinstance(again, dict)
    lines = [entry for entry in platform.log() if entry["message"] == "visitor.erased"]
    assert [entry["app"] for entry in lines] == ["shop", "all"]
    assert visitor not in json.dumps(lines)
    assert platform.command("visitors", "erase", visitor).returncode == 2
