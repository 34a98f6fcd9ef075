"""Who has not agreed, or says so by Sec-GPC, is served and leaves no row in the ledger."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from browsing import Browser
from running import Running, app_files, running
from waiting import until

APP, HOST = "shop", "shop.localhost"
GPC = {"Sec-GPC": "1"}


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as started:
        repository = started.create(APP)
        for branch in ("master", "test"):
            files = app_files(branch) | {"balancer.toml": "[visitors]\nconsent = true\ngpc = true\n"}
            repository.commit(files, branch)
            repository.push(branch)
        started.split(APP, master=50, test=50)
        yield started


def visit(browser: Browser, **headers: str) -> None:
    """Open pages, buy, and let the page send an event."""
    for path in ("/", "/", "/buy=2"):
        assert browser.get(path, **headers).status == 200
    sent = {"Sec-GPC": "1"} if headers else {}
    assert browser.request("POST", "/_balancer/events", b'{"name": "seen"}', sent).status == 204


def rows(platform: Running) -> list[tuple[str, str]]:
    """Return the visitor and the name of every row of the ledger, which is stopped for it."""
    assert platform.stop() == 0
    with duckdb.connect(str(platform.data / "ledger.duckdb"), read_only=True) as ledger:
        return ledger.execute(
            "SELECT visitor::VARCHAR, word FROM events JOIN words ON words.id = events.name ORDER BY ALL"
        ).fetchall()


def test_only_who_has_agreed_is_in_the_ledger(platform: Running) -> None:
    agreed = Browser(platform.port, HOST)
    agreed.cookies["balancer_consent"] = "1"
    opted_out = Browser(platform.port, HOST)
    opted_out.cookies["balancer_consent"] = "1"
    for _ in range(3):
        visit(Browser(platform.port, HOST))
        visit(opted_out, Sec_GPC="1")
    visit(agreed)
    visitor = agreed.cookie.partition(".")[0]
    assert len(visitor) == 36
    assert opted_out.cookie == ""
    until(lambda: platform.client.report(APP).intake.accepted == 2, 30)
    assert rows(platform) == [(visitor, "$exposure"), (visitor, "purchase"), (visitor, "seen")]


def test_who_takes_it_back_leaves_no_row_from_then_on(platform: Running) -> None:
    browser = Browser(platform.port, HOST)
    browser.cookies["balancer_consent"] = "1"
    visit(browser)
    del browser.cookies["balancer_consent"]
    visit(browser)
    assert browser.cookie == ""
    other = Browser(platform.port, HOST)
    other.cookies["balancer_consent"] = "1"
    visit(other)
    until(lambda: platform.client.report(APP).intake.accepted == 4, 30)
    assert len(rows(platform)) == 6
