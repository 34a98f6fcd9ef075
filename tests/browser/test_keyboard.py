"""The dashboard without a mouse: all by Tab, Enter, Space, arrows and letters, and one always sees where one is."""

import re

import pytest
from playwright.sync_api import Locator, expect

from browser.test_app_page import part, said, undo
from browsers import Visit

# 150: more than any page here has stops.
_STOPS = 150
# What has the focus, and what is wrong with how it shows: it has to be outlined, and on the screen.
_FOCUS = """() => {
  const it = document.activeElement;
  if (!it || it === document.body) return ["", "nothing has the focus"];
  const style = getComputedStyle(it), place = it.getBoundingClientRect(), faults = [];
  if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 1.5) faults.push("no outline");
  const isBeside = place.right <= 0 || place.left >= innerWidth;
  if (place.bottom <= 0 || place.top >= innerHeight || isBeside) faults.push("off the screen");
  if (place.width < 2 || place.height < 2) faults.push("too small to be seen");
  const name = `${it.localName} ${it.id || it.getAttribute("aria-label") || it.textContent.trim().slice(0, 40)}`;
  return [name, faults.join(", ")];
}"""


def stop(visit: Visit) -> str:
    """Return what has the focus, which has to show."""
    name, fault = visit.page.evaluate(_FOCUS)
    assert not fault, f"{name} at {visit.page.url}: {fault}"
    return str(name)


def has_focus(element: Locator) -> bool:
    return element.count() == 1 and bool(element.evaluate("element => element === document.activeElement"))


def tab_to(visit: Visit, element: Locator) -> None:
    """Press Tab until this has the focus, which shows at every stop; behind the last one the page begins again."""
    expect(element).to_have_count(1)
    for _ in range(_STOPS):
        visit.page.keyboard.press("Tab")
        if visit.page.evaluate("document.activeElement === document.body"):
            continue
        stop(visit)
        if has_focus(element):
            return
    raise AssertionError(f"{element} is not reached by Tab")


def test_from_signing_in_to_signing_out_without_a_mouse(visitor: Visit) -> None:
    page, keys = visitor.page, visitor.page.keyboard
    page.goto("/")
    expect(page.get_by_label("Token")).to_be_focused()  # where one types is where one is
    keys.type((visitor.platform.data / "operator.token").read_text().strip())
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Apps")

    keys.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    stop(visitor)
    keys.press("Enter")
    expect(page.locator("main")).to_be_focused()
    tab_to(visitor, page.get_by_label("Filter by name"))
    keys.type("sho")
    keys.press("Enter")
    expect(page.get_by_role("article")).to_have_count(1)
    tab_to(visitor, page.get_by_role("link", name="shop", exact=True))
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("shop")
    visitor.wait_until_live()

    slider = page.get_by_label("Weight of test, as a slider")
    tab_to(visitor, slider)
    for _ in range(5):
        keys.press("ArrowRight")
    expect(slider).to_have_value("30")
    expect(page.get_by_role("spinbutton", name="master")).to_have_value("70")
    tab_to(visitor, page.get_by_role("button", name="Look at what will happen…"))
    keys.press("Space")
    expect(part(visitor, "What will happen")).to_contain_text("Of new visitors test gets 30 %, until now 25 %.")
    tab_to(visitor, page.get_by_role("button", name="Give these weights"))
    keys.press("Enter")
    expect(said(visitor)).to_have_text("New visitors are shared so now: master 70 %, test 30 %.")

    tab_to(visitor, page.get_by_role("navigation", name="Pages of shop").get_by_role("link", name="Split"))
    keys.press("Enter")
    visitor.wait_until_live()
    tab_to(visitor, page.get_by_role("link", name="Ramp", exact=True))
    keys.press("Enter")
    table = page.locator("figure#ramp details")
    tab_to(visitor, table.locator("summary"))
    keys.press("Space")
    expect(table.get_by_role("row", name="30.00%")).to_be_visible()
    tab_to(visitor, page.locator("figure#ramp").get_by_role("link", name="CSV"))

    tab_to(visitor, page.get_by_label("Effect to see, %"))
    keys.type("10")
    tab_to(visitor, page.get_by_label("or rate now, %"))
    keys.type("5")
    keys.press("Enter")
    expect(page.locator("#planner ~ .card")).to_contain_text("To tell +10 % from a rate of")
    page.wait_for_load_state()  # it goes to the planner once it is loaded, and takes the focus away for that

    tab_to(visitor, page.get_by_role("navigation", name="Pages of shop").get_by_role("link", name="Log"))
    keys.press("Enter")
    tab_to(visitor, page.get_by_label("Lines with"))
    keys.type("no such line")
    keys.press("Enter")
    expect(page.get_by_role("log")).to_contain_text("Nothing yet")
    pause = page.locator("button[data-pauses]")
    tab_to(visitor, pause)
    keys.press("Space")
    expect(pause).to_have_attribute("aria-pressed", "true")
    tab_to(visitor, page.get_by_role("log"))

    page.reload()
    tab_to(visitor, page.get_by_role("button", name="Sign out"))
    keys.press("Enter")
    expect(page.get_by_label("Token")).to_be_visible()
    page.goto("/apps/shop")
    expect(page.get_by_label("Token")).to_be_visible()
    undo(visitor)


@pytest.mark.parametrize(
    "path", ["/", "/traffic", "/apps/shop", "/apps/shop/split", "/apps/shop/split/end", "/apps/shop/settings"]
)
def test_every_stop_of_a_page_shows_and_none_is_a_trap(operator: Visit, path: str) -> None:
    operator.page.goto(path)
    operator.wait_until_live() if path not in ("/apps/shop/settings", "/apps/shop/split/end") else None
    reachable = operator.page.evaluate(
        """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
        .filter(each => each.type !== "hidden" && !each.disabled && each.checkVisibility()).length"""
    )
    seen: list[str] = []
    for _ in range(reachable):
        operator.page.keyboard.press("Tab")
        seen.append(stop(operator))
    assert re.match("a Skip", seen[0])
    operator.page.keyboard.press("Tab")
    wrapped = str(operator.page.evaluate(_FOCUS)[0])
    assert wrapped in ("", seen[0]), f"after every stop of {path} comes {wrapped!r}"


def test_the_focus_shows_in_the_dark_too(operator: Visit) -> None:
    operator.page.emulate_media(color_scheme="dark")
    operator.page.goto("/apps/shop")
    for _ in range(12):
        operator.page.keyboard.press("Tab")
        stop(operator)
    colours = operator.page.evaluate(
        """() => [[document.activeElement, "outlineColor"], [document.body, "backgroundColor"]]
        .map(([of, what]) => getComputedStyle(of)[what].match(/[0-9.]+/g).slice(0, 3).map(Number))"""
    )
    assert contrast(*colours) >= 3


def contrast(one: list[float], other: list[float]) -> float:
    """Return the contrast of two colours, as WCAG 2 counts it."""

    def light(colour: list[float]) -> float:
        parts = [part / 255 for part in colour]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
