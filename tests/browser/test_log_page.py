"""The log of an app, in a browser: followed, searched, paused."""

import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Route, expect

from browsers import Scheme, Visit, visit
from running import APP, Running, running
from waiting import until


@pytest.fixture(scope="module")
def platform(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A platform with a shop of two branches that print what they are asked for, but for the probes of the platform."""
    with running(tmp_path_factory.mktemp("platform")) as made:
        repository = made.create("shop")
        says = "self.path == '/' or print('asked for', self.path, flush=True)"
        talking = APP.replace("self.end_headers()", f"{says}; self.end_headers()")
        for branch in ("master", "test"):
            files = {"Procfile": "web: python3 app.py\n", "app.py": f"VERSION = {branch!r}\n{talking}"}
            repository.commit(files, branch)
            repository.push(branch)
        yield made


def ask(platform: Running, path: str, branch: str = "master") -> None:
    """Let a branch print a line."""
    host = {"Host": f"{branch}--shop.localhost"}
    with urllib.request.urlopen(
        urllib.request.Request(f"http://127.0.0.1:{platform.port}{path}", headers=host)
    ) as answer:
        answer.read()


def log_of(visit: Visit) -> Locator:
    return visit.page.get_by_role("log")


@pytest.fixture
def log(operator: Visit) -> Visit:
    """An operator before the log of the shop, which is kept up to date."""
    operator.page.goto("/apps/shop/log")
    operator.wait_until_live()
    return operator


def test_lines_show_as_they_are_printed_with_their_instance_and_time(log: Visit) -> None:
    ask(log.platform, "/first-of-all")
    line = log_of(log).locator(".line", has_text="asked for /first-of-all")
    expect(line).to_have_count(1)
    expect(line.locator(".source")).to_have_text("master.1 web.1")
    expect(line.locator("time")).to_be_visible()
    assert log.grave_faults() == []


def test_a_long_log_is_shown_from_its_end_and_followed_there(log: Visit) -> None:
    for number in range(60):
        ask(log.platform, f"/long-{number}")
    log.page.reload()
    log.wait_until_live()
    expect(log_of(log).locator(".line", has_text="/long-59")).to_be_in_viewport()
    ask(log.platform, "/the-newest")
    expect(log_of(log).locator(".line", has_text="/the-newest")).to_be_in_viewport()
    expect(log_of(log).locator(".line", has_text="/long-0")).not_to_be_in_viewport()


def test_a_search_shows_what_was_there_and_what_comes_and_nothing_else(log: Visit) -> None:
    ask(log.platform, "/needle-before")
    ask(log.platform, "/hay-before")
    expect(log_of(log)).to_contain_text("/hay-before")
    log.page.get_by_label("Lines with").fill("NEEDLE")
    log.page.get_by_role("button", name="Search").click()
    expect(log.page).to_have_url(f"{log.url}/apps/shop/log?q=NEEDLE&branch=")
    log.wait_until_live()
    expect(log_of(log).locator(".line")).to_have_count(1)
    ask(log.platform, "/hay-after")
    ask(log.platform, "/needle-after")
    expect(log_of(log).locator(".line")).to_have_count(2)
    expect(log_of(log)).to_contain_text("/needle-after")
    expect(log_of(log)).not_to_contain_text("/hay")
    log.keep_picture("log-search")


def test_one_branch_can_be_chosen(log: Visit) -> None:
    log.page.get_by_label("Branch").select_option("test")
    log.page.get_by_role("button", name="Search").click()
    log.wait_until_live()
    ask(log.platform, "/of-master", "master")
    ask(log.platform, "/of-test", "test")
    expect(log_of(log)).to_contain_text("/of-test")
    expect(log_of(log)).not_to_contain_text("/of-master")


def test_while_paused_nothing_moves_and_going_on_shows_what_came(log: Visit) -> None:
    ask(log.platform, "/before-the-pause")
    expect(log_of(log)).to_contain_text("/before-the-pause")
    log.page.get_by_role("button", name="Pause").click()
    ask(log.platform, "/in-the-pause")
    button = log.page.get_by_role("button", name="Go on (1 new)")
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(log_of(log)).not_to_contain_text("/in-the-pause")
    button.click()
    expect(log_of(log)).to_contain_text("/in-the-pause")
    expect(log.page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "false")


def test_what_a_line_holds_is_text_whatever_it_looks_like(log: Visit) -> None:
    ask(log.platform, "/<img/src=x>")
    expect(log_of(log)).to_contain_text("asked for /<img/src=x>")
    expect(log_of(log).locator("img")).to_have_count(0)


def test_who_has_scrolled_up_is_left_in_peace(log: Visit) -> None:
    for number in range(60):
        ask(log.platform, f"/many-{number}")
    expect(log_of(log)).to_contain_text("/many-59")
    assert log_of(log).evaluate("it => it.scrollHeight - it.scrollTop - it.clientHeight") < 24
    log_of(log).evaluate("it => { it.scrollTop = 0 }")
    ask(log.platform, "/one-more")
    expect(log_of(log)).to_contain_text("/one-more")
    assert log_of(log).evaluate("it => it.scrollTop") == 0


def test_what_was_printed_before_a_page_was_heard_again_is_followed_too(operator: Visit) -> None:
    held: list[Route] = []
    operator.page.route("**/log/live", lambda route: held.append(route))
    operator.page.goto("/apps/shop/log")
    for number in range(60):
        ask(operator.platform, f"/unheard-{number}")
    until(lambda: operator.page.title() and held, 30)
    held[0].continue_()
    expect(log_of(operator).locator(".line", has_text="/unheard-59")).to_be_in_viewport()
    ask(operator.platform, "/heard")
    expect(log_of(operator).locator(".line", has_text="/heard")).to_be_in_viewport()


def test_the_last_lines_and_a_search_are_there_without_scripts(browser: Browser, platform: Running) -> None:
    ask(platform, "/without-scripts")
    ask(platform, "/something-else")
    with visit(browser, platform, scripts=False) as plain:
        plain.sign_in()
        plain.page.goto("/apps/shop/log")
        expect(log_of(plain)).to_contain_text("/without-scripts")
        expect(plain.page.get_by_role("button", name="Pause")).to_have_count(0)
        plain.page.get_by_label("Lines with").fill("without-scripts")
        plain.page.get_by_role("button", name="Search").click()
        expect(log_of(plain)).to_contain_text("/without-scripts")
        expect(log_of(plain)).not_to_contain_text("/something-else")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_log_has_no_grave_fault_and_fits_a_phone(browser: Browser, platform: Running, scheme: Scheme) -> None:
    ask(platform, "/" + "long" * 60)
    with visit(browser, platform, scheme=scheme) as operator:
        operator.sign_in()
        operator.page.goto("/apps/shop/log")
        operator.wait_until_live()
        expect(log_of(operator)).to_contain_text("longlong")
        assert operator.grave_faults() == []
        operator.keep_picture(f"log-{scheme}")
        operator.page.set_viewport_size({"width": 360, "height": 740})
        assert operator.page.evaluate("document.documentElement.scrollWidth") <= 360
        operator.keep_picture(f"log-phone-{scheme}")
