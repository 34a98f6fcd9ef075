"""How many events of batches are taken in, a second of one core's time, and how long a batch waits for its 202.

    make bench-event-batches [ARGS="--events 300000 --per-second 100000 --seconds 10"]

Three parts. Check: a body of 10,000 events becomes what the spool keeps (decode, check, encode); once as it should be,
once with one wrong event in each batch, which is then gone through item by item. Load: the ledger's own process reads
a spool that is full, as `bench/ledger_intake.py` does with the edge log; all its CPU time counts. Serve: a whole
platform is sent batches at a steady rate by one process, and each 202 is timed from the first byte sent.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from balancer.domain.sent import SentBatch
from balancer.domain.sent_body import Form
from balancer.domain.sent_check import check
from balancer.store.ledger_client import LedgerClient
from balancer.store.spool_lines import line_of
from ledger_intake import _behind, _cpu_seconds, _started, _until
from running import running

BATCH = 10_000
_NAMES = ("view", "click", "signup", "purchase")
_DONE_SECONDS = 300.0


def body_of(dice: random.Random, count: int, *, with_ids: bool = False) -> bytes:
    """Return a batch as servers send it."""
    now = int(time.time() * 1000)
    events = [
        {
            "visitor": str(uuid.UUID(int=dice.getrandbits(128), version=4)),
            "name": dice.choice(_NAMES),
            "value": round(dice.expovariate(1 / 40), 2),
            "ts": now - dice.randrange(100_000),
            **({"id": f"order-{dice.getrandbits(60)}"} if with_ids else {}),
        }
        for _ in range(count)
    ]
    return json.dumps(events, separators=(",", ":")).encode()


def checked_per_second(body: bytes, rounds: int = 10) -> float:
    """Return how many events of a batch are checked and encoded in a second of one core's time."""
    began, now = time.process_time(), int(time.time() * 1000)
    for _ in range(rounds):
        line_of(SentBatch("shop", check(body, Form.JSON, now).events, {}))
    return rounds * BATCH / (time.process_time() - began)


def loaded_per_second(count: int, *, with_ids: bool) -> float:
    """Return how many events the ledger's process takes in from the spool in a second of one core's time."""
    dice = random.Random(60)
    with tempfile.TemporaryDirectory(prefix="balancer-bench-") as made:
        directory = Path(made)
        ledger = _started(directory)
        try:
            client = LedgerClient(directory / "run" / "ledger.sock")
            _until(lambda: _behind(client) == 0, 30)
            with (directory / "written").open("wb") as file:
                for _ in range(count // BATCH):
                    events = check(body_of(dice, BATCH, with_ids=with_ids), Form.JSON, int(time.time() * 1000)).events
                    file.write(line_of(SentBatch("shop", events, {})))
            before = _cpu_seconds(ledger.pid)
            (directory / "written").rename(directory / "spool" / "000001.ndjson")
            _until(lambda: _behind(client) == 0, _DONE_SECONDS)
            spent = _cpu_seconds(ledger.pid) - before
            taken = asyncio.run(client.intake("shop")).accepted
        finally:
            ledger.terminate()
            ledger.wait(30)
    assert taken == count // BATCH * BATCH
    return taken / spent


async def waits_of(url: str, token: str, per_second: int, seconds: float) -> tuple[list[float], float]:
    """Send batches at a rate; return how many seconds each waited for its 202, and how many it took in all."""
    dice = random.Random(7)
    bodies = [body_of(dice, BATCH) for _ in range(10)]
    waits: list[float] = []
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    async def send(client: httpx.AsyncClient, body: bytes) -> None:
        began = time.monotonic()
        answer = await client.post("/api/apps/shop/events", content=body, headers=headers)
        assert (answer.status_code, answer.json()["accepted"]) == (202, BATCH), answer.text[:300]
        waits.append(time.monotonic() - began)

    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client, asyncio.TaskGroup() as sending:
        began = time.monotonic()
        for number in range(int(per_second * seconds / BATCH)):
            due = began + number * BATCH / per_second
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            sending.create_task(send(client, bodies[number % len(bodies)]))
    return sorted(waits), time.monotonic() - began


def served(per_second: int, seconds: float) -> dict[str, float]:
    """Return what a whole platform does under a steady rate of batches."""
    with tempfile.TemporaryDirectory(prefix="balancer-bench-") as made, running(Path(made)) as platform:
        platform.client.create_app("shop")
        token = (platform.data / "operator.token").read_text().strip()
        client = LedgerClient(platform.data / "run" / "ledger.sock")
        before = _cpu_seconds(platform.daemon_pid()), _cpu_seconds(platform.ledger_pid())
        url = f"http://127.0.0.1:{platform.admin_port}"
        waits, sent_in = asyncio.run(waits_of(url, token, per_second, seconds))
        ended = time.monotonic()
        _until(lambda: _behind(client) == 0, _DONE_SECONDS)
        read_after = time.monotonic() - ended
        after = _cpu_seconds(platform.daemon_pid()), _cpu_seconds(platform.ledger_pid())
        sent = len(waits) * BATCH
        lost = sent - asyncio.run(client.intake("shop")).accepted
    return {
        "events": sent,
        "per_second": round(sent / sent_in),
        "read_after_s": round(read_after, 2),
        "p50_ms": round(statistics.median(waits) * 1000),
        "p99_ms": round(waits[max(0, int(len(waits) * 0.99) - 1)] * 1000),
        "daemon_per_core": round(sent / (after[0] - before[0])),
        "ledger_per_core": round(sent / (after[1] - before[1])),
        "lost": lost,
    }


def _printed(what: str, measure: Callable[[], float], runs: int) -> float:
    found = [measure() for _ in range(runs)]
    print(f"{what:<52} {', '.join(f'{each:>9,.0f}' for each in found)} events/s of a core", flush=True)
    return statistics.median(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--events", type=int, default=300_000)
    asked.add_argument("--per-second", type=int, default=100_000)
    asked.add_argument("--seconds", type=float, default=10)
    asked.add_argument("--runs", type=int, default=3)
    options = asked.parse_args(arguments)
    dice = random.Random(1)
    right = body_of(dice, BATCH)
    wrong = right[:-1].rpartition(b",{")[0] + b',{"visitor":"nobody"}]'
    figures: dict[str, object] = {
        "check_per_s": round(_printed("check and encode", lambda: checked_per_second(right), options.runs)),
        "check_item_by_item_per_s": round(
            _printed("the same, one wrong event in each batch", lambda: checked_per_second(wrong), options.runs)
        ),
        "load_per_s": round(_printed("load", lambda: loaded_per_second(options.events, with_ids=False), options.runs)),
        "load_with_ids_per_s": round(
            _printed("load, each with an id", lambda: loaded_per_second(options.events, with_ids=True), options.runs)
        ),
    }
    whole = served(options.per_second, options.seconds)
    print(", ".join(f"{name} {figure:,}" for name, figure in whole.items()))
    print(json.dumps(figures | {"served": whole, "ingest_api_per_s": whole["per_second"]}))


if __name__ == "__main__":
    main()
