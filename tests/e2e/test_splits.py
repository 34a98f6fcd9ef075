"""A split, seen by visitors: cookies, exposures, headers, branch hosts, events, and the report of them."""

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from balancer.services.report import Report
from balancer.wire.splits import WeightsBody
from browsing import Browser
from running import Running, app_files, running
from waiting import until

APP, HOST = "shop", "shop.localhost"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("splits")) as started:
        repository = started.create(APP)
        repository.deploy("one", "master")
        repository.deploy("two", "test")
        yield started


@pytest.fixture
def split(platform: Running) -> Iterator[Running]:
    platform.split(APP, master=50, test=50)
    yield platform
    platform.client.cancel_split(APP)


def visitors(report: Report) -> dict[str, int]:
    return {variant.branch: variant.visitors for variant in report.variants}


def events(report: Report, name: str) -> dict[str, tuple[int, float | None]]:
    """Return of each branch how many there were, and what they were worth in all; None where they had no value."""
    counted = next((metric for metric in report.metrics if metric.metric == name), None)
    valued = next((metric for metric in report.metrics if metric.metric == f"{name}.value"), None)
    worth = {o.branch: round(o.visitors * (o.value or 0.0), 6) for o in valued.outcomes} if valued else {}
    return {o.branch: (o.events, worth.get(o.branch)) for o in counted.outcomes} if counted else {}


def test_without_a_split_the_default_branch_is_served_and_no_cookie_is_set(platform: Running) -> None:
    browser = Browser(platform.port, HOST)
    assert browser.get().body == "one -"
    assert browser.cookie == ""


def test_each_branch_has_its_own_host_and_is_not_counted_there(split: Running) -> None:
    browser = Browser(split.port, "test--shop.localhost")
    assert browser.get().body == "two test"
    assert browser.cookie == ""


def test_visitors_are_shared_and_each_keeps_theirs(split: Running) -> None:
    browsers = [Browser(split.port, HOST) for _ in range(60)]
    first = [browser.get().body for browser in browsers]
    assert set(first) == {"one master", "two test"}
    for _ in range(3):
        assert [browser.get().body for browser in browsers] == first


def test_a_visitor_counts_when_the_cookie_comes_back_and_once(split: Running) -> None:
    loyal = [Browser(split.port, HOST) for _ in range(20)]
    for browser in loyal:
        for _ in range(4):
            browser.get()
    for _ in range(20):
        Browser(split.port, HOST).get()  # never comes back: a crawler, say
    expected = dict(Counter(browser.variant for browser in loyal))
    until(lambda: visitors(split.client.report(APP)) == {"master": 0, "test": 0} | expected, 30)


def test_events_by_header_and_by_beacon_are_counted_for_the_variant(split: Running) -> None:
    browser = Browser(split.port, HOST)
    browser.get("/buy=2.5")  # the first request's event counts too, once the visitor does
    browser.get("/buy=7.5")
    body = json.dumps([{"name": "signup", "id": "a"}, {"name": "signup", "id": "a"}, {"name": "no name!"}])
    assert browser.request("POST", "/_balancer/events", body.encode()).status == 204
    until(lambda: events(split.client.report(APP), "signup").get(browser.variant) == (1, None), 30)
    report = split.client.report(APP)
    assert events(report, "purchase")[browser.variant] == (2, 10.0)
    assert report.intake.duplicate == 1
    assert dict(report.intake.reasons)["name"] == 1


def test_the_event_header_does_not_reach_the_visitor(split: Running) -> None:
    browser = Browser(split.port, HOST)
    assert "Balancer-Event" not in browser.get("/buy=1").headers
    browser.get()
    assert "Balancer-Event" not in browser.get("/buy=1").headers


def test_html_is_private_while_a_split_runs_and_headers_of_a_client_are_dropped(split: Running) -> None:
    browser = Browser(split.port, HOST)
    assert browser.get(X_Balancer_Branch="forged").body in ("one master", "two test")


def test_new_weights_move_nobody_and_a_branch_at_a_hundred_gets_every_new_visitor(split: Running) -> None:
    browsers = [Browser(split.port, HOST) for _ in range(40)]
    first = [browser.get().body for browser in browsers]
    reloads = split.reloads()
    split.client.set_weights(APP, WeightsBody.model_validate({"weights": {"master": 0.01, "test": 99.99}}))
    assert [browser.get().body for browser in browsers] == first
    fresh = Counter(Browser(split.port, HOST).get().body for _ in range(40))
    assert fresh["two test"] >= 39
    assert split.reloads() == reloads, "weights must not need a reload"
    phases = split.client.split(APP).phases
    assert [phase.number for phase in phases] == [1, 2]


def test_a_new_split_assigns_afresh_and_keeps_the_visitor(platform: Running) -> None:
    platform.split(APP, master=50, test=50)
    browser = Browser(platform.port, HOST)
    browser.get()
    before = browser.cookie.split(".")
    platform.client.cancel_split(APP)
    platform.split(APP, master=50, test=50)
    browser.get()
    after = browser.cookie.split(".")
    platform.client.cancel_split(APP)
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert after[4] == "1", "a visitor whose id we know already is exposed at once"


def test_a_deploy_during_a_split_keeps_every_visitor_on_their_branch(split: Running) -> None:
    browsers = [Browser(split.port, HOST) for _ in range(20)]
    first = [browser.get().body.split()[1] for browser in browsers]
    repository = split.repository(APP)
    repository.deploy("three", "test")
    seen = [browser.get().body for browser in browsers]
    assert [body.split()[1] for body in seen] == first
    assert {body for body in seen if body.endswith("test")} == {"three test"}
    repository.deploy("two", "test")


def test_a_push_during_a_split_is_told_and_the_report_shows_each_release_apart(split: Running) -> None:
    """Also for a visitor whose exposure was a beacon, which no instance answers."""
    repository = split.repository(APP)
    before = {branch.branch: branch.release for branch in split.client.branches(APP)}
    early = [Browser(split.port, HOST) for _ in range(20)]
    for browser in early:
        browser.get()
        browser.get("/buy=2")
    repository.commit(app_files("three"), "test")
    pushed = repository.push("test").stderr
    now = {branch.branch: branch.release for branch in split.client.branches(APP)}
    assert f"of shop goes on: its visitors of test see release {now['test']} from now on" in pushed
    for browser in early:
        browser.get("/buy=4")
    late = [Browser(split.port, HOST) for _ in range(20)]
    for browser in late:
        browser.get()
        browser.request("POST", "/_balancer/events", b'{"name": "signup"}')
    expected = Counter((browser.variant, before[browser.variant]) for browser in early)
    expected += Counter((browser.variant, now[browser.variant]) for browser in late)

    def seen() -> dict[tuple[str, int | None], int]:
        found = split.client.report_by_release(APP).releases
        return {(each.branch, each.release): each.visitors for each in found}

    until(lambda: seen() == expected, 30)
    found = split.client.report_by_release(APP)
    figures = {
        (each.branch, each.release, event.event): (event.count, event.converted)
        for each in found.releases
        for event in each.events
    }
    old, new = expected["test", before["test"]], expected["test", now["test"]]
    assert figures["test", before["test"], "purchase"] == (2 * old, old), "also what release 3 answered"
    assert figures["test", now["test"], "signup"] == (new, new)
    assert figures["test", now["test"], "purchase"] == (0, 0)
    assert before["master"] == now["master"]
    shown = split.command("stats", APP, "--by", "release").stdout
    assert f"{now['test']} (" in shown
    repository.deploy("two", "test")
