"""Bandits, in a browser: begun, looked at and steered on the page of their split, by operators and by nobody else."""

import pytest
from playwright.sync_api import Browser, expect

from balancer.domain.role import Role
from browser.test_app_page import part, said
from browsers import Visit, visit
from running import Running


@pytest.fixture(scope="module")
def stall(platform: Running) -> Running:
    """The platform with a stall of three branches, all seen under their own URLs."""
    made = platform.create("stall")
    made.deploy("one")
    made.deploy("two", "test")
    made.deploy("three", "blue")
    platform.declare("stall", "purchase")
    return platform


@pytest.fixture(scope="module")
def reading(platform: Running) -> str:
    """A token of a reader."""
    return platform.client.add_token("ada", Role.READER).token


def test_a_bandit_is_begun_once_it_was_said_that_it_is_for_earnings(stall: Running, operator: Visit) -> None:
    page = operator.page
    page.goto("/apps/stall/split")
    begin = part(operator, "Begin a bandit")
    expect(begin).to_contain_text("For earnings more than for knowledge")
    begin.get_by_label("by").fill("purchase")
    begin.get_by_role("button", name="Look at what will happen…").click()
    expect(page.get_by_role("alert")).to_contain_text("name at least one branch beside master")
    page.go_back()
    begin.get_by_label("test").check()
    begin.get_by_label("by").fill("purchsae")
    begin.get_by_role("button", name="Look at what will happen…").click()
    page.get_by_role("button", name="Begin it").click()
    expect(page.get_by_role("alert")).to_contain_text("purchsae")
    page.goto("/apps/stall/split")
    begin.get_by_label("test").check()
    begin.get_by_label("blue").check()
    begin.get_by_label("by").fill("purchase")
    begin.get_by_role("button", name="Look at what will happen…").click()
    happens = page.get_by_role("list", name="What will happen")
    expect(happens).to_contain_text("master, blue, test get even parts of the new visitors")
    expect(happens).to_contain_text("for earnings more than for knowledge")
    assert operator.grave_faults() == []
    page.get_by_role("button", name="Begin it").click()
    expect(page).to_have_url(f"{operator.url}/apps/stall/split")
    standing = stall.client.bandit("stall")
    assert (standing.bandit.branches, standing.bandit.metric) == (["blue", "test"], "purchase")


def test_its_branches_its_weights_by_phase_and_why_stand_on_the_page_of_its_split(
    stall: Running, operator: Visit
) -> None:
    page = operator.page
    page.goto("/apps/stall/split")
    operator.wait_until_live()
    expect(page.get_by_role("main")).to_contain_text("it is for earnings more than for knowledge")
    bandit = part(operator, "Bandit")
    expect(bandit).to_contain_text("that earns, and proves little")
    row = bandit.get_by_role("row", name="test")
    expect(row.locator("td[data-head=Weight]")).to_have_text("33.33 %")
    expect(row.locator("td[data-head='Chance to be best']")).to_have_text("not known yet")
    expect(page.locator("figure#ramp svg.chart-wide > desc")).to_contain_text("master 33.34%; blue 33.33%; test 33.33%")
    page.locator("figure#ramp").get_by_text("Table").click()
    weights = page.locator("figure#ramp tbody tr").filter(has=page.get_by_role("cell", name="weight", exact=True))
    expect(weights).to_have_count(3)
    assert operator.grave_faults() == []
    page.goto("/apps/stall")
    expect(part(operator, "Bandit").get_by_role("row", name="blue")).to_contain_text("33.33 %")
    assert operator.grave_faults() == []


