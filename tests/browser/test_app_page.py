"""The page of an app, in a browser, on a real platform: watched while git pushes, and used to change things."""

import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from balancer.domain.role import Role
from browsers import Scheme, Visit, visit
from running import Running, app_files


@pytest.fixture
def shop(operator: Visit) -> Visit:
    """An operator before the page of the shop, which is kept up to date."""
    operator.page.goto("/apps/shop")
    operator.wait_until_live()
    return operator


@pytest.fixture(scope="module")
def reading(platform: Running) -> str:
    """A token of a reader."""
    return platform.client.add_token("ada", Role.READER).token


def gated_files(gate: Path) -> dict[str, str]:
    """Return an app whose release command says that it waits for a file, waits, and says more."""
    script = f"echo Adding a column to orders\nwhile [ ! -e {gate} ]; do sleep 0.05; done\necho 1,204 rows done\n"
    procfile = "web: python3 app.py\nrelease: sh migrate.sh\n"  # as people write it: a picture shows it
    return {**app_files("gated"), "Procfile": procfile, "migrate.sh": script}


def part(visit: Visit, name: str) -> Locator:
    """Return the part of the page with this heading."""
    return visit.page.get_by_role("region", name=name, exact=True)


def said(visit: Visit) -> Locator:
    """Return what the page says that was done."""
    return visit.page.locator(".said")


def undo(visit: Visit) -> None:
    """Let the weights be as the other tests expect them."""
    visit.platform.command("split", "set", "shop", "master=75", "test=25")


def test_a_push_is_watched_from_its_first_line_to_its_end(shop: Visit, tmp_path: Path) -> None:
    page, repository, gate = shop.page, shop.platform.repository("shop"), tmp_path / "gate"
    page.evaluate("window.same = true")
    repository.commit(gated_files(gate), "spring")
    push = subprocess.Popen(["git", "push", "--quiet", "balancer", "spring"], cwd=repository.directory)
    card = page.locator("#doing .deploy", has_text="spring release 3")
    try:
        expect(card.locator(".light").first).to_have_text("building")
        expect(card.get_by_role("log")).to_contain_text("Adding a column to orders")
        expect(card.get_by_role("listitem").filter(has_text="building")).to_have_attribute("aria-current", "step")
        expect(card.get_by_role("progressbar")).to_have_js_property("value", 1)
        expect(card.get_by_role("button", name="Cancel")).to_be_visible()
        assert shop.grave_faults() == []
        shop.keep_picture("app-deploy", 900)
    finally:
        gate.touch()
        assert push.wait(60) == 0
    expect(card.locator(".light").first).to_have_text("live")
    expect(card.get_by_role("log")).to_contain_text("1,204 rows done")
    expect(card.get_by_role("progressbar")).to_have_count(0)
    expect(part(shop, "Live branches").get_by_role("row", name="spring")).to_contain_text("1 of 1 healthy")
    expect(part(shop, "Releases").get_by_role("row").nth(1)).to_contain_text("A commit of spring")
    expect(page.locator("#said-live")).to_have_text(re.compile("spring release 3: A commit of spring: live"))
    assert page.evaluate("window.same"), "the page was not loaded again"
    page.get_by_role("link", name="spring release 3").click()
    expect(page.get_by_role("log")).to_contain_text("Adding a column to orders")
    expect(page.get_by_role("log")).to_contain_text("1,204 rows done")
    assert shop.grave_faults() == []


def test_each_line_of_a_log_is_shown_once(shop: Visit, tmp_path: Path) -> None:
    repository, gate = shop.platform.repository("shop"), tmp_path / "gate"
    repository.commit(gated_files(gate), "once")
    push = subprocess.Popen(["git", "push", "--quiet", "balancer", "once"], cwd=repository.directory)
    log = shop.page.locator("#doing .deploy", has_text="once release").get_by_role("log")
    try:
        expect(log).to_contain_text("Adding a column to orders")
    finally:
        gate.touch()
        assert push.wait(60) == 0
    expect(log).to_contain_text("-----> Live")
    lines = [line.strip() for line in log.locator(".line").all_inner_texts()]
    assert (lines.count("Adding a column to orders"), lines.count("1,204 rows done"), lines.count("-----> Live")) == (
        1,
        1,
        1,
    )


