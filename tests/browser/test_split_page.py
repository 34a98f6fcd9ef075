"""The page of a split, in a browser: its figures are those of `balancer stats --json`, in charts and in tables."""

import csv
import io
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Locator, expect

from browser.known import bring_in, known
from browsers import Visit, visit
from running import Running

Json = dict[str, Any]


@pytest.fixture(scope="module")
def shop(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with known(tmp_path_factory.mktemp("known")) as platform:
        yield platform


@pytest.fixture(scope="module")
def cookies(browser: Browser, shop: Running) -> Any:
    """Those of somebody who has signed in."""
    with visit(browser, shop) as made:
        made.sign_in()
        return [each for each in made.context.cookies() if "session" in each["name"]]


@pytest.fixture
def page(browser: Browser, shop: Running, cookies: Any) -> Iterator[Visit]:
    with visit(browser, shop) as made:
        made.context.add_cookies(cookies)
        made.page.goto("/apps/shop/split")
        yield made


@pytest.fixture(scope="module")
def stats(shop: Running) -> Json:
    """What the command says."""
    return cast("Json", shop.json("stats", "shop"))


def figure(visit: Visit, name: str) -> Locator:
    return visit.page.locator(f'figure[id="{name}"]')


def told(visit: Visit, name: str) -> str:
    """Return what the chart says in words."""
    text = figure(visit, name).locator("svg.chart-wide > desc").text_content()
    assert text
    return text


def rows_of(chart: Locator) -> list[list[str]]:
    """Return the rows of the table beside a chart."""
    read = "table => [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent.trim()))"
    return cast("list[list[str]]", chart.locator("table").evaluate(read))


def primary(stats: Json) -> Json:
    return cast("Json", next(metric for metric in stats["metrics"] if metric["primary"]))


def shown(found: Json) -> str:
    return f"{found['difference']:+.2%} [{found['low']:+.2%} to {found['high']:+.2%}]"


def test_the_verdict_its_reason_and_what_is_next(page: Visit, stats: Json) -> None:
    expect(page.page.locator("#verdict")).to_contain_text(stats["verdict"]["verdict"])
    expect(page.page.locator("#verdict")).to_contain_text(stats["verdict"]["reason"])
    expect(page.page.locator(".lights")).to_contain_text("as intended")
    expect(page.page.locator(".lights")).to_contain_text("errors")
    expect(page.page.locator("ul.steps")).to_contain_text("balancer rollout promote shop")
    act = page.page.locator("ul.steps").get_by_role("link", name="Give everybody test…")
    expect(act).to_have_attribute("href", "/apps/shop/rollout/promote")


def test_the_forest_and_its_table_have_the_figures_of_the_command(page: Visit, stats: Json) -> None:
    metric = primary(stats)
    assert metric["metric"] == "purchase"
    found = metric["outcomes"][1]["difference"]["comparison"]
    assert shown(found) in told(page, "metric-purchase")
    rows = rows_of(figure(page, "metric-purchase"))
    for row, outcome in zip(rows, metric["outcomes"], strict=True):
        assert row[:6] == [
            outcome["branch"],
            f"{outcome['visitors']:,}",
            f"{outcome['mature']:,}",
            f"{outcome['events']:,}",
            f"{outcome['converted']:,}",
            f"{outcome['value']:.2%}",
        ]
    assert shown(found) in rows[1]
    tone = "good" if found["low"] > 0 else "open"
    assert figure(page, "metric-purchase").locator(f"svg.chart-wide g.tone-{tone}").count() == 1


def test_visitors_by_day_add_up_to_those_of_the_command(page: Visit, stats: Json) -> None:
    rows = rows_of(figure(page, "visitors"))
    master, test = (sum(int(row[place].replace(",", "")) for row in rows) for place in (2, 5))
    assert [master, test] == [variant["visitors"] for variant in stats["variants"]]
    assert f"of {master + test:,}" in told(page, "visitors")
    assert "2 phases" in told(page, "visitors")


def test_the_effect_over_time_ends_at_the_present_figures(page: Visit, stats: Json) -> None:
    found = primary(stats)["outcomes"][1]["difference"]["comparison"]
    assert shown(found) in told(page, "effect-looks-test")
    last = stats["effect"][-1]["comparison"]
    assert shown(last) in told(page, "effect-days-test")
    expect(figure(page, "effect-days-test").locator("svg.chart-wide .band")).to_have_count(1)


def on_the_wall(hour: str) -> str:
    """Return an hour as a page shows it to somebody in Zurich."""
    shown = datetime.fromisoformat(hour).astimezone(ZoneInfo("Europe/Zurich")).isoformat(timespec="minutes")
    return f"{shown[:10]} {shown[11:16]} {shown[16:]}"


@pytest.mark.parametrize("by", ["hour", "day", "week", "month"])
def test_events_are_chosen_by_links_and_are_those_of_the_command(page: Visit, shop: Running, by: str) -> None:
    page.page.get_by_role("navigation", name="Events by").get_by_role("link", name=by).click()
    page.page.wait_for_url(f"**?by={by}#events")
    raw = cast("Json", shop.json("stats", "shop", "--by", by, "--split", "s1"))
    chart = figure(page, "event-purchase")
    assert f"purchase by {by}" in (chart.locator("svg.chart-wide > title").text_content() or "")
    seen = [row[:5] for row in rows_of(chart)]
    wanted = [
        [
            on_the_wall(row["bucket"]) if by == "hour" else row["bucket"],
            row["branch"],
            f"{row['count']:,}",
            f"{row['visitors']:,}",
            f"{row['valued']:,}",
        ]
        for row in raw["rows"]
        if row["event"] == "purchase"
    ]
    first = seen[0][0]
    assert sorted(seen) == sorted(row for row in wanted if row[0] >= first)
    assert (len(seen) < len(wanted)) == (by == "hour")  # of hours there are three days


def test_the_ramp_has_the_steps_and_the_decisions_that_were_kept(page: Visit, shop: Running) -> None:
    assert "Weights: master 90% → 50%; test 10% → 50%" in told(page, "ramp")
    figure(page, "ramp").get_by_text("Table").click()
    decisions = shop.client.rollout_decisions("shop")
    expect(figure(page, "ramp")).to_contain_text(decisions[-1].action.reason)


def test_guardrails_stand_beside_their_limits(page: Visit) -> None:
    assert "Limits: 20 in doubt, 100 rolled back" in told(page, "guardrails")
    expect(figure(page, "guardrails").locator("svg.chart-wide .limit")).to_have_count(2)


def test_the_distribution_counts_every_visitor(page: Visit, stats: Json) -> None:
    rows = rows_of(figure(page, "values"))
    counted = [sum(int(row[place].replace(",", "")) for row in rows) for place in (2, 4)]
    assert counted == [variant["visitors"] for variant in stats["variants"]]


def test_on_paper_a_page_is_dark_on_white_and_no_table_is_cut_off(browser: Browser, shop: Running) -> None:
    with visit(browser, shop, scheme="dark") as made:
        made.sign_in()
        made.page.emulate_media(media="print", color_scheme="dark")
        made.page.set_viewport_size({"width": 720, "height": 1000})  # what A4 has within its margins
        made.page.goto("/apps/shop/split")
        expect(made.page.locator("#verdict")).to_be_visible()
        assert made.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        expect(made.page.get_by_role("button")).to_have_count(0)
        table = made.page.locator(".figure table").first
        assert table.evaluate("each => each.getBoundingClientRect().right") <= 720


def test_a_breakdown_has_the_figures_of_the_command(page: Visit, shop: Running) -> None:
    page.page.get_by_role("navigation", name="Break down by").get_by_role("link", name="device").click()
    found = cast("Json", shop.json("stats", "shop", "--by", "device"))
    assert [row[:3] for row in rows_of(figure(page, "breakdown"))] == [
        [cut["bucket"], outcome["branch"], f"{outcome['visitors']:,}"]
        for cut in found["cuts"]
        for outcome in cut["outcomes"]
    ]


def test_a_file_has_the_figures_of_the_command(page: Visit, stats: Json) -> None:
    address = figure(page, "metric-purchase").locator("a[download]").get_attribute("href") or ""
    rows = list(csv.DictReader(io.StringIO(page.page.request.get(address).text())))
    outcomes = primary(stats)["outcomes"]
    assert [float(row["value"]) for row in rows] == [outcome["value"] for outcome in outcomes]
    assert float(rows[1]["difference"]) == outcomes[1]["difference"]["comparison"]["difference"]


def test_events_show_as_they_come(page: Visit, shop: Running) -> None:
    page.wait_until_live()
    expect(page.page.locator("#tail tbody tr")).to_have_count(20)
    at = round(datetime.now(UTC).timestamp() * 1000)
    bring_in(shop, [{"visitor": str(uuid.uuid4()), "name": "subscribed", "ts": at, "value": 7.5}], name="onemorerow")
    newest = page.page.locator("#tail tbody tr").first
    expect(newest).to_contain_text("subscribed")
    expect(newest).to_contain_text("7.5")


def test_the_planner_says_what_the_command_says(page: Visit, shop: Running) -> None:
    page.page.get_by_label("Effect to see, %").fill("10")
    page.page.get_by_label("or rate now, %").fill("5")
    page.page.get_by_label("Visitors a day").fill("800")
    page.page.get_by_role("button", name="Plan").click()
    found = cast(
        "Json",
        shop.json("split", "plan", "shop", "--effect", "10%", "--baseline", "5%", "--visitors-a-day", "800"),
    )
    need = found["always_valid"]
    expect(page.page.locator("main")).to_contain_text(f"{need['total']:,} visitors, {need['days']:,} days")


def test_what_cannot_be_planned_is_said_in_words(page: Visit) -> None:
    page.page.get_by_label("Effect to see, %").fill("much")
    page.page.get_by_role("button", name="Plan").click()
    expect(page.page.get_by_role("note")).to_contain_text("'much', is no number")
    expect(page.page.get_by_role("note")).to_contain_text("No plan")
    expect(page.page.locator("#verdict")).to_be_visible()


def test_zooming_loads_its_library_only_when_it_is_asked_for(page: Visit) -> None:
    asked: list[str] = []
    page.page.on("request", lambda request: asked.append(request.url))
    chart = figure(page, "effect-days-test")
    expect(chart.get_by_role("button", name=re.compile("Zoom"))).to_be_visible()
    assert not [url for url in asked if "plotly" in url]
    chart.get_by_role("button", name=re.compile("Zoom")).click()
    expect(chart.locator(".zoomed .main-svg").first).to_be_visible()
    assert [url for url in asked if url.endswith("/plotly/plotly.min.js")]
    expect(chart.locator(".picture")).to_be_hidden()
    chart.locator(".zoomed .nsewdrag").first.hover()
    told = chart.locator(".zoomed .hoverlayer")
    expect(told).to_contain_text(re.compile(r"\d+ \w{3} \d{4}test : .*% \[.*% to .*%\] less master"))
    page.keep_picture_of("split-zoomed", chart)
    chart.get_by_role("button", name=re.compile("Back")).click()
    expect(chart.locator("svg.chart-wide")).to_be_visible()


def test_without_scripts_all_of_it_is_there_but_zooming(browser: Browser, shop: Running, cookies: Any) -> None:
    with visit(browser, shop, scripts=False) as plain:
        plain.context.add_cookies(cookies)
        plain.page.goto("/apps/shop/split")
        expect(plain.page.locator("#verdict")).to_be_visible()
        assert plain.page.locator("svg.chart-wide:visible").count() == plain.page.locator("figure.figure").count()
        assert plain.page.get_by_role("button", name=re.compile("Zoom")).count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, shop: Running, cookies: Any, scheme: Any) -> None:
    with visit(browser, shop, scheme=scheme) as made:
        made.context.add_cookies(cookies)
        made.page.goto("/apps/shop/split?dimension=device&effect=10&baseline=5&visitors=800")
        made.wait_until_live()
        assert made.grave_faults() == []
        made.keep_picture(f"split-{scheme}", 980 if scheme == "light" else 800)
        if scheme == "light":
            made.keep_picture_of("split-effect", figure(made, "effect-days-test"))
            made.keep_picture_of("split-values", figure(made, "values"))
        made.page.goto("/apps/shop/splits")
        assert made.grave_faults() == []


