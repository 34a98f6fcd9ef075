"""The admin API over HTTP, on a platform whose proxy and clock are fake."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from balancer import __version__
from balancer.errors import NotHealthy
from platforms import app_files, probe_quickly
from running import Repository
from served import Served, served

pytestmark = pytest.mark.anyio


@pytest.fixture
async def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A platform that is served, and asks its instances more often."""
    probe_quickly(monkeypatch)
    async with served(tmp_path) as made:
        yield made


async def ask(on: Served, method: str, path: str, body: object = None, status: int = 200) -> Any:
    """Return the JSON of an answer that has this status."""
    async with on.client() as client:
        answer = await client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def refused(on: Served, method: str, path: str, body: object = None) -> tuple[int, str, str]:
    """Return status, code and message of an error."""
    async with on.client() as client:
        answer = await client.request(method, path, json=body)
    error = answer.json()
    assert set(error) == {"error", "message"}, error
    return answer.status_code, error["error"], error["message"]


async def shop_with(on: Served, *branches: str) -> Repository:
    """Create the shop, and make a release of each branch live."""
    work = await on.platform.create("shop")
    for branch in branches:
        await on.platform.push(work, app_files(branch), branch)
    return work


async def test_a_new_platform_tells_how_it_is(on: Served) -> None:
    found = await ask(on, "GET", "/api/status")
    assert found["ledger"].startswith("the ledger does not answer")
    found["proxy"]["loaded_at"] = ""
    assert {**found, "pid": 0, "ledger": "", "started_at": "", "free_bytes": 0} == {
        "version": __version__,
        "pid": 0,
        "started_at": "",
        "site": "http://localhost:8080/",
        "apps": 0,
        "instances": 0,
        "running": 0,
        "crashing": [],
        "ledger": "",
        "proxy": {"version": "2.6.12", "worker": 1, "loaded_at": "", "restarts": 0},
        "lost_lines": None,
        "free_bytes": 0,
    }


async def test_how_it_is_can_be_asked_while_the_proxy_does_not_answer(on: Served) -> None:
    on.platform.proxy.refuses = True
    assert (await ask(on, "GET", "/api/status"))["proxy"] is None


async def test_the_proxy_is_renewed(on: Served) -> None:
    found = await ask(on, "POST", "/api/upgrade/proxy")
    assert found == {"before": "2.6.12", "after": "2.6.12", "worker": 2}
    assert (await ask(on, "GET", "/api/status"))["proxy"]["worker"] == 2


async def test_an_app_that_is_created_is_there_with_its_repository_and_its_host(on: Served) -> None:
    made = await ask(on, "POST", "/api/apps", {"name": "shop"}, 201)
    assert made == {
        "name": "shop",
        "default_branch": None,
        "domains": [],
        "urls": ["http://shop.localhost:8080/"],
        "mode": "serving",
        "promoted": None,
        "created_at": "2026-03-01T12:00:00Z",
    }
    assert await ask(on, "GET", "/api/apps/shop") == made
    assert await ask(on, "GET", "/api/apps") == [made]
    assert (on.platform.directory / "repositories" / "shop.git" / "HEAD").exists()
    assert [app.name for app in on.platform.proxy.table.apps] == ["shop"]


async def test_an_app_may_name_its_default_branch(on: Served) -> None:
    made = await ask(on, "POST", "/api/apps", {"name": "shop", "default_branch": "main"}, 201)
    assert made["default_branch"] == "main"


async def test_a_remote_has_the_token_in_it(on: Served) -> None:
    await on.create("shop")
    assert await ask(on, "GET", "/api/apps/shop/remote") == {"remote": on.remote("shop")}


async def test_an_app_whose_name_does_not_parse_is_refused_and_nothing_is_made(on: Served) -> None:
    for name in ("../x", "-rf", "Blog", "x" * 200, "", "a b"):
        status, code, message = await refused(on, "POST", "/api/apps", {"name": name})
        assert (status, code) == (422, "invalid-name")
        assert "use lower-case letters, digits and single hyphens" in message
    assert await ask(on, "GET", "/api/apps") == []
    assert not (on.platform.directory / "repositories").exists()


