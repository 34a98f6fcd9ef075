"""A page that changes under somebody's hands: what they do there stays, and who listens is left in peace."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from browser.test_app_page import gated_files, part
from browsers import Visit, visit
from running import Running
from waiting import until

# Counts the parts that came, and what was said to who only listens.
_COUNTING = """
window.came = []; window.said = [];
const Real = EventSource;
window.EventSource = class extends Real {
  constructor(address) {
    super(address);
    this.addEventListener("part", (event) => window.came.push(JSON.parse(event.data).id));
  }
};
addEventListener("load", () => {
  for (const spoken of document.querySelectorAll("[role=status], [role=alert], [aria-live]:not([aria-live=off])")) {
    new MutationObserver(() => window.said.push(spoken.textContent.trim())).observe(
      spoken, { childList: true, characterData: true, subtree: true });
  }
});
"""


@pytest.fixture
def shop(browser: Browser, platform: Running) -> Iterator[Visit]:
    """An operator before the page of the shop, which counts what comes."""
    with visit(browser, platform) as made:
        made.page.add_init_script(_COUNTING)
        made.sign_in()
        made.page.goto("/apps/shop")
        made.wait_until_live()
        yield made


def came(visit: Visit, name: str) -> None:
    """Return when this part has come once more."""
    before = visit.page.evaluate("window.came.length")
    until(lambda: name in visit.page.evaluate("before => window.came.slice(before)", before), 30)


def has_focus(element: Locator) -> bool:
    return bool(element.evaluate("element => element === document.activeElement"))


def test_what_somebody_does_to_a_page_outlives_its_updates(shop: Visit, tmp_path: Path) -> None:
    """Half-moved sliders, half-typed numbers, what is open or closed, and where the focus is."""
    page, gate = shop.page, tmp_path / "gate"
    came(shop, "instances")
    page.get_by_label("Weight of test, as a slider").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_label("web", exact=True).fill("17")
    row = part(shop, "Releases").get_by_role("row").filter(has=page.get_by_role("link", name="Release 1 and its log"))
    link = row.get_by_role("link", name="Release 1 and its log")
    link.focus()
    page.evaluate("window.focused = document.activeElement")
    repository = shop.platform.repository("shop")
    repository.commit(gated_files(gate), "held")
    pushes = [push_held(repository.directory, "held")]
    cards = page.locator("#doing .deploy")
    card = cards.filter(has_text="held release")
    try:
        expect(card.get_by_role("log")).to_contain_text("Adding a column to orders")
        expect(part(shop, "Releases").get_by_role("row").nth(1)).to_contain_text("A commit of held")
        assert page.evaluate("window.focused === document.activeElement"), "a row above it is new, and it is the same"
        assert has_focus(link)
        expect(page.get_by_label("Weight of test, as a slider")).to_have_value("26")
        expect(page.get_by_role("spinbutton", name="test")).to_have_value("26")
        expect(page.get_by_label("web", exact=True)).to_have_value("17")
        card.get_by_text("Log", exact=True).click()
        cancel = card.get_by_role("button", name="Cancel")
        cancel.focus()
        repository.commit(gated_files(gate), "other")
        pushes.append(push_held(repository.directory, "other"))
        expect(cards).to_have_count(2)
        expect(cards.filter(has_text="other release").get_by_role("log")).to_be_visible()
        expect(card.get_by_role("log")).to_be_hidden()
        assert has_focus(cancel)
    finally:
        gate.touch()
        assert [push.wait(60) for push in pushes] == [0] * len(pushes)


def push_held(repository: Path, branch: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["git", "push", "--quiet", "balancer", branch], cwd=repository, stderr=subprocess.DEVNULL)


def test_the_focus_never_comes_to_stand_on_another_action(shop: Visit) -> None:
    """Where a button goes away, whoever was on it is in its part, and the next key does nothing."""
    page, platform = shop.page, shop.platform
    platform.command("split", "cancel", "shop")
    assert platform.command("rollout", "start", "shop", "test", "--steps", "10,50,100").returncode == 0
    try:
        pause = part(shop, "Rollout").get_by_role("link", name="Pause…")
        pause.focus()
        platform.command("rollout", "pause", "shop")
        expect(part(shop, "Rollout").get_by_role("link", name="Go on…")).to_be_visible()
        assert has_focus(page.locator("#rollout"))
        page.keyboard.press("Tab")
        assert has_focus(part(shop, "Rollout").get_by_role("link", name="Go on…"))
    finally:
        platform.command("rollout", "abort", "shop")
        platform.split("shop", master=75, test=25)


def test_whoever_listens_is_told_nothing_while_figures_change(shop: Visit) -> None:
    page = shop.page
    page.evaluate("window.said = []")
    for _ in range(3):
        came(shop, "instances")
    assert page.evaluate("window.said") == []
    shop.platform.repository("shop").deploy("aloud", "test")
    until(lambda: page.evaluate("window.said.length > 0"), 30)
    assert all(re.match(r"test release \d+: ", said) for said in page.evaluate("window.said"))


def test_a_stream_that_is_begun_again_is_no_news(shop: Visit) -> None:
    page = shop.page
    page.evaluate("window.said = []")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    shop.context.set_offline(True)
    shop.context.set_offline(False)
    came(shop, "instances")
    expect(page.locator("#live")).to_have_text("Live")
    assert page.evaluate("window.said") == []


def test_the_list_of_apps_keeps_the_focus_where_one_comes_and_goes(shop: Visit) -> None:
    page = shop.page
    page.goto("/")
    shop.wait_until_live()
    page.get_by_label("Filter by name").fill("half a na")
    link = page.get_by_role("link", name="shop", exact=True)
    link.focus()
    shop.platform.client.create_app("aaa")
    expect(page.get_by_role("link", name="aaa", exact=True)).to_be_visible()
    assert has_focus(link)
    list(shop.platform.client.delete_app("aaa"))
    expect(page.get_by_role("link", name="aaa", exact=True)).to_have_count(0)
    assert has_focus(link)
    expect(page.get_by_label("Filter by name")).to_have_value("half a na")
    assert re.match("^(2|3) apps$", page.locator(".count").inner_text())