def test_on_a_phone_nothing_is_wider_than_the_screen(page: Visit) -> None:
    page.page.set_viewport_size({"width": 390, "height": 844})
    expect(page.page.locator("svg.chart-narrow").first).to_be_visible()
    assert page.page.locator("svg.chart-wide:visible").count() == 0
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 390
    page.keep_picture("split-phone", 1200)


@pytest.mark.parametrize(("screen", "drawing"), [(390, "narrow"), (900, "middle"), (1280, "wide"), (1920, "wide")])
def test_charts_fill_every_screen_with_letters_that_can_be_read(page: Visit, screen: int, drawing: str) -> None:
    page.page.set_viewport_size({"width": screen, "height": 900})
    for name in ("metric-purchase", "visitors", "effect-days-test", "event-purchase", "ramp", "values"):
        chart = figure(page, name)
        picture = chart.locator("svg.chart:visible")
        expect(picture).to_have_class(re.compile(f"chart-{drawing}"))
        place, box = chart.locator(".picture").bounding_box(), picture.bounding_box()
        assert place
        assert box
        assert box["width"] >= 0.97 * place["width"]
        letter = picture.locator("text").first.evaluate("text => parseFloat(getComputedStyle(text).fontSize)")
        drawn_for = float(picture.get_attribute("width") or 0)
        assert 10 <= letter * box["width"] / drawn_for <= 18
    assert page.page.evaluate("document.documentElement.scrollWidth") <= screen


