"""The overview, in a browser, on a real platform."""

import re
import subprocess
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browsers import Scheme, Visit, visit
from running import Running, app_files


def slow_files(gate: Path) -> dict[str, str]:
    """Return an app whose release command waits for a file, so that its deploy can be watched."""
    files = app_files("three")
    wait = f"while [ ! -e {gate} ]; do sleep 0.05; done\n"
    return {**files, "Procfile": f"{files['Procfile']}release: sh migrate.sh\n", "migrate.sh": wait}


def ask(platform: Running, path: str = "/", host: str = "shop.localhost") -> None:
    """Send one request to the site."""
    request = urllib.request.Request(f"http://127.0.0.1:{platform.port}{path}", headers={"Host": host})
    with urllib.request.urlopen(request) as answer:
        answer.read()


def test_every_app_shows_its_branches_releases_and_instances(operator: Visit) -> None:
    shop = operator.page.locator("#app-shop")
    expect(shop.get_by_role("heading", level=2)).to_have_text("shop")
    rows = shop.get_by_role("table").get_by_role("row")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("master")
    expect(rows.nth(1)).to_contain_text("A commit of master")
    expect(rows.nth(1)).to_contain_text("1 of 1 healthy")
    expect(rows.nth(2).get_by_role("link")).to_have_attribute(
        "href", f"http://test--shop.localhost:{operator.platform.port}/"
    )


def test_an_app_without_branches_says_what_to_type(operator: Visit) -> None:
    blog = operator.page.locator("#app-blog")
    expect(blog).to_contain_text("nothing live")
    expect(blog).to_contain_text('git remote add balancer "$(balancer apps remote blog)"')


def test_a_split_shows_its_weights_and_its_verdict(operator: Visit) -> None:
    split = operator.page.get_by_role("region", name="Split of shop")
    expect(split).to_contain_text("75 %")
    expect(split).to_contain_text("25 %")
    expect(split).to_contain_text("keep running")
    expect(split).to_contain_text("no metric decides")


def test_traffic_and_errors_show_while_they_come(operator: Visit) -> None:
    operator.wait_until_live()
    master = operator.page.locator("#app-shop").get_by_role("row", name="master")
    for _ in range(40):
        ask(operator.platform, host="master--shop.localhost")
    expect(master.locator("td[data-head=Requests] .number")).not_to_have_text("0")
    expect(master.locator("td[data-head=Errors] .number")).to_have_text("0")
    for _ in range(20):
        with pytest.raises(urllib.request.HTTPError):
            ask(operator.platform, "/fail", host="master--shop.localhost")
    expect(master.locator("td[data-head=Errors] .number")).not_to_have_text("0")
    expect(master.get_by_role("img", name=re.compile("with errors$"))).to_be_visible()


def test_a_deploy_shows_its_step_until_it_is_live(operator: Visit, tmp_path: Path) -> None:
    operator.wait_until_live()
    shop, repository = operator.page.locator("#app-shop"), operator.platform.repository("shop")
    gate = tmp_path / "gate"
    repository.commit(slow_files(gate), "spring")
    push = subprocess.Popen(["git", "push", "--quiet", "balancer", "spring"], cwd=repository.directory)
    try:
        progress = shop.get_by_role("progressbar")
        expect(progress).to_have_accessible_name("Deploy of spring: building, then live")
        expect(shop).to_contain_text("release 3: A commit of spring")
        expect(shop.locator(".step")).to_contain_text("Running the release command: sh migrate.sh")
        operator.keep_picture("deploy", 480)
    finally:
        gate.touch()
        assert push.wait(60) == 0
    expect(progress).to_have_count(0)
    expect(shop.get_by_role("row", name="spring")).to_contain_text("1 of 1 healthy")


def test_times_are_in_the_zone_of_the_viewer_and_in_utc_without_scripts(
    browser: Browser, platform: Running, operator: Visit
) -> None:
    time = operator.page.locator("#app-shop time").first
    expect(time).to_have_text(re.compile("ago|just now"))
    expect(time).to_have_attribute("title", re.compile("CET|CEST|GMT\\+[12]"))
    with visit(browser, platform, scripts=False) as plain:
        plain.sign_in()
        expect(plain.page.locator("#app-shop time").first).to_have_text(re.compile(r"\d\d:\d\d UTC$"))


