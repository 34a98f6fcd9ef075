"""Splits and rollouts, in a browser: begun, ended and steered on the pages, by operators and by nobody else."""

import contextlib
import re
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Locator, expect

from balancer.domain.role import Role
from browser.test_app_page import part, said
from browser.test_keyboard import tab_to
from browsers import Visit, visit
from running import Running, app_files
from waiting import until

LOOK = "Look at what will happen…"


@pytest.fixture(scope="module")
def kiosk(platform: Running) -> Running:
    """The platform with a kiosk of two branches, both seen under their own URLs, and a metric."""
    made = platform.create("kiosk")
    made.deploy("one")
    made.deploy("two", "test")
    platform.declare("kiosk", "purchase")
    platform.json(*("metrics", "set", "kiosk", "refunds", "--kind", "converted", "--event", "refund", "--guardrail"))
    return platform


@pytest.fixture(scope="module")
def reading(platform: Running) -> str:
    """A token of a reader."""
    return platform.client.add_token("ada", Role.READER).token


def happens(visit: Visit) -> Locator:
    """Return what a page says that will happen, with its button."""
    return part(visit, "What will happen")


def sentences(visit: Visit) -> Locator:
    """Return what a question says that will happen."""
    return visit.page.get_by_role("list", name="What will happen")


def free(platform: Running) -> None:
    """Let the kiosk have no split."""
    if any(each.state in ("running", "paused") for each in platform.client.splits("kiosk")):
        platform.client.cancel_split("kiosk")


def noted(platform: Running, what: str) -> tuple[str, str, str]:
    """Return who did this last to the kiosk, with what, and how it ended."""
    entry = next(each for each in platform.client.audit("kiosk", None, 50) if each.what == what)
    return entry.who, entry.summary, entry.outcome


def test_a_split_is_begun_without_a_mouse_once_it_was_said_what_it_does(kiosk: Running, operator: Visit) -> None:
    page, keys = operator.page, operator.page.keyboard
    page.goto("/apps/kiosk")
    operator.wait_until_live()
    tab_to(operator, part(operator, "Visitors").get_by_role("link", name="Begin a split…"))
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Begin a split")
    expect(page.get_by_label("master", exact=True)).to_be_checked()
    expect(page.get_by_label("test", exact=True)).to_be_checked()
    assert operator.grave_faults() == []
    tab_to(operator, page.get_by_label("What decides"))
    keys.type("purchsae")
    keys.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("did you mean purchase?")
    expect(page.get_by_label("What decides")).to_have_value("purchsae")
    tab_to(operator, page.get_by_label("Weight of test"))
    keys.type("40")
    page.get_by_label("What decides").fill("purchase")
    tab_to(operator, page.get_by_role("button", name=LOOK))
    keys.press("Space")
    expect(happens(operator)).to_contain_text("master 60 %, test 40 %. Until now everyone sees master.")
    expect(happens(operator)).to_contain_text("purchase decides, as it is declared now")
    assert operator.grave_faults() == []
    expect(page.locator("#live")).to_be_hidden()
    tab_to(operator, page.get_by_role("button", name="Begin the split"))
    keys.press("Enter")
    expect(said(operator)).to_have_text("The split has begun: master 60 %, test 40 %.")
    expect(page).to_have_url(f"{operator.url}/apps/kiosk/split")
    split = kiosk.client.split("kiosk")
    assert (split.state, split.brief.metric, split.phases[-1].weights) == (
        "running",
        "purchase",
        {"master": 60, "test": 40},
    )
    assert noted(kiosk, "POST /api/apps/{app}/split") == (
        "token operator",
        "weights master=60 test=40, metric purchase",
        "done",
    )
    page.reload()
    expect(said(operator)).to_have_count(0)


def test_while_a_split_runs_no_other_is_begun_and_the_page_leads_to_it(kiosk: Running, operator: Visit) -> None:
    free(kiosk)
    page = operator.page
    page.goto("/apps/kiosk/split/start")
    page.get_by_role("button", name=LOOK).click()
    expect(happens(operator)).to_contain_text("No metric decides")
    kiosk.split("kiosk", master=90, test=10)
    page.get_by_role("button", name="Begin the split").click()
    expect(page.get_by_role("alert")).to_contain_text("has a running split")
    expect(page.get_by_role("button", name=LOOK)).to_have_count(0)
    page.get_by_role("link", name="The split and its report").click()
    expect(part(operator, "Verdict")).to_contain_text("no metric decides")
    assert kiosk.client.split("kiosk").phases[-1].weights == {"master": 90, "test": 10}
    for path in ("split/start", "rollout/start"):
        answer = page.goto(f"/apps/kiosk/{path}")
        assert answer
        assert answer.status == 409


