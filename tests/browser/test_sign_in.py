"""Signing in and out, in a browser."""

import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browsers import Scheme, Visit, visit
from running import BALANCER, Running
from waiting import until


def test_who_is_not_signed_in_is_asked_to_and_comes_back_to_where_they_wanted_to_be(visitor: Visit) -> None:
    visitor.page.goto("/apps/shop?a=b")
    expect(visitor.page).to_have_url(f"{visitor.url}/sign-in?next=%2Fapps%2Fshop%3Fa%3Db")
    visitor.page.get_by_label("Token").fill((visitor.platform.data / "operator.token").read_text().strip())
    visitor.page.get_by_role("button", name="Sign in").click()
    expect(visitor.page).to_have_url(f"{visitor.url}/apps/shop?a=b")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("shop")


def test_a_wrong_token_is_refused_in_words_on_the_same_page_and_a_right_one_goes_on(visitor: Visit) -> None:
    visitor.page.goto("/apps/shop")
    visitor.page.get_by_label("Token").fill("guessed")
    visitor.page.get_by_role("button", name="Sign in").click()
    expect(visitor.page.get_by_role("alert")).to_contain_text("token")
    expect(visitor.page.get_by_label("Token")).to_have_value("")
    visitor.page.get_by_label("Token").fill((visitor.platform.data / "operator.token").read_text().strip())
    visitor.page.get_by_role("button", name="Sign in").click()
    expect(visitor.page).to_have_url(f"{visitor.url}/apps/shop")


def test_after_signing_out_the_pages_are_closed_again(operator: Visit) -> None:
    operator.page.get_by_role("button", name="Sign out").click()
    expect(operator.page).to_have_url(f"{operator.url}/sign-in")
    operator.page.goto("/")
    expect(operator.page).to_have_url(f"{operator.url}/sign-in")


def test_a_page_that_is_not_there_says_so_in_the_words_of_the_commands(operator: Visit) -> None:
    operator.page.goto("/apps/nowhere")
    expect(operator.page.get_by_role("main")).to_contain_text(
        "no app is called 'nowhere'; balancer apps list shows those there are"
    )
    assert operator.grave_faults() == []


def test_the_cookie_is_out_of_reach_for_scripts_and_for_other_sites(operator: Visit) -> None:
    (cookie,) = (each for each in operator.context.cookies() if "session" in each["name"])
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    assert "session" not in operator.page.evaluate("document.cookie")


def test_one_signs_in_without_scripts_too(browser: Browser, platform: Running) -> None:
    with visit(browser, platform, scripts=False) as visitor:
        visitor.sign_in()
        expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Apps")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_where_one_signs_in_has_no_grave_fault(browser: Browser, platform: Running, scheme: Scheme) -> None:
    with visit(browser, platform, scheme=scheme) as visitor:
        visitor.page.goto("/sign-in")
        assert visitor.grave_faults() == []
        visitor.keep_picture(f"sign-in-{scheme}")


def test_balancer_open_prints_an_address_that_signs_in_once(browser: Browser, platform: Running) -> None:
    done = platform.command("open", "shop", "--print")
    assert done.returncode == 0, done.stderr
    token = (platform.data / "operator.token").read_text().strip()
    assert token not in done.stdout
    with visit(browser, platform) as first, visit(browser, platform) as second:
        first.page.goto(done.stdout.strip())
        expect(first.page).to_have_url(f"{first.url}/apps/shop")
        second.page.goto(done.stdout.strip())
        second.page.wait_for_url(f"{second.url}/sign-in")
        expect(second.page.get_by_role("alert")).to_contain_text("worth nothing any more")


def test_a_link_that_another_page_leads_to_waits_for_its_button(browser: Browser, platform: Running) -> None:
    link = platform.command("open", "--print").stdout.strip()
    with visit(browser, platform) as led:
        led.page.set_content(f"<a href='{link}'>A surprise</a>")
        led.page.get_by_role("link").click()
        expect(led.page.get_by_role("main")).to_contain_text("Was that not you?")
        assert led.grave_faults() == []
        assert not any("session" in each["name"] for each in led.context.cookies())
        led.page.get_by_role("button", name="Sign in").click()
        expect(led.page.get_by_role("heading", level=1)).to_have_text("Apps")