def check_figures(visit: Visit, seen: list[object]) -> int:
    """Check every chart of a page: it has a table, and a file of the same rows; return how many there are.

    What was `seen` with the same table on another page is not asked for again.
    """
    assert visit.page.locator("svg.chart").count() == visit.page.locator("figure.figure svg.chart").count()
    found = visit.page.locator("figure.figure")
    for chart in found.all():
        name = chart.get_attribute("id") or ""
        rows = rows_of(chart)
        heads = chart.locator("thead th").count()
        link = chart.get_by_role("link", name=re.compile("^CSV")).get_attribute("href")
        assert link, name
        if (name, rows) in seen:
            continue
        seen.append((name, rows))
        answer = visit.context.request.get(link)
        assert answer.ok, (name, answer.status)
        assert answer.headers["content-type"].startswith("text/csv")
        lines = list(csv.reader(io.StringIO(answer.text())))
        assert [len(line) for line in lines] == [heads] * (len(rows) + 1), name
    return found.count()


def test_every_chart_of_every_page_has_its_table_and_a_file_with_as_many_rows(page: Visit) -> None:
    base = "/apps/shop/split"
    pages = [
        "/", "/traffic", "/traffic?app=shop", "/apps/shop", "/apps/shop/log", "/apps/shop/settings",
        "/apps/shop/splits", "/apps/shop/releases/1", "/apps/shop/weights", "/apps/shop/rollout/promote",
        base, f"{base}?dimension=device", f"{base}?by=hour", f"{base}?values=purchase.value", "/apps/shop/splits/s1",
    ]  # fmt: skip
    charts, seen = dict[str, int](), list[object]()
    for path in pages:
        answer = page.page.goto(path)
        assert answer
        assert answer.ok, path
        charts[path] = check_figures(page, seen)
    assert charts[base] >= 9
    assert charts[f"{base}?dimension=device"] == charts[base] + 1
    assert not any(count for path, count in charts.items() if "split" not in path)