def test_who_ends_a_split_sees_its_verdict_first_and_is_warned_of_stopping_early(
    kiosk: Running, operator: Visit
) -> None:
    free(kiosk)
    assert kiosk.command("split", "start", "kiosk", "master=50", "test=50", "--metric", "purchase").returncode == 0
    page = operator.page
    page.goto("/apps/kiosk/split")
    operator.wait_until_live()
    page.get_by_role("link", name="End the split…").click()
    expect(part(operator, "Verdict")).to_contain_text("not enough data")
    expect(part(operator, "Verdict").get_by_role("note")).to_contain_text("There is no verdict yet.")
    assert operator.grave_faults() == []
    operator.keep_picture_of("split-end", part(operator, "Verdict"))
    part(operator, "How is it to end?").get_by_role("link", name="Give to everybody… test").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("End the split: everybody gets test?")
    expect(page.get_by_role("note")).to_contain_text("There is no verdict yet.")
    expect(sentences(operator)).to_contain_text("Who has master moves there with their next request.")
    expect(sentences(operator)).to_contain_text("Cookies stay")
    expect(sentences(operator)).to_contain_text("The report stays as it is at that moment")
    assert operator.grave_faults() == []
    ended = kiosk.client.split("kiosk")
    assert ended.state == "running", "looking at it changes nothing"
    free(kiosk)
    kiosk.split("kiosk", master=50, test=50)
    page.get_by_role("button", name="Give everybody test").click()
    expect(page.get_by_role("alert")).to_contain_text("the page was of another split")
    assert kiosk.client.split("kiosk").state == "running"
    expect(page.get_by_role("note")).to_contain_text("No metric decides this split")
    page.get_by_role("link", name="Leave it as it is").click()
    expect(page).to_have_url(f"{operator.url}/apps/kiosk/split")


def test_everybody_gets_the_winner_and_the_page_says_what_is_next(kiosk: Running, operator: Visit) -> None:
    free(kiosk)
    kiosk.split("kiosk", master=50, test=50)
    page = operator.page
    page.goto("/apps/kiosk/split/conclude?winner=master")
    page.get_by_role("button", name="Give everybody master").click()
    expect(said(operator)).to_have_text("The split is over: everyone sees master.")
    split = kiosk.client.split("kiosk")
    assert (split.state, split.winner) == ("concluded", "master")
    assert noted(kiosk, "POST /api/apps/{app}/split/conclude") == ("token operator", "winner master", "done")
    page.goto("/apps/kiosk/split")
    expect(part(operator, "What is next").get_by_role("link", name="Begin a split…")).to_be_visible()
    expect(part(operator, "What is next").get_by_role("link", name="Begin a rollout…")).to_be_visible()
    expect(part(operator, "Begin a bandit")).to_be_visible()
    expect(page.get_by_role("link", name="End the split…")).to_have_count(0)
    assert operator.grave_faults() == []
    answer = page.goto("/apps/kiosk/split/end")
    assert answer
    assert answer.status == 404


def asked(platform: Running, cookie: str = "") -> tuple[str, str]:
    """Return what a visitor of the kiosk is shown, and the cookie that they have then."""
    # A name that is no bot's: those see the control.
    headers = {"Host": "kiosk.localhost", "Cookie": cookie, "User-Agent": "Mozilla/5.0"}
    request = urllib.request.Request(f"http://127.0.0.1:{platform.port}/", headers=headers)
    with urllib.request.urlopen(request) as answer:
        given = answer.headers.get("Set-Cookie", cookie)
        return answer.read().decode(), given.partition(";")[0]