def test_an_operator_pauses_it_and_lets_it_go_on(stall: Running, operator: Visit) -> None:
    page = operator.page
    page.goto("/apps/stall/split")
    part(operator, "Bandit").get_by_role("link", name="Pause…").click()
    happens = page.get_by_role("list", name="What will happen")
    expect(happens).to_contain_text("shared on so until it goes on: master 33.34 %, blue 33.33 %, test 33.33 %.")
    assert stall.client.bandit("stall").bandit.state == "running", "looking at it changes nothing"
    page.get_by_role("button", name="Pause the bandit").click()
    expect(said(operator)).to_have_text("The bandit leaves the weights as they are until it goes on.")
    assert stall.client.bandit("stall").bandit.state == "paused"
    page.goto("/apps/stall/split")
    expect(page.locator("figure#ramp table")).to_contain_text("an operator has paused it")
    operator.wait_until_live()
    bandit = part(operator, "Bandit")
    expect(bandit.locator(".light").first).to_have_text("paused")
    assert stall.command("split", "set", "stall", "master=50", "blue=30", "test=20").returncode == 0
    bandit.get_by_role("link", name="Go on…").click()
    expect(happens).to_contain_text("Its weights come back: master 33.34 %, blue 33.33 %, test 33.33 %.")
    expect(happens).to_contain_text("Somebody has given master 50 %, blue 30 %, test 20 % meanwhile.")
    page.get_by_role("button", name="Let the bandit go on").click()
    expect(said(operator)).to_have_text("The bandit goes on, with the weights that it has set last.")
    page.goto("/apps/stall/split")
    operator.wait_until_live()
    expect(bandit.locator(".light").first).to_have_text("running")
    expect(part(operator, "Who changed what")).to_have_count(0)
    page.goto("/apps/stall")
    expect(part(operator, "Who changed what")).to_contain_text("Paused the bandit of stall")


def test_a_reader_sees_it_and_no_button(stall: Running, browser: Browser, reading: str) -> None:
    with visit(browser, stall) as reader:
        reader.sign_in(reading)
        for path in ("/apps/stall/split", "/apps/stall"):
            reader.page.goto(path)
            reader.wait_until_live()
            bandit = part(reader, "Bandit")
            expect(bandit.get_by_role("row", name="test")).to_be_visible()
            assert bandit.get_by_role("button").count() == 0
            assert bandit.get_by_role("link").count() == 0
        for path in ("bandit/start?metric=purchase", "bandit/abort", "bandit/pause", "bandit/promote?branch=test"):
            answer = reader.page.goto(f"/apps/stall/{path}")
            assert answer
            assert answer.status == 403


def test_ending_it_says_first_what_will_happen_and_works_without_scripts(stall: Running, browser: Browser) -> None:
    with visit(browser, stall, scripts=False) as plain:
        plain.sign_in()
        plain.page.goto("/apps/stall/split")
        part(plain, "Bandit").get_by_role("link", name="Give everybody test…").click()
        happens = plain.page.get_by_role("list", name="What will happen")
        expect(happens).to_contain_text("Everyone sees test at once, and the bandit and its split end.")
        expect(happens).to_contain_text("By how much it is the better one is not known well")
        plain.page.get_by_role("link", name="Leave it as it is").click()
        part(plain, "Bandit").get_by_role("link", name="End…").click()
        expect(happens).to_contain_text("everyone sees master again")
        assert stall.client.bandit("stall").bandit.state == "running"
        plain.page.get_by_role("button", name="End the bandit").click()
        expect(said(plain)).to_have_text("The bandit has ended: everyone sees the control again.")
        expect(plain.page.locator("#bandit")).to_be_hidden()
        plain.page.goto("/apps/stall/split")
        expect(part(plain, "Bandit").locator(".light").first).to_have_text("aborted")
        expect(part(plain, "Bandit")).to_contain_text("an operator has ended it")
        assert part(plain, "Bandit").get_by_role("link").count() == 0


def test_everybody_is_given_the_branch_that_earned_most(stall: Running, operator: Visit) -> None:
    assert stall.command("bandit", "start", "stall", "test", "--metric", "purchase").returncode == 0
    operator.page.goto("/apps/stall/bandit/abort")
    assert stall.command("bandit", "abort", "stall").returncode == 0
    assert stall.command("bandit", "start", "stall", "test", "--metric", "purchase").returncode == 0
    operator.page.get_by_role("button", name="End the bandit").click()
    expect(operator.page.get_by_role("alert")).to_contain_text("another one has begun since")
    part(operator, "Bandit").get_by_role("link", name="Give everybody test…").click()
    operator.page.get_by_role("button", name="Give everybody test").click()
    expect(said(operator)).to_contain_text("Everyone sees test.")
    assert stall.client.bandit("stall").bandit.state == "done"