def test_a_deploy_that_fails_says_why_and_keeps_its_log(shop: Visit) -> None:
    repository = shop.platform.repository("shop")
    repository.commit({**app_files("x"), "Procfile": "web: python3 app.py\nrelease: echo no luck; exit 3\n"}, "broken")
    repository.push("broken", check=False)
    card = shop.page.locator("#doing .deploy", has_text="broken release")
    expect(card.locator(".light").first).to_have_text("failed")
    expect(card.locator(".failure")).to_contain_text("3")
    expect(card.get_by_role("log")).to_contain_text("no luck")
    shop.page.reload()
    expect(card.get_by_role("log")).to_contain_text("no luck")


def test_a_deploy_can_be_cancelled(shop: Visit, tmp_path: Path) -> None:
    repository = shop.platform.repository("shop")
    repository.commit(gated_files(tmp_path / "never"), "slow")
    push = subprocess.Popen(
        ["git", "push", "--quiet", "balancer", "slow"], cwd=repository.directory, stderr=subprocess.DEVNULL
    )
    try:
        card = shop.page.locator("#doing .deploy", has_text="slow release")
        expect(card.get_by_role("log")).to_contain_text("Adding a column to orders")
        card.get_by_role("button", name="Cancel").click()
        expect(said(shop)).to_contain_text(re.compile("The deploy of slow was cancelled|it goes on"))
    finally:
        (tmp_path / "never").touch()
        assert push.wait(60) != 0
    expect(card.locator(".light").first).to_have_text("failed")


def test_weights_are_changed_by_a_slider_once_it_was_said_who_moves_and_who_stays(shop: Visit) -> None:
    page = shop.page
    page.get_by_label("Weight of test, as a slider").fill("40")
    expect(page.get_by_role("spinbutton", name="master")).to_have_value("60")
    page.get_by_role("button", name="Look at what will happen…").click()
    happens = part(shop, "What will happen")
    expect(happens).to_contain_text("Of new visitors test gets 40 %, until now 25 %.")
    expect(happens).to_contain_text("Who has master or test stays there")
    assert shop.grave_faults() == []
    shop.keep_picture("weights", 560)
    assert shop.platform.client.split("shop").phases[-1].weights == {"master": 75, "test": 25}
    page.get_by_role("button", name="Give these weights").click()
    expect(said(shop)).to_have_text("New visitors are shared so now: master 60 %, test 40 %.")
    assert shop.platform.client.split("shop").phases[-1].weights == {"master": 60, "test": 40}
    expect(part(shop, "Who changed what").get_by_role("row").nth(1)).to_contain_text("token operator")
    expect(part(shop, "Who changed what").get_by_role("row").nth(1)).to_contain_text(
        "Set the weights of shop to master=60 test=40"
    )
    page.reload()
    expect(said(shop)).to_have_count(0)
    undo(shop)


def test_weights_that_somebody_else_has_changed_meanwhile_are_told_of_before_anything_is_done(shop: Visit) -> None:
    page = shop.page
    page.get_by_label("Weight of test, as a slider").fill("40")
    page.get_by_role("button", name="Look at what will happen…").click()
    expect(part(shop, "What will happen")).to_contain_text("until now 25 %")
    shop.platform.command("split", "set", "shop", "master=10", "test=90")
    page.get_by_role("button", name="Give these weights").click()
    expect(page.get_by_role("alert")).to_contain_text("somebody else has given weights: master 10 %, test 90 %")
    expect(part(shop, "What will happen")).to_contain_text("Of new visitors test gets 40 %, until now 90 %.")
    assert shop.platform.client.split("shop").phases[-1].weights == {"master": 10, "test": 90}
    page.get_by_role("button", name="Give these weights").click()
    expect(said(shop)).to_contain_text("master 60 %, test 40 %")
    undo(shop)


def test_a_branch_that_gets_no_weight_loses_its_visitors_and_that_is_said(shop: Visit) -> None:
    shop.page.get_by_role("spinbutton", name="test").fill("0")
    shop.page.get_by_role("button", name="Look at what will happen…").click()
    expect(part(shop, "What will happen")).to_contain_text("Who has test moves: it gets no weight")