def test_what_is_said_of_visitors_and_their_cookies_is_so(kiosk: Running, operator: Visit) -> None:
    free(kiosk)
    kiosk.split("kiosk", master=0, test=100)
    shown, cookie = asked(kiosk)
    assert shown == "two test"
    operator.page.goto("/apps/kiosk/split/conclude?winner=master")
    expect(sentences(operator)).to_contain_text("Everyone sees master. Who has test moves there")
    operator.page.get_by_role("button", name="Give everybody master").click()
    expect(said(operator)).to_have_text("The split is over: everyone sees master.")
    assert asked(kiosk, cookie) == ("one -", cookie), "they move, and their cookie stays"
    operator.page.goto("/apps/kiosk/split/start?branch:master=yes&branch:test=yes&weight:master=0")
    expect(happens(operator)).to_contain_text(
        "Everybody is given a branch when they come next, also who was there before"
    )
    operator.page.get_by_role("button", name="Begin the split").click()
    expect(said(operator)).to_have_text("The split has begun: master 0 %, test 100 %.")
    shown, renewed = asked(kiosk, cookie)
    assert shown == "two test"
    assert renewed != cookie
    assert renewed.partition(".")[0] == cookie.partition(".")[0], "the number of the visitor stays"


def test_all_of_a_split_works_without_scripts(kiosk: Running, browser: Browser) -> None:
    free(kiosk)
    with visit(browser, kiosk, scripts=False) as plain:
        plain.sign_in()
        page = plain.page
        page.goto("/apps/kiosk")
        part(plain, "Visitors").get_by_role("link", name="Begin a split…").click()
        page.get_by_label("Weight of test").fill("100")
        page.get_by_role("button", name=LOOK).click()
        expect(page.get_by_role("alert")).to_contain_text("leave nothing to master")
        page.get_by_label("Weight of test").fill("25")
        page.get_by_text("More: the control").click()
        page.get_by_label("Only for who asks for a path").fill("/checkout")
        page.get_by_role("button", name=LOOK).click()
        expect(happens(plain)).to_contain_text("Only for some: paths that begin with /checkout.")
        page.get_by_role("button", name="Begin the split").click()
        expect(said(plain)).to_have_text("The split has begun: master 75 %, test 25 %.")
        page.get_by_role("link", name="Pause…").click()
        expect(sentences(plain)).to_contain_text("Nobody new is given a branch")
        page.get_by_role("button", name="Pause the split").click()
        expect(said(plain)).to_have_text("The split is paused: nobody new is given a branch.")
        page.get_by_role("link", name="Go on…").click()
        page.get_by_role("button", name="Let the split go on").click()
        expect(said(plain)).to_have_text("The split goes on.")
        assert kiosk.client.split("kiosk").state == "running"
        page.get_by_role("link", name="End the split…").click()
        page.get_by_role("link", name="End it without a winner…").click()
        expect(sentences(plain)).to_contain_text("No branch wins: everyone sees master, as outside a split.")
        page.get_by_role("button", name="End the split").click()
        expect(said(plain)).to_have_text("The split is over, without a winner.")
        assert kiosk.client.split("kiosk").state == "cancelled"


def test_a_rollout_is_begun_with_its_plan_before_one_and_a_freeze_said(kiosk: Running, operator: Visit) -> None:
    free(kiosk)
    ends = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    assert kiosk.command("freeze", "add", "kiosk", "--until", ends, "--why", "Christmas").returncode == 0
    page = operator.page
    page.goto("/apps/kiosk")
    part(operator, "Visitors").get_by_role("link", name="Begin a rollout…").click()
    expect(page.get_by_label("Branch", exact=True)).to_have_value("test")
    assert operator.grave_faults() == []
    page.get_by_label("Steps, % of the visitors").fill("50,10")
    page.get_by_role("button", name=LOOK).click()
    expect(page.get_by_role("alert")).to_contain_text("the steps must grow")
    page.get_by_label("Steps, % of the visitors").fill("10,50,100")
    page.get_by_label("How long a step lasts at least").fill("1h")
    page.get_by_label("What decides").fill("purchsae")
    page.get_by_role("button", name=LOOK).click()
    expect(page.get_by_role("alert")).to_contain_text("did you mean purchase?")
    page.get_by_label("What decides").fill("")
    page.get_by_text("More: in which hours").click()
    page.get_by_label("Hours in which it goes on").fill("sometimes")
    page.get_by_role("button", name=LOOK).click()
    expect(page.get_by_role("alert")).to_contain_text("sometimes")
    page.get_by_label("Hours in which it goes on").fill("")
    page.get_by_label("For the plan: visitors a day").fill("2000")
    page.get_by_role("button", name=LOOK).click()
    expect(happens(operator)).to_contain_text("test gets 10 % of the visitors, master the others.")
    table = happens(operator).get_by_role("table")
    expect(table.get_by_role("row")).to_have_count(4)
    expect(table.get_by_role("row").nth(1)).to_contain_text("200 visitors, then hours and freezes")
    expect(happens(operator)).to_contain_text("(Christmas): until then it takes no step by itself.")
    assert operator.grave_faults() == []
    page.get_by_role("button", name="Begin the rollout").click()
    expect(said(operator)).to_have_text("The rollout of test has begun: it gets 10 % of new visitors.")
    operator.wait_until_live()
    expect(part(operator, "Rollout")).to_contain_text(
        "the guardrail refunds counts refund, of which none was ever seen"
    )
    rollout = kiosk.client.rollout("kiosk").rollout
    assert (rollout.branch, rollout.state, rollout.plan.steps) == ("test", "running", [10, 50, 100])
    assert rollout.plan.step_seconds == 3600
    assert noted(kiosk, "POST /api/apps/{app}/rollout") == ("token operator", "mode superiority, branch test", "done")