def test_the_filter_works_without_scripts(browser: Browser, platform: Running) -> None:
    with visit(browser, platform, scripts=False) as plain:
        plain.sign_in()
        plain.page.get_by_role("searchbox").fill("LOG")
        plain.page.get_by_role("button", name="Filter").click()
        expect(plain.page.get_by_role("article")).to_have_count(1)
        expect(plain.page.locator(".count")).to_have_text("1 of 2 apps have “LOG” in their name")
        plain.page.get_by_role("searchbox").fill("nothing")
        plain.page.get_by_role("button", name="Filter").click()
        plain.page.get_by_role("link", name="Show all 2 apps").click()
        expect(plain.page.get_by_role("article")).to_have_count(2)


def test_an_app_that_is_created_meanwhile_appears(operator: Visit) -> None:
    operator.wait_until_live()
    operator.platform.client.create_app("later")
    expect(operator.page.locator("#app-later")).to_contain_text("nothing live")
    for _ in operator.platform.client.delete_app("later"):
        pass
    expect(operator.page.locator("#app-later")).to_have_count(0)


def test_who_is_on_a_link_by_keyboard_stays_there_when_it_is_replaced(operator: Visit) -> None:
    operator.wait_until_live()
    link = operator.page.locator("#app-shop").get_by_role("link", name="test", exact=True)
    link.focus()
    operator.page.locator("#app-shop").evaluate("old => { old.dataset.old = 'yes' }")
    ask(operator.platform)
    expect(operator.page.locator("#app-shop[data-old]")).to_have_count(0)
    expect(link).to_be_focused()


def test_the_keyboard_gets_past_the_head_of_the_page(operator: Visit) -> None:
    operator.page.keyboard.press("Tab")
    expect(operator.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    operator.page.keyboard.press("Enter")
    expect(operator.page.get_by_role("main")).to_be_focused()


def test_a_theme_that_was_chosen_is_remembered(operator: Visit) -> None:
    def paper() -> str:
        found: str = operator.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return found

    light = paper()
    button = operator.page.get_by_role("button", name="Theme")
    expect(button).to_have_text("Theme: system")
    button.click()
    button.click()
    expect(button).to_have_text("Theme: dark")
    dark = paper()
    assert dark != light
    operator.page.reload()
    expect(button).to_have_text("Theme: dark")
    assert paper() == dark
    button.click()
    assert paper() == light


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_overview_has_no_grave_fault_and_fits_a_phone(browser: Browser, platform: Running, scheme: Scheme) -> None:
    with visit(browser, platform, scheme=scheme) as operator:
        operator.sign_in()
        operator.wait_until_live()
        assert operator.grave_faults() == []
        operator.keep_picture(f"overview-{scheme}", 590)
        operator.page.set_viewport_size({"width": 360, "height": 740})
        assert operator.page.evaluate("document.documentElement.scrollWidth") <= 360
        assert operator.grave_faults() == []
        operator.keep_picture(f"overview-phone-{scheme}")


def test_a_deploy_that_failed_shows_on_the_first_page_until_its_branch_is_pushed_again(operator: Visit) -> None:
    operator.wait_until_live()
    shop, repository = operator.page.locator("#app-shop"), operator.platform.repository("shop")
    repository.commit({"README": "no Procfile"}, "summer")
    assert repository.push("summer", check=False).returncode != 0
    expect(shop.locator(".failed")).to_contain_text("deploy failed")
    expect(shop.locator(".failed")).to_contain_text("Procfile")
    expect(operator.page.locator(".count")).to_have_text("2 apps, of which 1 needs a look")
    assert operator.grave_faults() == []
    operator.page.get_by_role("link", name="1 needs a look").click()
    expect(operator.page.get_by_role("article")).to_have_count(1)
    expect(operator.page.locator(".count")).to_contain_text("1 of 2 apps needs a look")
    shop.locator(".failed").get_by_role("link").click()
    expect(operator.page.get_by_role("heading", level=1)).to_contain_text("Release")
    operator.page.goto("/?unwell=yes")
    operator.wait_until_live()
    repository.deploy("four", "summer")
    expect(operator.page.get_by_role("heading", name="None needs a look")).to_be_visible()
    operator.page.get_by_role("link", name="Show all").click()
    expect(shop.get_by_role("row", name="summer")).to_contain_text("1 of 1 healthy")
    expect(shop.locator(".failed")).to_have_count(0)


def test_a_script_that_somebody_smuggles_in_does_not_run(operator: Visit) -> None:
    answer = operator.page.request.get("/")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    made = "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = true'}))"
    with operator.page.expect_console_message(lambda said: "content security policy" in said.text.lower()):
        operator.page.evaluate(made)
    assert operator.page.evaluate("window.ran") is None
    operator.faults.clear()