def test_weights_that_do_not_add_up_are_refused_in_words_and_stay_typed(browser: Browser, platform: Running) -> None:
    with visit(browser, platform, scripts=False) as plain:
        plain.sign_in()
        plain.page.goto("/apps/shop")
        expect(plain.page.get_by_role("slider")).to_have_count(0)
        plain.page.get_by_role("spinbutton", name="test").fill("40")
        plain.page.get_by_role("button", name="Look at what will happen…").click()
        expect(plain.page.get_by_role("alert")).to_have_text("the weights add up to 115 %, not to 100 %")
        expect(plain.page.get_by_role("spinbutton", name="test")).to_have_value("40")
        plain.page.get_by_role("spinbutton", name="master").fill("60")
        plain.page.get_by_role("button", name="Look at what will happen…").click()
        plain.page.get_by_role("button", name="Give these weights").click()
        expect(said(plain)).to_contain_text("master 60 %, test 40 %")
        undo(plain)


def test_a_rollback_says_to_which_release_and_is_done_then(shop: Visit) -> None:
    shop.platform.repository("shop").deploy("two", "test")
    row = part(shop, "Live branches").get_by_role("row", name="test")
    row.get_by_role("link", name="Go back…").click()
    main = shop.page.get_by_role("main")
    expect(main.get_by_role("heading", level=1)).to_have_text("Go back to release 2 of test?")
    expect(main).to_contain_text("“A commit of test” by Test")
    expect(main).to_contain_text("Its instances are warm still")
    assert shop.grave_faults() == []
    shop.keep_picture("rollback")
    main.get_by_role("button", name="Go back to release 2").click()
    expect(said(shop)).to_contain_text(re.compile("Release 2 of test is live again|it goes on"))
    expect(
        part(shop, "Live branches").get_by_role("row", name="test").locator("td[data-head=Release]")
    ).to_contain_text("2")


def test_instances_show_their_age_their_share_of_a_processor_and_their_memory(shop: Visit) -> None:
    row = part(shop, "Instances").get_by_role("row", name="web.1").first
    expect(row.locator("td[data-head=Memory]")).to_have_text(re.compile(r"^\d+(\.\d)? MB\s*$"))
    expect(row.locator("td[data-head=CPU]")).to_have_text(re.compile(r"^[\d.]+ %\s*$"))
    expect(row.locator("td[data-head=Age]")).to_have_text(re.compile(r"^\d+ (s|min)\s*$"))


def test_scaling_shows_its_steps_and_the_new_instances(shop: Visit) -> None:
    shop.page.get_by_label("web", exact=True).fill("2")
    shop.page.get_by_role("button", name="Scale").click()
    expect(said(shop)).to_contain_text(re.compile("shop runs web=2 now|Scale web=2: it goes on"))
    expect(part(shop, "Instances").get_by_role("row", name=re.compile(r"web\.2")).first).to_contain_text("healthy")
    expect(part(shop, "Live branches").get_by_role("row", name="master")).to_contain_text("2 of 2 healthy")
    shop.page.get_by_label("web", exact=True).fill("1")
    shop.page.get_by_role("button", name="Scale").click()
    expect(part(shop, "Live branches").get_by_role("row", name="master")).to_contain_text("1 of 1 healthy")


def test_what_cannot_be_scaled_is_refused_where_it_was_typed(shop: Visit) -> None:
    field = shop.page.get_by_label("web", exact=True)
    field.fill("many")
    shop.page.get_by_role("button", name="Scale").click()
    expect(shop.page.get_by_role("alert")).to_have_text("web: 'many' is no number of instances; write one such as 2")
    expect(field).to_have_value("many")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("0")
    shop.page.get_by_role("button", name="Scale").click()
    expect(shop.page.get_by_role("alert")).to_contain_text("web=0 would leave shop to nobody")


def test_a_branch_is_restarted_from_its_row(shop: Visit) -> None:
    before = shop.platform.instance_pid("shop", "master")
    part(shop, "Live branches").get_by_role("row", name="master").get_by_role("button", name="Restart").click()
    expect(said(shop)).to_contain_text(re.compile("New instances of master serve|Restart master: it goes on"))
    expect(part(shop, "Instances")).not_to_contain_text(f"pid {before},", timeout=60_000)


def test_maintenance_asks_first_and_ends_with_a_button(shop: Visit) -> None:
    shop.page.get_by_role("link", name="Maintenance…").click()
    expect(shop.page.get_by_role("list", name="What will happen")).to_contain_text("status 503")
    shop.page.get_by_role("button", name="Show it").click()
    expect(said(shop)).to_have_text("Visitors of shop see its maintenance page.")
    expect(shop.page.locator("#state .light")).to_have_text("maintenance")
    shop.page.get_by_role("button", name="Serve again").click()
    expect(shop.page.locator("#state .light")).to_have_text("healthy")