def test_a_rollout_is_steered_on_the_page_of_its_split_too_and_the_split_is_not_ended_without_it(
    kiosk: Running, operator: Visit
) -> None:
    page, rollout = operator.page, part(operator, "Rollout")
    page.goto("/apps/kiosk/rollout/resume")
    expect(sentences(operator)).to_contain_text("By itself it takes no step just now")
    for each in kiosk.client.freezes():
        kiosk.client.remove_freeze(each.number)
    page.goto("/apps/kiosk/split")
    expect(page.get_by_role("link", name="End the split…")).to_have_count(0)
    assert operator.grave_faults() == []
    rollout.get_by_role("link", name="Pause…").click()
    page.get_by_role("button", name="Pause the rollout").click()
    expect(said(operator)).to_have_text("The rollout takes no further step until it goes on.")
    assert kiosk.client.rollout("kiosk").rollout.state == "paused"
    assert kiosk.command("split", "set", "kiosk", "master=70", "test=30").returncode == 0
    rollout.get_by_role("link", name="Go on…").click()
    expect(sentences(operator)).to_contain_text("test gets 10 % of new visitors again; somebody has given it 30 %.")
    page.get_by_role("button", name="Let the rollout go on").click()
    expect(said(operator)).to_have_text("The rollout goes on.")
    assert kiosk.client.split("kiosk").phases[-1].weights == {"master": 90, "test": 10}
    rollout.get_by_role("link", name="Next step…").click()
    page.get_by_role("button", name="Take the next step").click()
    expect(said(operator)).to_have_text("The rollout has taken its next step.")
    answer = page.goto("/apps/kiosk/split/end")
    assert answer
    assert answer.status == 409
    expect(page.get_by_role("main")).to_contain_text("a rollout of kiosk goes on with the split")
    page.goto("/apps/kiosk/split")
    rollout.get_by_role("link", name="End…").click()
    page.get_by_role("button", name="End the rollout").click()
    expect(said(operator)).to_have_text("The rollout has ended: everyone sees the control again.")
    assert kiosk.client.rollout("kiosk").rollout.state == "aborted"


