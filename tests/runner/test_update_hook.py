"""The hook as git runs it: its exit status decides, and only the daemon's last word can make it 0."""

import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from balancer.runner import update_hook

SCRIPT = Path(update_hook.__file__)
OLD, NEW = "0" * 40, "c0ffee" + "0" * 34


@dataclass
class Daemon:
    """A daemon that says some lines and then closes the connection; it keeps what it was asked."""

    lines: Sequence[str]
    breaks_off: bool = False
    address: str = ""
    asked: list[tuple[str, str, object]] = field(default_factory=list)


@contextmanager
def daemon(*lines: str, breaks_off: bool = False) -> Iterator[Daemon]:
    """Give a daemon on the loopback."""
    told = Daemon(lines, breaks_off)

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.asked.append((self.path, self.headers["Authorization"], body))
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in told.lines:
                data = line.encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            if not told.breaks_off:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    told.address = f"127.0.0.1:{server.server_address[1]}"
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def hook(address: str, words: Sequence[str] = ("refs/heads/master", OLD, NEW), **variables: str) -> tuple[int, str]:
    """Run the hook with nothing but Python's standard library; return its status and what it printed."""
    environment = {
        "BALANCER_PUSH_ADDRESS": address,
        "BALANCER_PUSH_SECRET": "s3cret",
        "BALANCER_PUSH_APP": "shop",
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-I", "-S", SCRIPT, *words],
        env={name: value for name, value in environment.items() if value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_deploy_that_went_live_lets_the_ref_move_and_was_shown() -> None:
    with daemon("-----> Building\n", "-----> Li", "ve\n", "\0ok\n") as told:
        assert hook(told.address) == (0, "-----> Building\n-----> Live\n")
    assert told.asked == [
        ("/git/shop/update", "Push s3cret", {"ref": "refs/heads/master", "old": OLD, "new": NEW}),
    ]


def test_a_deploy_that_failed_refuses_the_push_and_the_reason_was_shown() -> None:
    with daemon("-----> Not live: it broke\n", "\0no\n") as told:
        assert hook(told.address) == (1, "-----> Not live: it broke\n")


@pytest.mark.parametrize("last", ["ok", "-----> Live", "\0", "\0okay", "\0no", ""])
def test_no_other_last_line_lets_the_ref_move(last: str) -> None:
    with daemon("-----> Building\n", last + "\n") as told:
        assert hook(told.address)[0] == 1


def test_a_line_of_a_build_cannot_say_the_verdict() -> None:
    with daemon("ok\n", "\\0ok\n", "-----> Building\n") as told:
        status, printed = hook(told.address)
    assert status == 1
    assert "The platform broke off before the deploy was done" in printed


def test_a_daemon_that_dies_meanwhile_refuses_the_push() -> None:
    with daemon("-----> Building\n", breaks_off=True) as told:
        status, printed = hook(told.address)
    assert status == 1
    assert printed.startswith("-----> Building\n")
    assert "broke off" in printed
    assert "Nothing was switched; push again." in printed


def test_a_daemon_that_is_not_there_refuses_the_push() -> None:
    with daemon() as told:
        pass
    status, printed = hook(told.address)
    assert status == 1
    assert "The platform broke off" in printed


@pytest.mark.parametrize("name", ["BALANCER_PUSH_ADDRESS", "BALANCER_PUSH_SECRET", "BALANCER_PUSH_APP"])
def test_a_push_that_does_not_come_through_the_platform_is_refused(name: str) -> None:
    with daemon("\0ok\n") as told:
        status, printed = hook(told.address, **{name: ""})
    assert status == 1
    assert "takes pushes only through the platform" in printed
    assert told.asked == []


def test_whatever_the_locale_of_the_daemon_every_line_can_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="ascii"))
    update_hook.say("-----> Building shop master: c0ffee0 “grün”")
    assert shown.getvalue().decode() == "-----> Building shop master: c0ffee0 “grün”\n"


def test_options_of_a_push_are_asked_for_before_anything_is_deployed() -> None:
    options = {"GIT_PUSH_OPTION_COUNT": "2", "GIT_PUSH_OPTION_0": "rollout=none", "GIT_PUSH_OPTION_1": "grün"}
    with daemon("\0ok\n") as told:
        assert hook(told.address, (), **options) == (0, "")
    assert told.asked == [("/git/shop/options", "Push s3cret", {"options": ["rollout=none", "grün"]})]
    with daemon("-----> Refused: there is no push option\n", "\0no\n") as told:
        assert hook(told.address, (), **options) == (1, "-----> Refused: there is no push option\n")
