"""Names as long as they may be, and many branches: every page has room for them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from browsers import Visit, visit
from running import Running, app_files, running

APP = "an-app-with-thirty-characters-"[:29] + "x"
BRANCH = "feature/as-long-as-a-branch-may-be-".ljust(100, "x")


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A platform whose app and branch have the longest names there can be."""
    with running(tmp_path_factory.mktemp("long")) as made:
        app = made.create(APP)
        app.deploy("one")
        app.deploy("two", BRANCH)
        made.split(APP, **{"master": 50, BRANCH: 50})
        yield made


@pytest.fixture
def operator(browser: Browser, long: Running) -> Iterator[Visit]:
    """Somebody who has signed in there."""
    with visit(browser, long) as made:
        made.sign_in()
        yield made


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/apps/{}",
        "/apps/{}/split",
        "/apps/{}/split/end",
        f"/apps/{{}}/split/conclude?winner={BRANCH}",
        "/apps/{}/log",
        "/apps/{}/weights",
        "/traffic",
    ],
)
def test_the_longest_names_leave_a_page_within_its_width(operator: Visit, path: str) -> None:
    for width in (1200, 360):
        operator.page.set_viewport_size({"width": width, "height": 760})
        operator.page.goto(path.format(APP))
        expect(operator.page.locator("main")).to_contain_text(BRANCH)
        assert operator.page.evaluate("document.documentElement.scrollWidth") <= width, width
        for button in operator.page.locator("#branches").get_by_role("button", name="Restart").all():
            box = button.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= width


def test_where_there_is_nothing_to_go_back_to_nobody_is_led_there(operator: Visit) -> None:
    operator.page.goto(f"/apps/{APP}")
    branches = operator.page.locator("#branches")
    expect(branches.get_by_role("link", name="Go back…")).to_have_count(0)
    operator.platform.repository(APP).push("master")
    operator.platform.repository(APP).commit(app_files("three"))
    operator.platform.repository(APP).push("master")
    expect(branches.get_by_role("link", name="Go back…")).to_have_count(1)
