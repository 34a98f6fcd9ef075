"""Words that want to be more: what an app, a commit or a visitor says is text on every page, and runs nowhere."""

import json
import shlex
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from balancer.wire.splits import NewSplit
from browsers import visit
from running import APP, Running, running

EVIL = "<img src=x onerror='document.title=1'></script><script>document.title=2</script>\"' {{7*7}} &amp;"
# 80 characters at most.
NAME = EVIL[:47]


@pytest.fixture(scope="module")
def platform(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A platform with an app whose commits, logs, split and visitors are hostile."""
    with running(tmp_path_factory.mktemp("platform")) as made:
        repository = made.create("shop")
        loud = APP.replace("self.end_headers()", f"print({EVIL!r}, flush=True); self.end_headers()")
        procfile = f"web: python3 app.py\nrelease: echo {shlex.quote(EVIL)}\n"
        for branch in ("master", "test"):
            repository.commit({"Procfile": procfile, "app.py": f"VERSION = 'x'\n{loud}"}, branch)
            # git takes the angles out of a name itself.
            identity = ("-c", f"user.name={EVIL}", "-c", "user.email=test@example.com")
            repository.git(*identity, "commit", "--quiet", "--amend", "--reset-author", "--message", EVIL)
            repository.push(branch)
        brief = {"name": NAME, "hypothesis": EVIL}
        made.client.start_split(
            "shop", NewSplit.model_validate({"weights": {"master": 50, "test": 50}, "brief": brief})
        )
        began = round(time.time() * 1000)
        lines = []
        for number in range(6):
            shared = {
                "visitor": str(uuid.uuid4()),
                "split": "s1",
                "phase": 1,
                "variant": ("master", "test")[number % 2],
            }
            row = {**shared, "assigned_at": began, "ts": began, "dims": {"device": EVIL}}
            lines += [json.dumps({**row, "name": "$exposure"}), json.dumps({**row, "name": "purchase", "value": 1.5})]
        made.client.import_events("shop", "\n".join(lines).encode(), name="hostilerows", first=0)
        request = urllib.request.Request(f"http://127.0.0.1:{made.port}/", headers={"Host": "shop.localhost"})
        with urllib.request.urlopen(request) as answer:
            answer.read()
        yield made


def test_nothing_that_others_have_said_is_more_than_text(browser: Browser, platform: Running) -> None:
    pages = {
        "/": EVIL,
        "/apps/shop": EVIL,
        "/apps/shop/log": EVIL,
        "/apps/shop/releases/1": EVIL,
        "/apps/shop/rollback?branch=nowhere": "nowhere",
        "/apps/shop/split?dimension=device&of=purchase": EVIL,
        "/apps/shop/splits": NAME,
        "/apps/shop/split/end": NAME,
        "/apps/shop/split/conclude?winner=test": "Everyone sees test",
        f"/apps/shop/log?q={urllib.parse.quote('<script>document.title=3</script>')}": "<script>document.title=3",
    }
    quiet = {"/apps/shop/rollback?branch=nowhere", "/apps/shop/splits", *(path for path in pages if "/split/" in path)}
    with visit(browser, platform) as operator:
        operator.sign_in()
        for path, told in pages.items():
            operator.page.goto(path)
            if path not in quiet:
                operator.wait_until_live()
            expect(operator.page.locator("main")).to_contain_text(told)
            assert operator.page.locator("img[src=x], main script").count() == 0, path
            assert "Balancer" in operator.page.title(), path