def test_a_link_takes_one_click_without_scripts(browser: Browser, platform: Running) -> None:
    link = platform.command("open", "shop", "--print").stdout.strip()
    with visit(browser, platform, scripts=False) as plain:
        plain.page.goto(link)
        plain.page.get_by_role("button", name="Sign in").click()
        expect(plain.page).to_have_url(f"{plain.url}/apps/shop")


def test_balancer_open_opens_a_browser_and_without_one_prints_the_address(platform: Running, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    environment = {**platform.environment(), "BROWSER": str(browser)}
    done = subprocess.run([BALANCER, "open"], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == ""
    assert opened.read_text().startswith(f"http://127.0.0.1:{platform.admin_port}/sign-in?code=")
    missing = platform.command("open", "nowhere")
    assert (missing.returncode, "no app is called 'nowhere'" in missing.stderr) == (3, True)


def test_a_reader_signs_in_and_sees_the_apps(browser: Browser, platform: Running) -> None:
    made = platform.json("tokens", "add", "ada", "--role", "reader")
    assert isinstance(made, dict)
    with visit(browser, platform) as reader:
        reader.sign_in(made["token"])
        expect(reader.page.locator(".who")).to_have_text("ada reader")
        expect(reader.page.get_by_role("article")).to_have_count(2)


def test_a_page_whose_session_runs_out_says_so_where_one_signs_in_and_is_come_back_to(operator: Visit) -> None:
    offset = operator.platform.directory / "offset"
    operator.page.goto("/apps/shop?a=b#releases")
    operator.wait_until_live()
    operator.page.get_by_label("web", exact=True).fill("7")
    try:
        offset.write_text("10800")  # three hours: an operator's session lasts two without use
        operator.page.wait_for_url("**/sign-in?ended=yes&next=*")
        expect(operator.page.get_by_role("status").first).to_contain_text("Your session has ended: it was not used")
        assert operator.grave_faults() == []
        operator.keep_picture("session-ended")
        operator.page.get_by_label("Token").fill((operator.platform.data / "operator.token").read_text().strip())
        operator.page.get_by_role("button", name="Sign in").click()
        expect(operator.page).to_have_url(f"{operator.url}/apps/shop?a=b#releases")
        operator.wait_until_live()
        expect(operator.page.get_by_label("web", exact=True)).to_have_value("7")
        operator.page.reload()
        expect(operator.page.get_by_label("web", exact=True)).to_have_value("1")
    finally:
        offset.unlink()


def test_a_form_that_is_sent_when_the_session_has_ended_says_so_and_leads_back_to_its_page(operator: Visit) -> None:
    operator.page.goto("/apps/shop/settings")
    operator.page.get_by_label("Name").fill("GREET")
    operator.page.get_by_label("Value").fill("hello")
    operator.context.clear_cookies(name="balancer-session")
    operator.page.get_by_role("button", name="Set", exact=True).click()
    expect(operator.page.get_by_role("alert")).to_contain_text("you are not signed in, or your session has ended")
    operator.page.wait_for_load_state()  # nobody types a token before the scripts of the page have begun
    operator.page.get_by_label("Token").fill((operator.platform.data / "operator.token").read_text().strip())
    operator.page.get_by_role("button", name="Sign in").click()
    expect(operator.page).to_have_url(f"{operator.url}/apps/shop/settings")
    expect(operator.page.get_by_label("Name")).to_have_value("GREET")
    expect(operator.page.get_by_label("Value")).to_have_value("")


def test_what_was_half_typed_is_not_there_for_somebody_else(operator: Visit) -> None:
    reading = operator.platform.json("tokens", "add", "grace")
    assert isinstance(reading, dict)
    operator.page.goto("/apps/shop/settings")
    operator.page.get_by_label("Name").fill("GREET")
    operator.context.clear_cookies(name="balancer-session")
    operator.page.get_by_role("button", name="Set", exact=True).click()
    operator.page.get_by_label("Token").fill(reading["token"])
    operator.page.get_by_role("button", name="Sign in").click()
    expect(operator.page.locator(".who")).to_contain_text("grace")
    expect(operator.page).to_have_url(f"{operator.url}/apps/shop/settings")
    expect(operator.page.get_by_label("Name")).to_have_value("")
    until(lambda: operator.page.evaluate("sessionStorage.length") == 0, 30)
