"""An experiment from its metrics to the report that stays: real visitors, declared metrics, cuts, one verdict."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from browsing import Browser
from running import Running, app_files, running
from waiting import until

APP, HOST = "shop", "shop.localhost"
# 20 s: longer than all of them take to come, so that nobody is late who buys at once.
WINDOW = 20
METRICS = f"""
[metrics.bought]
kind = "converted"
event = "purchase"
window = "{WINDOW}s"

[metrics.revenue]
kind = "sum"
event = "purchase"
cap = 50
window = "{WINDOW}s"

[metrics.checkout]
kind = "funnel"
steps = ["cart", "purchase"]
window = "{WINDOW}s"

[metrics.latency]
kind = "quantile"
event = "$exposure"
quantile = 0.9
window = "{WINDOW}s"
"""
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1"
DESKTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@dataclass
class Crowd:
    """What the visitors of a branch did."""

    visitors: int = 0
    bought: int = 0
    spent: float = 0.0
    put_in_cart: int = 0
    phones: int = 0


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("experiment")) as started:
        repository = started.create(APP)
        repository.commit({**app_files("one"), "balancer.toml": METRICS})
        repository.push("master")
        repository.commit({**app_files("two"), "balancer.toml": METRICS}, "test")
        repository.push("test")
        yield started


def come(platform: Running, count: int) -> dict[str, Crowd]:
    """Let visitors come; of `test` each buys, of `master` every fifth, for 10 and sometimes for 1,000."""
    crowds = {"master": Crowd(), "test": Crowd()}
    for number in range(count):
        browser = Browser(platform.port, HOST)
        agent = PHONE if number % 3 == 0 else DESKTOP
        browser.get(User_Agent=agent)
        browser.get(User_Agent=agent)
        crowd = crowds[browser.variant]
        crowd.visitors += 1
        crowd.phones += agent == PHONE
        if browser.variant == "test" or crowd.visitors % 5 == 0:
            price = 1000 if crowd.bought % 7 == 0 else 10
            if crowd.bought % 2 == 0:
                browser.request("POST", "/_balancer/events", b'{"name": "cart"}')
                crowd.put_in_cart += 1
            browser.get(f"/buy={price}")
            crowd.bought += 1
            crowd.spent += min(price, 50)
    return crowds


def report(platform: Running, *options: str) -> dict[str, Any]:
    found = platform.json("stats", APP, *options)
    assert isinstance(found, dict)
    return found


def outcomes(found: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """Return the outcomes of a metric by branch."""
    (metric,) = (each for each in found["metrics"] if each["metric"] == name)
    return {outcome["branch"]: outcome for outcome in metric["outcomes"]}


def figures(found: object) -> Iterator[float]:
    """Give every number in a part of a report, in order."""
    if isinstance(found, dict | list):
        for each in found.values() if isinstance(found, dict) else found:
            yield from figures(each)
    elif isinstance(found, int | float):
        yield found


def test_an_experiment_from_its_metrics_to_the_report_that_stays(platform: Running) -> None:
    platform.command("split", "start", APP, "master=50", "test=50", "--metric", "bought", "--name", "Two")
    crowds = come(platform, 300)
    visitors = {branch: crowd.visitors for branch, crowd in crowds.items()}

    early = report(platform)
    assert early["verdict"]["verdict"] in ("not enough data", "ship"), "some may be mature already"
    until(lambda: {b: o["mature"] for b, o in outcomes(report(platform), "bought").items()} == visitors, WINDOW + 100)

    found = report(platform)
    assert not found["sample_ratio"]["alarm"]
    assert [metric["metric"] for metric in found["metrics"]] == ["bought", "checkout", "latency", "revenue"]
    for branch, crowd in crowds.items():
        bought, revenue, checkout = (outcomes(found, name)[branch] for name in ("bought", "revenue", "checkout"))
        assert (bought["visitors"], bought["converted"]) == (crowd.visitors, crowd.bought)
        assert revenue["value"] == pytest.approx(crowd.spent / crowd.visitors)
        assert 0 <= outcomes(found, "latency")[branch]["quantile"] < 10_000, "milliseconds"
        assert checkout["reached"] == [crowd.put_in_cart, crowd.put_in_cart]
    assert (found["verdict"]["verdict"], found["verdict"]["variant"]) == ("ship", "test")
    shown = platform.command("stats", APP, "--over-time").stdout
    assert "Verdict: ship – test is better than the control" in shown
    assert "the effect over time" in shown

    by_device = report(platform, "--by", "device")
    cut = {
        each["bucket"]: Counter({o["branch"]: o["visitors"] for o in each["outcomes"]}) for each in by_device["cuts"]
    }
    assert cut["mobile"] == Counter({branch: crowd.phones for branch, crowd in crowds.items()})
    assert cut["desktop"] == Counter({branch: crowd.visitors - crowd.phones for branch, crowd in crowds.items()})

    platform.command("split", "conclude", APP, "--winner", "test")
    kept = report(platform, "--split", "s1")
    assert (kept["state"], kept["looked_at"]) == ("concluded", kept["ended_at"])
    assert outcomes(kept, "bought")["test"]["converted"] == crowds["test"].bought
    platform.command("split", "start", APP, "master=50", "test=50", "--metric", "bought")
    come(platform, 20)
    until(lambda: sum(each["visitors"] for each in report(platform)["variants"]) == 20, 30)
    assert report(platform, "--split", "s1") == kept
    again = report(platform, "--split", "s1", "--again")
    for key in ("metrics", "verdict", "variants", "phases", "effect"):
        assert list(figures(again[key])) == pytest.approx(list(figures(kept[key])), rel=1e-9)
    rows = list(csv.DictReader(io.StringIO(platform.command("stats", APP, "--split", "s1", "--csv").stdout)))
    assert [(row["metric"], row["branch"]) for row in rows[:2]] == [("bought", "master"), ("bought", "test")]
    assert float(rows[1]["value"]) == outcomes(kept, "bought")["test"]["value"]