def test_by_how_much_the_branch_is_better_stands_beside_the_verdict_and_on_the_first_page(
    page: Visit, shop: Running
) -> None:
    before, found = by_how_much(shop), page.page.locator("#verdict .found").inner_text()
    page.page.goto("/")
    verdict = page.page.get_by_role("region", name="Split of shop").locator(".verdict")
    expect(verdict).to_contain_text("purchase ", timeout=60_000)
    foremost, after = verdict.inner_text(), by_how_much(shop)
    # A visitor may have become mature meanwhile.
    assert found in [f"purchase of test less the control: {each}, a lift of {lift}" for each, lift in (before, after)]
    assert foremost.partition("purchase ")[2] in (before[0], after[0])


def by_how_much(shop: Running) -> tuple[str, str]:
    """Return the difference and the lift that the command tells, as pages write them."""
    found = primary(cast("Json", shop.json("stats", "shop")))["outcomes"][1]["difference"]
    points = [f"{100 * found['comparison'][name]:+.2f}" for name in ("difference", "low", "high")]
    lift = [f"{found['lift'][name]:+.1%}" for name in ("lift", "low", "high")]
    return "{} points [{} to {}]".format(*points), "{} [{} to {}]".format(*lift)


def test_the_list_of_splits_leads_to_each(page: Visit) -> None:
    page.page.get_by_role("navigation", name="Breadcrumbs").get_by_role("link", name="Splits").click()
    page.page.get_by_role("row", name="s1").get_by_role("link").click()
    expect(page.page.locator("#verdict")).to_be_visible()


def test_a_split_that_is_over_shows_the_report_that_was_kept(page: Visit, shop: Running) -> None:
    shop.command("rollout", "promote", "shop")
    page.page.goto("/apps/shop/splits/s1")
    kept = cast("Json", shop.json("stats", "shop", "--split", "s1"))
    expect(page.page.locator("#verdict")).to_contain_text(kept["verdict"]["verdict"])
    expect(page.page.locator(".facts")).to_contain_text("concluded")
    expect(page.page.locator("ul.steps")).to_contain_text("as it was kept")
    assert check_figures(page, []) >= 9
    assert shown(primary(kept)["outcomes"][1]["difference"]["comparison"]) in told(page, "metric-purchase")


def test_an_app_without_a_split_says_how_to_begin_one(page: Visit, shop: Running) -> None:
    shop.client.create_app("blog")
    page.page.goto("/apps/blog/split")
    expect(page.page.locator("main")).to_contain_text("balancer split start blog")
    assert page.grave_faults() == []
    page.page.get_by_role("navigation", name="Pages of blog").get_by_role("link", name="Log").click()
    expect(page.page).to_have_url(f"{page.url}/apps/blog/log")
    assert page.grave_faults() == []
    page.page.goto("/apps/blog/splits")
    expect(page.page.locator("main")).to_contain_text("No split yet")
    assert page.grave_faults() == []
