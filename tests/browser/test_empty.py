"""The dashboard of a platform that has no app yet."""

from playwright.sync_api import Browser, expect

from browsers import visit
from running import Running


def test_an_empty_platform_says_what_to_type(browser: Browser, empty: Running) -> None:
    with visit(browser, empty) as operator:
        operator.sign_in()
        main = operator.page.get_by_role("main")
        expect(main.get_by_role("heading", level=2)).to_have_text("No app yet")
        expect(main).to_contain_text("balancer apps create shop")
        expect(main).to_contain_text("git push balancer master")
        assert operator.grave_faults() == []
        operator.keep_picture("empty")
        operator.page.goto("/traffic")
        expect(main).to_contain_text("Nothing is live")
        assert operator.grave_faults() == []
