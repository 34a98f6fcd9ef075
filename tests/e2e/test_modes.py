"""An app that is paused or in maintenance, as its visitors see it."""

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from browsing import Browser
from hammering import Hammer
from running import Running, app_files, running
from waiting import until

_COUNTS_POSTS = """
    def do_POST(self):
        number = self.rfile.read(int(self.headers["Content-Length"]))
        with open("posts", "ab") as file:
            file.write(number + b"\\n")
        self.do_GET()

    def log_message"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("modes")) as started:
        files = app_files("one")
        files["app.py"] = files["app.py"].replace("\n    def log_message", _COUNTS_POSTS, 1)
        shop = started.create("shop")
        shop.commit(files)
        shop.push("master")
        yield started


def test_a_pause_costs_a_wait_and_no_request_and_posts_arrive_once(platform: Running) -> None:
    posted: Counter[int] = Counter()
    stopping = threading.Event()

    def post() -> None:
        browser = Browser(platform.port, "shop.localhost", kept=True)
        while not stopping.is_set():
            number = posted.total()
            assert browser.request("POST", "/", str(number).encode()).status == 200
            posted[number] += 1
        browser.close()

    posting = threading.Thread(target=post)
    with Hammer(platform.port, "shop.localhost", kept=8, fresh=8).at_work() as tally:
        posting.start()
        for _ in range(3):
            until(lambda: tally.requests > 100, 30)
            assert platform.command("pause", "shop").returncode == 0
            during = settled(platform)
            # One was under way, perhaps, and the app slow to note it.
            assert settled(platform) <= during + 1, "no request reaches an app that is paused"
            assert platform.command("resume", "shop").returncode == 0
        stopping.set()
        posting.join(30)
    print(f"\nthree pauses: {tally.describe()}")
    assert tally.failed == 0
    assert tally.slowest_seconds > 0.2
    arrived = Counter(int(line) for line in posts_file(platform).read_text().split())
    assert arrived == posted


def test_maintenance_shows_a_page_and_leaves_the_instances_alone(platform: Running) -> None:
    pid = platform.instance_pid("shop", "master")
    assert platform.command("maintenance", "shop", "on").returncode == 0
    answer = Browser(platform.port, "shop.localhost").get()
    assert (answer.status, "<h1>Back soon</h1>" in answer.body) == (503, True)
    assert answer.headers["Retry-After"] == "60"
    assert Browser(platform.port, "master--shop.localhost").get().status == 503
    assert platform.command("maintenance", "shop", "off").returncode == 0
    assert Browser(platform.port, "shop.localhost").get().status == 200
    assert platform.instance_pid("shop", "master") == pid


def test_a_stopped_app_says_so_and_serves_again(platform: Running) -> None:
    assert platform.command("stop", "shop").returncode == 0
    answer = Browser(platform.port, "shop.localhost").get()
    assert (answer.status, "<h1>Not running</h1>" in answer.body) == (503, True)
    assert platform.command("start", "shop").returncode == 0
    assert Browser(platform.port, "shop.localhost").get().status == 200


def posts_file(platform: Running) -> Path:
    """Return the file in which the app counts."""
    (found,) = platform.data.glob("releases/shop/*/tree/posts")
    return found


def settled(platform: Running) -> int:
    """Return how many posts have arrived, once what was under way has."""
    counts: list[int] = []

    def same() -> bool:
        counts.append(len(posts_file(platform).read_text().split()))
        return len(counts) > 10 and len(set(counts[-10:])) == 1

    until(same, 30)
    return counts[-1]
