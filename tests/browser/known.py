"""A platform with a split of which everything is known: who came when, and what they did."""

import contextlib
import json
import math
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from balancer.wire.rollouts import NewRollout
from running import Running, running

DAY = 86_400_000
# 14 days: two at 10 %, the others at half. All but the last three days' visitors are mature.
DAYS, FEW = 14, 2
VISITORS_A_DAY = 420
SEED = 20_261_126


@contextlib.contextmanager
def known(directory: Path) -> Iterator[Running]:
    """Give a shop whose rollout of `test` began 14 days ago, has half of the visitors, and sells more."""
    offset = directory / "offset"
    set_clock(offset, -DAYS)
    with running(directory, BALANCER_CLOCK_OFFSET=str(offset)) as platform:
        shop = platform.create("shop")
        shop.deploy("one")
        shop.deploy("two", "test")
        platform.declare("shop", "purchase")
        # What events imply is not implied where one of them is declared.
        platform.json("metrics", "set", "shop", "purchase.value", "--kind", "sum", "--event", "purchase")
        platform.client.start_rollout(
            "shop", NewRollout(branch="test", steps=[10, 50, 100], metric="purchase", step_seconds=3600)
        )
        set_clock(offset, -(DAYS - FEW))
        platform.client.change_rollout("shop", "advance")
        set_clock(offset, 0)
        began = platform.client.split("shop").phases[0].started_at
        bring_in(platform, list(rows(round(began.timestamp() * 1000))))
        yield platform


def set_clock(file: Path, days: float) -> None:
    """Set the clock of a platform some days forward."""
    fresh = file.with_suffix(".new")
    fresh.write_text(str(days * 86_400))
    fresh.replace(file)


def rows(began: int) -> Iterator[dict[str, object]]:
    """Give what happened: each visitor's exposure, and what some of them did."""
    chance = random.Random(SEED)
    now = round(datetime.now(UTC).timestamp() * 1000)
    for day in range(DAYS):
        for number in range(VISITORS_A_DAY):
            phase = 1 if day < FEW else 2
            variant = "test" if chance.random() < (0.1 if phase == 1 else 0.5) else "master"
            # 15 min from where anybody becomes mature: a page and a command a while later tell the same figures.
            assigned_at = began + day * DAY + round((number + 0.5) / VISITORS_A_DAY * DAY * 0.98) + 900_000
            if assigned_at > now - 60_000:
                continue
            row: dict[str, object] = {
                "visitor": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
                "split": "s1",
                "phase": phase,
                "variant": variant,
                "assigned_at": assigned_at,
                "dims": {"device": chance.choice(["mobile", "mobile", "desktop"])},
            }
            yield row | {"name": "$exposure", "ts": assigned_at}
            if chance.random() < 0.4:
                yield row | {"name": "cart", "ts": assigned_at + 20_000}
                if chance.random() < (0.45 if variant == "test" else 0.28):
                    value = round(math.exp(chance.gauss(3, 0.8)), 2)
                    yield row | {"name": "purchase", "ts": assigned_at + 40_000, "value": value}


def bring_in(platform: Running, found: list[dict[str, object]], name: str = "knownledger") -> None:
    """Bring rows in, and return when the ledger has them."""
    for first in range(0, len(found), 5000):
        lines = "\n".join(map(json.dumps, found[first : first + 5000])).encode()
        done = platform.client.import_events("shop", lines, name=name, first=first)
        assert not done.refused, done.refused[:3]
