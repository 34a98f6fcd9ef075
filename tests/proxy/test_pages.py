"""What HAProxy answers by itself: whole pages, and a script that a browser can read."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from balancer.proxy.pages import PAGES

ERRORS = [name for name in PAGES if name.endswith(".http")]


def test_there_is_a_page_for_each_failure_that_haproxy_answers_in_an_instances_place() -> None:
    assert set(ERRORS) == {"pages/502.http", "pages/503.http", "pages/504.http"}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_page_is_a_whole_response(name: str) -> None:
    head, _, body = PAGES[name].partition("\r\n\r\n")
    status, *headers = head.split("\r\n")
    number = re.findall(r"\d+", name)[0]
    assert status.startswith(f"HTTP/1.1 {number} ")
    assert f"Content-Length: {len(body.encode())}" in headers
    assert "Cache-Control: no-store" in headers
    assert body.startswith("<!doctype html>")


@pytest.mark.parametrize("name", [name for name in PAGES if not name.endswith(".js")])
def test_a_page_says_what_is_the_matter_and_loads_nothing(name: str) -> None:
    assert re.search(r"<h1>[^<]+</h1><p>[^<]+</p>", PAGES[name])
    assert not re.search(r"src=|href=|url\(", PAGES[name])


def test_no_page_is_larger_than_the_buffer_of_haproxy() -> None:
    assert all(len(text.encode()) < 8192 for text in PAGES.values())


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_script_sends_one_event_a_call_with_an_id_of_its_own(tmp_path: Path) -> None:
    script = tmp_path / "page.js"
    script.write_text(
        """
        const sent = [];
        globalThis.window = {};
        Object.defineProperty(globalThis, "navigator", {
          configurable: true,
          value: { sendBeacon: (path, body) => sent.push([path, JSON.parse(body)]) },
        });
        """
        + PAGES["pages/balancer.js"].replace("window.balancer", "globalThis.balancer", 1)
        + """
        balancer.track("signup");
        balancer.track("purchase", 19.99);
        balancer.track("nothing", 0);
        const [signup, purchase, nothing] = sent.map(([path, event]) => event);
        console.log(JSON.stringify([
          sent.every(([path]) => path === "/_balancer/events"),
          signup.name, "value" in signup, purchase.value, nothing.value,
          new Set(sent.map(([path, event]) => event.id)).size,
          sent.every(([path, event]) => /^[A-Za-z0-9_.:-]{1,64}$/.test(event.id)),
        ]));
        """
    )
    done = subprocess.run(["node", str(script)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == '[true,"signup",false,19.99,0,3,true]', done.stderr