REFUSED: list[tuple[str, str, object, int, str, str]] = [
    ("GET", "/api/apps/none", None, 404, "app-not-found", "no app is called 'none'; `balancer apps list`"),
    ("GET", "/api/apps/Blog", None, 422, "invalid-name", "'Blog' is no name for an app"),
    ("GET", "/api/apps/..%2Fx", None, 404, "not-found", "nothing at /api/apps/../x; /docs shows what there is"),
    ("GET", "/nothing", None, 404, "not-found", "nothing at /nothing"),
    ("PUT", "/api/apps", {}, 405, "invalid-input", "PUT is not possible at /api/apps; /docs shows what is"),
    ("GET", "/api/apps/none/remote", None, 404, "app-not-found", "no app"),
    ("GET", "/api/apps/none/releases", None, 404, "app-not-found", "no app"),
    ("GET", "/api/apps/none/instances", None, 404, "app-not-found", "no app"),
    ("GET", "/api/apps/none/config", None, 404, "app-not-found", "no app"),
    ("GET", "/api/apps/none/logs", None, 404, "app-not-found", "no app"),
    ("GET", "/api/apps/none/report", None, 404, "app-not-found", "no app"),
    ("GET", "/api/apps/none/report/releases", None, 404, "app-not-found", "no app"),
    ("POST", "/api/apps", {"name": "shop"}, 409, "app-exists", "choose another name"),
    ("POST", "/api/apps", {"nmae": "shop"}, 422, "invalid-input", "body.name: Field required"),
    ("POST", "/api/apps", {"name": "a", "x": 1}, 422, "invalid-input", "body.x: Extra inputs are not permitted"),
    ("POST", "/api/apps", {"name": 5}, 422, "invalid-input", "body.name"),
    ("POST", "/api/apps", {"name": "a", "default_branch": "-x"}, 422, "invalid-name", "no name for a branch"),
    ("POST", "/api/apps", None, 422, "invalid-input", "the request does not parse: body"),
    ("GET", "/api/apps/shop/releases?limit=0", None, 422, "invalid-input", "query.limit"),
    ("GET", "/api/apps/shop/split", None, 404, "split-not-found", "shop has had no split yet"),
    ("GET", "/api/apps/shop/logs", None, 404, "branch-not-found", "shop has no live instance"),
    ("GET", "/api/apps/shop/logs?release=9", None, 404, "release-not-found", "shop has no release 9"),
    ("GET", "/api/apps/shop/logs?process=-x", None, 422, "invalid-name", "no name for a process"),
    ("GET", "/api/apps/shop/logs?branch=-x", None, 422, "invalid-name", "no name for a branch"),
    ("PATCH", "/api/apps/shop/config", {"config": {"A=B": "x"}}, 422, "invalid-name", "no name for a config var"),
    ("PATCH", "/api/apps/shop/config", {"config": {"A": "\0"}}, 422, "invalid-input", "no NUL"),
    ("PATCH", "/api/apps/shop/config", {"config": {"A": 5}}, 422, "invalid-input", "body.config.A"),
    ("DELETE", "/api/apps/shop/split", None, 404, "split-not-found", "shop has no running split"),
    ("POST", "/api/apps/shop/split", {"weights": {"master": 50}}, 422, "invalid-weights", "at least two branches"),
    ("POST", "/api/apps/shop/split", {"weights": {"a": "x", "b": 50}}, 422, "invalid-input", "body.weights.a"),
    ("POST", "/api/apps/shop/split", {"weights": {"a": 50.001, "b": 49.999}}, 422, "invalid-weights", "too fine"),
    ("POST", "/api/apps/shop/split", {"weights": {"a": 50, "b": 49}}, 422, "invalid-weights", "add up to 99 %"),
    ("POST", "/api/apps/shop/split", {"weights": {"-a": 50, "b": 50}}, 422, "invalid-name", "no name for a branch"),
    ("POST", "/api/apps/shop/split", {"weights": {"a": 50, "b": 50}}, 404, "branch-not-found", "no live branch a"),
    ("POST", "/api/apps/shop/rollback", {"branch": "-x"}, 422, "invalid-name", "no name for a branch"),
]


async def test_what_cannot_be_done_is_answered_with_its_error(on: Served) -> None:
    await on.create("shop")
    for method, path, body, status, code, message in REFUSED:
        found = await refused(on, method, path, body)
        assert found[:2] == (status, code), f"{method} {path} {body}: {found}"
        assert message in found[2], f"{method} {path} {body}"