def test_config_vars_are_set_shown_on_demand_and_unset(shop: Visit) -> None:
    shop.page.get_by_role("link", name="Settings").click()
    page = shop.page
    page.get_by_label("Name").fill("GREET")
    page.get_by_label("Value").fill("hello there")
    page.get_by_label("Only from the next release on").check()
    page.get_by_role("button", name="Set", exact=True).click()
    expect(said(shop)).to_have_text("GREET is set: the next release has it.")
    row = page.get_by_role("row", name="GREET")
    expect(row).to_contain_text("hidden")
    assert "hello there" not in page.content()
    assert shop.grave_faults() == []
    page.get_by_role("button", name="Show the values").click()
    expect(row).to_contain_text("hello there")
    shop.keep_picture("settings")
    page.get_by_role("button", name="Unset GREET").click()
    expect(row).to_have_count(0)
    noted = shop.platform.client.audit("shop", None, 50)
    assert [(each.what, each.summary) for each in noted if "config" in each.what] == [
        ("PATCH /api/apps/{app}/config", "unset GREET"),
        ("GET /api/apps/{app}/config", ""),
        ("PATCH /api/apps/{app}/config", "set GREET, later"),
    ]


def test_a_name_that_no_config_var_can_have_is_refused_and_stays_typed(shop: Visit) -> None:
    shop.page.goto("/apps/shop/settings")
    shop.page.get_by_label("Name").fill("1st")
    shop.page.get_by_label("Value").fill("kept")
    shop.page.get_by_role("button", name="Set", exact=True).click()
    expect(shop.page.get_by_role("alert")).to_contain_text("'1st' is no name for a config var")
    expect(shop.page.get_by_label("Name")).to_have_value("1st")
    expect(shop.page.get_by_label("Value")).to_have_value("kept")


def test_a_reader_sees_no_controls_and_is_refused(browser: Browser, platform: Running, reading: str) -> None:
    with visit(browser, platform) as reader:
        reader.sign_in(reading)
        reader.page.goto("/apps/shop")
        reader.wait_until_live()
        main = reader.page.get_by_role("main")
        expect(part(reader, "Instances").get_by_role("row").nth(1)).to_contain_text("MB")
        expect(main.get_by_role("button")).to_have_count(0)
        expect(main.get_by_role("link", name="…")).to_have_count(0)
        expect(main.get_by_role("spinbutton")).to_have_count(0)
        reader.page.goto("/apps/shop/settings")
        expect(main.get_by_role("button")).to_have_count(0)
        for path in ("/apps/shop/rollback?branch=test", "/apps/shop/weights", "/apps/shop/sure/stopped"):
            reader.page.goto(path)
            expect(main.get_by_role("heading", level=1)).to_have_text("Not allowed")
        csrf = reader.page.locator("input[name=csrf]").first.get_attribute("value") or ""
        for path in (
            "scale",
            "restart",
            "mode",
            "weights",
            "rollback",
            "config",
            "config/show",
            "rollout/abort",
            "cancel",
        ):
            answer = reader.page.request.post(
                f"/apps/shop/{path}",
                form={"csrf": csrf, "count:web": "3", "branch": "test", "mode": "stopped"},
                headers={"Origin": reader.url, "Accept": "text/html"},
            )
            assert answer.status == 403, path
            assert "has the role reader" in answer.text()
        assert shop_serves(platform)


def shop_serves(platform: Running) -> bool:
    """Tell whether the shop is as it was."""
    (found,) = (app for app in platform.client.apps() if app.name == "shop")
    return found.mode == "serving"


def test_a_form_of_another_page_is_refused(shop: Visit) -> None:
    answer = shop.page.request.post(
        "/apps/shop/mode", form={"mode": "stopped"}, headers={"Origin": shop.url, "Accept": "text/html"}
    )
    assert answer.status == 403
    assert shop_serves(shop.platform)


def test_all_is_there_without_scripts(browser: Browser, platform: Running) -> None:
    with visit(browser, platform, scripts=False) as plain:
        plain.sign_in()
        plain.page.goto("/apps/shop")
        for name in ("Live branches", "Visitors", "Instances", "Releases", "Scale", "Who changed what"):
            expect(part(plain, name)).to_be_visible()
        expect(part(plain, "Instances").get_by_role("row").nth(1)).to_contain_text("MB")
        part(plain, "Releases").get_by_role("link", name="Release 1 and its log").click()
        expect(plain.page.get_by_role("log")).to_contain_text("-----> ")


