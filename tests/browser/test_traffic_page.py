"""The traffic, in a browser: what visitors do shows by branch, as they do it."""

import re
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Locator, expect

from browsers import Scheme, Visit, visit
from running import Running

_SOME = re.compile(r"^\s*(?!0 )[\d.]+ /s\s*$")


def come(platform: Running, count: int) -> None:
    """Let visitors come, come back, and buy something."""
    for _ in range(count):
        headers = {"Host": "shop.localhost", "User-Agent": "Mozilla/5.0"}
        for path in ("/", "/buy=5", "/buy=7"):
            request = urllib.request.Request(f"http://127.0.0.1:{platform.port}{path}", headers=headers)
            with urllib.request.urlopen(request) as answer:
                answer.read()
                if cookie := answer.headers["Set-Cookie"]:
                    headers["Cookie"] = cookie.partition(";")[0]


@contextmanager
def coming(platform: Running) -> Iterator[None]:
    """Let visitors come for as long as the block lasts: what is shown is of the last ten seconds."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(0.1):
            come(platform, 1)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)


def cell(visit: Visit, branch: str, head: str) -> Locator:
    """Return a figure of a branch of the shop."""
    row = visit.page.get_by_role("row", name=f"shop {branch}")
    return row.locator(f"td[data-head='{head}']")


def test_requests_visitors_and_events_show_while_they_come(operator: Visit) -> None:
    operator.page.goto("/traffic")
    operator.wait_until_live()
    expect(cell(operator, "master", "New visitors")).to_have_text(re.compile("/s"))
    with coming(operator.platform):
        for head in ("Requests", "New visitors", "Events"):
            expect(cell(operator, "master", head)).to_have_text(_SOME)
        expect(operator.page.locator(".figures dd").nth(3)).to_have_text(_SOME)
    assert operator.grave_faults() == []


def test_one_app_can_be_chosen_also_without_scripts(browser: Browser, platform: Running) -> None:
    with visit(browser, platform, scripts=False) as plain:
        plain.sign_in()
        plain.page.goto("/traffic")
        expect(plain.page.get_by_role("row")).to_have_count(3)
        plain.page.get_by_label("App", exact=True).select_option("blog")
        plain.page.get_by_role("button", name="Show").click()
        expect(plain.page.get_by_role("main")).to_contain_text("Nothing is live")
        expect(plain.page.get_by_role("navigation", name="Pages of blog")).to_be_visible()
        plain.page.goto("/traffic?app=nowhere")
        expect(plain.page.get_by_role("main")).to_contain_text("no app is called 'nowhere'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_traffic_has_no_grave_fault_and_fits_a_phone(browser: Browser, platform: Running, scheme: Scheme) -> None:
    with visit(browser, platform, scheme=scheme) as operator:
        operator.sign_in()
        operator.page.goto("/traffic")
        operator.wait_until_live()
        with coming(platform):
            expect(cell(operator, "master", "Requests")).to_have_text(_SOME)
        assert operator.grave_faults() == []
        operator.keep_picture(f"traffic-{scheme}")
        operator.page.set_viewport_size({"width": 360, "height": 740})
        assert operator.page.evaluate("document.documentElement.scrollWidth") <= 360
        operator.keep_picture(f"traffic-phone-{scheme}")