async def test_config_vars_are_set_read_and_removed(on: Served) -> None:
    await on.create("shop")
    path = "/api/apps/shop/config"
    assert await ask(on, "GET", path) == {"config": {}}
    changes = {"config": {"GREETING": "hello", "KEY": "a=b\nc"}}
    assert (await lines(on, "PATCH", path, changes))[-1]["config"] == changes["config"]
    told = await lines(on, "PATCH", path, {"config": {"KEY": None, "NONE": None}})
    assert told[-1]["config"] == {"GREETING": "hello"}
    assert await ask(on, "GET", path) == {"config": {"GREETING": "hello"}}


async def test_releases_and_instances_are_listed(on: Served) -> None:
    work = await shop_with(on, "master", "test")
    with pytest.raises(Exception, match="no `web` process"):
        await on.platform.push(work, {"Procfile": "worker: x\n"})
    releases = await ask(on, "GET", "/api/apps/shop/releases")
    assert [(r["number"], r["branch"], r["state"]) for r in releases] == [
        (3, "master", "failed"),
        (2, "test", "live"),
        (1, "master", "live"),
    ]
    assert "no `web` process" in releases[0]["reason"]
    assert releases[2]["subject"] == "A commit of master"
    assert [r["number"] for r in await ask(on, "GET", "/api/apps/shop/releases?limit=1")] == [3]
    instances = await ask(on, "GET", "/api/apps/shop/instances")
    assert [(i["branch"], i["release"], i["index"], i["state"], i["running"]) for i in instances] == [
        ("master", 1, 1, "healthy", True),
        ("test", 2, 1, "healthy", True),
    ]
    assert instances[0]["name"] == "r1-i1"
    status = await ask(on, "GET", "/api/status")
    assert (status["apps"], status["instances"], status["running"]) == (1, 2, 2)


async def lines(on: Served, method: str, path: str, body: object = None) -> list[Any]:
    """Return the JSON objects of a stream."""
    async with on.client() as client, client.stream(method, path, json=body) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/x-ndjson"
        return [json.loads(line) async for line in answer.aiter_lines()]


async def test_a_rollback_tells_how_it_goes_and_ends_with_the_release(on: Served) -> None:
    work = await shop_with(on, "master")
    await on.platform.push(work, app_files("two"))
    told = await lines(on, "POST", "/api/apps/shop/rollback", {})
    assert told[0]["line"].startswith("-----> Rolling shop master back to release 1 ")
    assert [line["line"] for line in told[:-1]][-3] == "-----> Live"
    assert (told[-1]["release"]["number"], told[-1]["release"]["state"]) == (1, "live")
    live = await on.platform.live()
    assert live is not None
    assert await on.platform.page(live) == "master"


async def test_a_rollback_that_fails_ends_with_the_error(on: Served) -> None:
    await shop_with(on, "master")
    (end,) = await lines(on, "POST", "/api/apps/shop/rollback", {"release": 9})
    assert end["error"]["error"] == "release-not-found"
    assert end["release"] is None


async def test_a_split_is_started_changed_shown_and_ended(on: Served) -> None:
    await shop_with(on, "master", "test")
    path = "/api/apps/shop/split"
    started = await ask(on, "POST", path, {"weights": {"master": 50, "test": 50}}, 201)
    assert (started["id"], started["state"], started["control"], started["ended_at"]) == (
        "s1",
        "running",
        "master",
        None,
    )
    assert started["phases"][0]["weights"] == {"master": 50, "test": 50}
    changed = await ask(on, "PATCH", path, {"weights": {"master": "99.99", "test": 0.01}})
    assert [phase["number"] for phase in changed["phases"]] == [1, 2]
    assert changed["phases"][1]["weights"] == {"master": 99.99, "test": 0.01}
    assert await ask(on, "GET", path) == changed
    ended = await ask(on, "DELETE", path)
    assert ended["state"] == "cancelled"
    assert await ask(on, "GET", path) == ended


async def test_a_split_may_have_another_control_and_only_one_runs(on: Served) -> None:
    await shop_with(on, "master", "test")
    weights = {"weights": {"master": 50, "test": 50}}
    started = await ask(on, "POST", "/api/apps/shop/split", {**weights, "control": "test"}, 201)
    assert started["control"] == "test"
    status, code, _ = await refused(on, "POST", "/api/apps/shop/split", weights)
    assert (status, code) == (409, "split-running")


