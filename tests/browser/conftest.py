"""What every test in a browser may ask for: one browser and one platform a module, and a visit of its own."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from browsers import Visit, chromium, visit
from running import Running, running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser."""
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def empty(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A platform without apps, whose clock may be set by a file `offset` in its directory."""
    directory = tmp_path_factory.mktemp("platform")
    with running(directory, BALANCER_CLOCK_OFFSET=str(directory / "offset")) as platform:
        yield platform


@pytest.fixture(scope="module")
def platform(empty: Running) -> Running:
    """That platform with a shop of two branches that share its visitors, and an app that nothing was pushed to."""
    shop = empty.create("shop")
    shop.deploy("one")
    shop.deploy("two", "test")
    empty.client.create_app("blog")
    empty.split("shop", master=75, test=25)
    return empty


@pytest.fixture
def visitor(browser: Browser, platform: Running) -> Iterator[Visit]:
    """Somebody who has not signed in."""
    with visit(browser, platform) as made:
        yield made


@pytest.fixture
def operator(visitor: Visit) -> Visit:
    """Somebody who has signed in with the operator's token."""
    visitor.sign_in()
    return visitor