def test_a_rollout_that_was_rolled_back_says_why_wherever_its_verdict_stands(kiosk: Running, operator: Visit) -> None:
    free(kiosk)
    kiosk.repository("kiosk").commit(failing_files(), "faulty")
    kiosk.repository("kiosk").push("faulty")
    start = ("rollout", "start", "kiosk", "faulty", "--steps", "90,100", "--step-time", "1h")
    assert kiosk.command(*start).returncode == 0
    page = operator.page
    page.goto("/apps/kiosk/split")
    operator.wait_until_live()
    until(lambda: fails(kiosk) or kiosk.client.rollout("kiosk").rollout.state == "rolled back", 60)
    verdict = page.locator("#verdict")
    expect(verdict).to_contain_text("rolled back faulty", timeout=60_000)  # with the ledger's first report
    page.reload()
    expect(verdict).to_contain_text("rolled back faulty")
    expect(verdict).not_to_contain_text("keep running")
    next_one = page.locator("ul.steps").get_by_role("link", name="Begin a rollout…")
    expect(next_one).to_have_attribute("href", "/apps/kiosk/rollout/start?branch=faulty")
    assert operator.grave_faults() == []
    reason = kiosk.client.rollout("kiosk").rollout.reason or ""
    expect(verdict).to_contain_text(reason)
    page.goto("/")
    overview = page.get_by_role("region", name="Split of kiosk")
    expect(overview).to_contain_text("rolled back faulty")
    expect(overview).to_contain_text(reason)
    assert operator.grave_faults() == []
    page.goto("/apps/kiosk")
    expect(part(operator, "Visitors")).to_contain_text("rolled back faulty")
    assert kiosk.command("split", "set", "kiosk", "master=50", "faulty=50").returncode == 0
    page.goto("/apps/kiosk/split")
    expect(verdict).to_contain_text("no metric decides")
    free(kiosk)
    kiosk.repository("kiosk").push(":faulty")


def test_a_page_of_a_split_that_stays_open_says_what_was_done_to_it_meanwhile(kiosk: Running, operator: Visit) -> None:
    free(kiosk)
    kiosk.split("kiosk", master=50, test=50)
    page = operator.page
    page.goto("/apps/kiosk/split")
    operator.wait_until_live()
    meanwhile = page.locator("#meanwhile")
    expect(meanwhile).to_have_text("")
    assert kiosk.command("split", "set", "kiosk", "master=60", "test=40").returncode == 0
    expect(meanwhile).to_contain_text("Since this page was made the split has new weights.")
    assert operator.grave_faults() == []
    assert kiosk.command("split", "pause", "kiosk").returncode == 0
    expect(meanwhile).to_contain_text("was paused")
    meanwhile.get_by_role("link", name="Show it as it is now").click()
    expect(page.locator(".facts")).to_contain_text("paused")
    operator.wait_until_live()
    expect(meanwhile).to_have_text("")
    free(kiosk)
    expect(meanwhile).to_contain_text("has ended")


def failing_files() -> dict[str, str]:
    """Return an app that is healthy, and whose pages fail."""
    files = app_files("faulty")
    files["app.py"] = files["app.py"].replace('self.path == "/fail"', 'self.path != "/healthy"')
    return {**files, "balancer.toml": 'health_path = "/healthy"\n'}


def fails(platform: Running) -> bool:
    """Ask for a page as somebody new; return False, whatever comes."""
    with contextlib.suppress(urllib.error.HTTPError):
        asked(platform)
    return False


def test_an_a_a_split_is_tried_out_with_a_twin_and_one_for_some_countries_begun(
    kiosk: Running, operator: Visit
) -> None:
    free(kiosk)
    page = operator.page
    page.goto("/apps/kiosk/split/start")
    assert operator.grave_faults() == []
    page.get_by_text("More: the control").click()
    page.get_by_label("Only for visitors from these countries").fill("DE, AT")
    page.get_by_label("Only for requests with these headers").fill("x-beta=1\nx-plan=pro,team")
    page.get_by_role("button", name=LOOK).click()
    expect(happens(operator)).to_contain_text("Only for some: x-beta 1, x-plan pro or team, cf-ipcountry DE or AT.")
    expect(page.get_by_label("Only for visitors from these countries")).to_have_value("DE, AT")
    page.get_by_role("button", name="Begin the split").click()
    expect(said(operator)).to_contain_text("The split has begun")
    headers = kiosk.client.split("kiosk").brief.headers
    assert [(each.name, each.values) for each in headers] == [
        ("x-beta", ["1"]),
        ("x-plan", ["pro", "team"]),
        ("cf-ipcountry", ["DE", "AT"]),
    ]
    free(kiosk)
    page.goto("/apps/kiosk/split/start")
    part(operator, "Try the measuring out").get_by_label("Metric").fill("purchase")
    page.get_by_role("button", name="Try it…").click()
    expect(happens(operator)).to_contain_text("aa is made of master as it is now, and goes when the split ends.")
    expect(happens(operator)).to_contain_text("nothing should be found")
    page.get_by_role("button", name="Begin the split").click()
    expect(said(operator)).to_be_visible()
    page.goto("/apps/kiosk")
    operator.wait_until_live()
    expect(part(operator, "Visitors")).to_contain_text("aa 50 %")
    split = kiosk.client.split("kiosk")
    assert (split.brief.aa, split.brief.twin, split.brief.metric) == (True, "aa", "purchase")
    page.goto("/apps/kiosk/split")
    expect(part(operator, "Verdict")).to_contain_text("This is an A/A split")
    free(kiosk)


