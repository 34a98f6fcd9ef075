"""Who is no visitor is told by the words of the list; most browsers are known without it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from balancer.proxy.bots import BOTS, BROWSERS

_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
_SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko)"


@given(some.from_regex(BROWSERS, fullmatch=True))
def test_no_browser_that_is_known_without_the_list_is_in_it(agent: str) -> None:
    assert not re.search(BOTS, agent.lower())


@pytest.mark.parametrize(
    "agent",
    [
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36",
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36 Edg/141.0.0.0",
        f"Mozilla/5.0 (Linux; Android 10; K) {_CHROME} Mobile Safari/537.36",
        f"{_MAC} {_CHROME} Safari/537.36",
        f"{_MAC} {_SAFARI} Version/26.0 Safari/605.1.15",
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) {_SAFARI} Version/26.0 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
        "Mozilla/5.0 (Android 15; Mobile; rv:143.0) Gecko/143.0 Firefox/143.0",
    ],
)
def test_the_usual_browsers_are_known_without_the_list(agent: str) -> None:
    assert re.search(BROWSERS, agent)


@pytest.mark.parametrize(
    "agent",
    [
        "",
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64; somebot) {_CHROME} Safari/537.36",
        f"{_MAC} AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/141.0.0.0 Safari/537.36",
        f"{_MAC} {_CHROME} Safari/537.36 (compatible; Googlebot/2.1)",
        f"{_MAC} {_CHROME} Safari/537.36 Preview/1.0",
    ],
)
def test_whoever_says_more_is_looked_up_in_the_list(agent: str) -> None:
    assert not re.search(BROWSERS, agent)