async def test_a_proxy_that_refuses_is_answered_as_its_failure(on: Served) -> None:
    await shop_with(on, "master", "test")
    on.platform.proxy.refuses = True
    found = await refused(on, "POST", "/api/apps/shop/split", {"weights": {"master": 50, "test": 50}})
    assert found[:2] == (502, "proxy-failed")


async def test_a_report_needs_the_ledger_and_comes_when_it_is_there(on: Served) -> None:
    await shop_with(on, "master", "test")
    await ask(on, "POST", "/api/apps/shop/split", {"weights": {"master": 50, "test": 50}}, 201)
    found = await refused(on, "GET", "/api/apps/shop/report")
    assert found[:2] == (503, "ledger-unavailable")

    await on.ledger.begin()
    report = await ask(on, "GET", "/api/apps/shop/report")
    assert (report["split"], report["state"], report["verdict"]["verdict"]) == ("s1", "running", "keep running")
    assert [(v["branch"], v["visitors"]) for v in report["variants"]] == [("master", 0), ("test", 0)]
    by_release = await ask(on, "GET", "/api/apps/shop/report/releases")
    assert (by_release["split"], by_release["exploratory"], by_release["releases"]) == ("s1", True, [])
    assert (await ask(on, "GET", "/api/status"))["ledger"] == "running"


async def test_what_instances_print_is_shown(on: Served) -> None:
    await shop_with(on, "master", "test")
    found = await lines(on, "GET", "/api/apps/shop/logs?lines=2")
    assert [(line["instance"], line["line"]) for line in found] == [
        ("master.1 web.1", "serving master"),
        ("test.2 web.1", "serving test"),
    ]
    assert found[0]["at"] < found[1]["at"]
    assert await lines(on, "GET", "/api/apps/shop/logs?lines=1") == found[1:]
    assert await lines(on, "GET", "/api/apps/shop/logs?branch=test") == found[1:]
    assert await lines(on, "GET", "/api/apps/shop/logs?lines=0") == []


async def test_what_a_release_printed_is_shown_whatever_became_of_it(on: Served) -> None:
    work = await shop_with(on, "master")
    with pytest.raises(NotHealthy):
        await on.platform.push(work, {"Procfile": "web: echo no such table; exit 3\n"})
    found = await lines(on, "GET", "/api/apps/shop/logs?release=2")
    (printed,) = (line for line in found if line["instance"] == "master.2 web.1")
    assert printed["line"] == "no such table"
    assert {line["instance"] for line in found} == {"master.2 build", "master.2 web.1"}
    assert await lines(on, "GET", "/api/apps/shop/logs?release=2&process=web") == [printed]
    assert {line["instance"] for line in await lines(on, "GET", "/api/apps/shop/logs?release=2&process=build")} == {
        "master.2 build"
    }


async def test_what_instances_print_can_be_followed(on: Served) -> None:
    work = await shop_with(on, "master")
    live = await on.platform.live()
    assert live is not None
    (instance,) = await on.platform.instances(live)
    async with on.client() as client, client.stream("GET", "/api/apps/shop/logs?follow=true&lines=1") as answer:
        stream = answer.aiter_lines()
        assert '"serving master"' in await anext(stream)
        with on.platform.workspace.instance_log(live, instance).open("a") as log:
            log.write("a visitor came\n")
        assert '"a visitor came"' in await anext(stream)
        await on.platform.push(work, app_files("two"))
        assert '"serving two"' in await anext(stream)


async def test_the_documentation_comes_with_its_pages_and_loads_nothing_from_elsewhere(on: Served) -> None:
    async with on.client("") as client:
        page = (await client.get("/docs")).text
        assert "http://" not in page.replace(on.url, "")
        assert "https://" not in page
        for path in ("/docs/assets/swagger-ui-bundle.js", "/docs/assets/swagger-ui.css"):
            assert path in page
            assert (await client.get(path)).status_code == 200
        schema = (await client.get("/openapi.json")).json()
    assert schema["info"]["version"] == __version__
    assert all("summary" in operation for path in schema["paths"].values() for operation in path.values())


async def test_a_load_balancer_in_front_can_ask_whether_it_is_up(on: Served) -> None:
    async with on.client("") as client:
        assert (await client.get("/healthz")).text == "ok\n"