def test_an_app_that_is_not_there_says_so(operator: Visit) -> None:
    for path in ("nowhere", "nowhere/log", "nowhere/settings", "nowhere/weights", "shop/releases/999"):
        answer = operator.page.goto(f"/apps/{path}")
        assert answer is not None
        assert answer.status == 404
        expect(operator.page.get_by_role("main")).to_contain_text(re.compile("no app is called|has no release 999"))


@pytest.fixture
def rolling(operator: Visit) -> Visit:
    """An operator before the page of an app that has a rollout."""
    platform = operator.platform
    if all(app.name != "cafe" for app in platform.client.apps()):
        cafe = platform.create("cafe")
        cafe.deploy("one")
        cafe.deploy("two", "test")
        done = platform.command("rollout", "start", "cafe", "test", "--steps", "10,50,100", "--step-time", "1h")
        assert done.returncode == 0, done.stderr
    operator.page.goto("/apps/cafe")
    operator.wait_until_live()
    return operator


def test_a_rollout_shows_its_steps_and_is_steered(rolling: Visit) -> None:
    page, rollout = rolling.page, part(rolling, "Rollout")
    expect(rollout.get_by_role("listitem").nth(0)).to_have_attribute("aria-current", "step")
    rollout.get_by_role("link", name="Pause…").click()
    expect(page.get_by_role("list", name="What will happen")).to_contain_text("test keeps 10 % of new visitors")
    page.get_by_role("button", name="Pause the rollout").click()
    expect(rollout.locator(".light")).to_have_text("paused")
    rollout.get_by_role("link", name="Go on…").click()
    page.get_by_role("button", name="Let the rollout go on").click()
    expect(rollout.locator(".light")).to_have_text("running")
    rollout.get_by_role("link", name="Next step…").click()
    expect(page.get_by_role("list", name="What will happen")).to_contain_text("test gets 50 % of new visitors now")
    assert rolling.platform.command("rollout", "advance", "cafe").returncode == 0
    page.get_by_role("button", name="Take the next step").click()
    expect(page.get_by_role("alert")).to_contain_text("has taken a step since; it is at 50 % now")
    expect(rollout.get_by_role("listitem").nth(1)).to_have_attribute("aria-current", "step")
    rolling.keep_picture("rollout")
    rollout.get_by_role("link", name="Next step…").click()
    page.get_by_role("button", name="Take the next step").click()
    expect(rollout.get_by_role("listitem").nth(2)).to_have_attribute("aria-current", "step")
    page.goto("/apps/cafe/weights?weight:master=70&weight:test=30")
    expect(part(rolling, "What will happen")).to_contain_text("A rollout has this split")
    page.goto("/apps/cafe")
    rollout.get_by_role("link", name="End…").click()
    page.get_by_role("button", name="End the rollout").click()
    expect(said(rolling)).to_have_text("The rollout has ended: everyone sees the control again.")
    expect(rollout.locator(".light")).to_have_text("aborted")
    page.go_back()
    page.get_by_role("button", name="End the rollout").click()
    expect(page.get_by_role("alert")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_an_app_have_no_grave_fault_and_fit_a_phone(
    browser: Browser, platform: Running, scheme: Scheme
) -> None:
    with visit(browser, platform, scheme=scheme) as operator:
        operator.sign_in()
        for name, path in (
            ("app", "/apps/shop"),
            ("settings", "/apps/shop/settings"),
            ("sure", "/apps/shop/sure/stopped"),
        ):
            operator.page.set_viewport_size({"width": 1200, "height": 760})
            operator.page.goto(path)
            if name == "app":
                operator.wait_until_live()
                expect(part(operator, "Instances").locator("td[data-head=CPU] .number").first).to_be_visible()
            assert operator.grave_faults() == []
            operator.keep_picture(f"{name}-{scheme}")
            operator.page.set_viewport_size({"width": 360, "height": 740})
            assert operator.page.evaluate("document.documentElement.scrollWidth") <= 360, name
            assert operator.grave_faults() == []
            operator.keep_picture(f"{name}-phone-{scheme}")
