"""How pages stay up to date, and what they say while they are not: many windows, a lost session, silence, a restart."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from browsers import Visit, visit
from running import Running, running


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A platform that a test may end and start again."""
    with running(tmp_path_factory.mktemp("other")) as made:
        made.client.create_app("shop")
        yield made


def test_of_eight_windows_each_loads_and_those_looked_at_last_are_live(operator: Visit) -> None:
    pages = [operator.page]
    operator.wait_until_live()
    for _ in range(7):
        pages.append(operator.context.new_page())
        pages[-1].goto("/apps/shop")
        expect(pages[-1].locator("#live")).to_have_text("Live")
    for page in pages[:4]:
        expect(page.locator("#live")).to_have_text(re.compile("Kept still: other windows are live"))
    for page in pages[4:]:
        expect(page.locator("#live")).to_have_text("Live")
    pages[0].get_by_role("heading", level=1).click()
    expect(pages[0].locator("#live")).to_have_text("Live")
    expect(pages[4].locator("#live")).to_have_text(re.compile("Kept still"))
    pages[7].close()
    expect(pages[4].locator("#live")).to_have_text("Live")


def test_a_window_whose_session_ended_in_another_one_is_led_to_where_one_signs_in(operator: Visit) -> None:
    operator.wait_until_live()
    other = operator.context.new_page()
    other.goto("/apps/shop/settings")
    other.get_by_role("button", name="Sign out").click()
    expect(operator.page).to_have_url(re.compile("/sign-in"))


def test_whose_token_is_removed_sees_nothing_more_and_going_back_shows_nothing(
    browser: Browser, platform: Running
) -> None:
    token = platform.json("tokens", "add", "leaver", "--role", "reader")
    assert isinstance(token, dict)
    with visit(browser, platform) as reader:
        reader.sign_in(token["token"])
        reader.page.goto("/apps/shop")
        reader.wait_until_live()
        assert platform.command("tokens", "remove", "leaver").returncode == 0
        expect(reader.page).to_have_url(re.compile("/sign-in"))
        reader.page.go_back()
        expect(reader.page).to_have_url(re.compile("/sign-in"))


def test_a_stream_that_falls_silent_is_begun_again(operator: Visit) -> None:
    # For the page more than a minute is over at once, in which the daemon could not speak.
    operator.page.clock.install()
    operator.page.goto("/traffic")
    operator.wait_until_live()
    with operator.page.expect_request(re.compile("/traffic/live")):
        operator.page.clock.fast_forward(70_000)
    operator.wait_until_live()


def test_a_refused_stream_says_why(operator: Visit) -> None:
    operator.page.goto("/apps/shop/settings")
    operator.page.evaluate(
        """async () => {
            const { follow } = await import("/static/live.js");
            follow("/apps/nowhere/live", document.getElementById("live"));
        }"""
    )
    expect(operator.page.locator("#live")).to_contain_text("Not up to date: no app is called 'nowhere'")


def test_while_the_daemon_is_away_a_page_says_so_and_goes_on_by_itself(browser: Browser, other: Running) -> None:
    with visit(browser, other) as operator:
        operator.sign_in()
        operator.wait_until_live()
        other.kill()
        expect(operator.page.locator("#live")).to_have_text("Connecting again")
        expect(operator.page.locator("#app-shop")).to_be_visible()
        other.start()
        operator.wait_until_live()
        other.client.create_app("later")
        expect(operator.page.locator("#app-later")).to_be_visible()
        operator.faults.clear()  # the browser says that it could not connect