def test_the_forms_that_begin_fit_a_phone(kiosk: Running, operator: Visit) -> None:
    free(kiosk)
    page = operator.page
    page.set_viewport_size({"width": 360, "height": 740})
    query = "branch:master=yes&branch:test=yes"
    for path in (f"split/start?{query}", "rollout/start?branch=test&steps=10,100"):
        page.goto(f"/apps/kiosk/{path}")
        expect(happens(operator)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        assert operator.grave_faults() == []


def test_a_rollout_begins_without_scripts_and_everybody_is_given_its_branch(kiosk: Running, browser: Browser) -> None:
    free(kiosk)
    with visit(browser, kiosk, scripts=False) as plain:
        plain.sign_in()
        page = plain.page
        page.goto("/apps/kiosk/rollout/start")
        page.get_by_role("button", name=LOOK).click()
        expect(happens(plain)).to_contain_text("At its last step it waits until somebody gives everybody test.")
        expect(happens(plain)).to_contain_text("Not enough data: no split of kiosk has had 100 visitors")
        page.get_by_role("button", name="Begin the rollout").click()
        part(plain, "Rollout").get_by_role("link", name="Give everybody test…").click()
        expect(sentences(plain)).to_contain_text("Everyone sees test at once, and its split ends.")
        page.get_by_role("button", name="Give everybody test").click()
        expect(said(plain)).to_contain_text(
            re.compile("Everyone sees the branch of the rollout|Rollout: promote: it goes on")
        )
        assert kiosk.client.rollout("kiosk").rollout.state in ("promoting", "done")


def test_a_reader_sees_none_of_it_and_is_refused(kiosk: Running, browser: Browser, reading: str) -> None:
    before = kiosk.client.splits("kiosk")
    with visit(browser, kiosk) as reader:
        reader.sign_in(reading)
        page, main = reader.page, reader.page.get_by_role("main")
        for path in ("kiosk", "kiosk/split", "shop", "shop/split"):
            page.goto(f"/apps/{path}")
            if path != "kiosk/split":
                reader.wait_until_live()
            expect(main.get_by_role("heading", level=1)).to_be_visible()
            assert main.get_by_role("link", name="…").count() == 0, path
            assert main.locator("form[method=post]").count() == 0, path
        for path in ("split/start", "split/end", "split/cancel", "split/conclude?winner=test", "split/pause"):
            answer = page.goto(f"/apps/shop/{path}")
            assert answer
            assert answer.status == 403, path
        for path in ("rollout/start", "rollout/abort"):
            answer = page.goto(f"/apps/kiosk/{path}")
            assert answer
            assert answer.status == 403, path
        csrf = page.locator("input[name=csrf]").first.get_attribute("value") or ""
        fields = {"csrf": csrf, "served": "master", "branch:master": "yes", "branch:test": "yes", "branch": "test"}
        for path in ("split/start", "split/cancel", "split/conclude", "split/pause", "rollout/start", "rollout/abort"):
            sent = page.request.post(
                f"/apps/kiosk/{path}",
                form={**fields, "split": before[0].id, "winner": "test"},
                headers={"Origin": reader.url, "Accept": "text/html"},
            )
            assert sent.status == 403, path
            assert "has the role reader" in sent.text()
    assert kiosk.client.splits("kiosk") == before


def test_an_app_without_a_second_branch_says_what_to_push(operator: Visit) -> None:
    page = operator.page
    for path in ("blog", "blog/split"):
        page.goto(f"/apps/{path}")
        expect(page.get_by_role("main")).not_to_contain_text("Begin a split")
    operator.platform.client.create_app("desk")
    page.goto("/apps/desk/split")
    expect(page.get_by_role("link", name="How to push")).to_have_attribute("href", "/apps/desk/settings#h-push")
    assert operator.grave_faults() == []
