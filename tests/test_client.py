"""The client raises what the API answered with, whatever it is that answers. Its calls are tested with the commands."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from balancer.client import Client
from balancer.errors import BalancerError, DaemonUnreachable, InvalidName, SplitRunning, Unauthorized


@contextmanager
def answering(status: int, body: bytes, *, length: int | None = None) -> Iterator[tuple[str, list[str]]]:
    """Give the URL of something that answers so, and what it was asked; `length` is what it says that it sends."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path} {self.headers['Authorization']}")
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_an_error_of_the_api_is_raised_as_what_it_is() -> None:
    body = b'{"error": "split-running", "message": "the app has one"}'
    with answering(409, body) as (url, _), Client(url, "t0ken") as client:
        for ask in (client.split, lambda app: list(client.logs(app, branch=None, lines=1, follow=False))):
            with pytest.raises(SplitRunning, match="the app has one"):
                ask("shop")


def test_an_error_that_nobody_knows_is_raised_with_its_message() -> None:
    with (
        answering(418, b'{"error": "teapot", "message": "short and stout"}') as (url, _),
        Client(url, None) as client,
        pytest.raises(BalancerError, match="short and stout"),
    ):
        client.apps()


def test_what_is_no_answer_of_the_api_is_shown() -> None:
    with (
        answering(502, b"<h1>Bad gateway</h1>") as (url, _),
        Client(url, None) as client,
        pytest.raises(BalancerError, match="answered 502 and no reason: '<h1>Bad gateway</h1>'"),
    ):
        client.status()


def test_a_daemon_that_breaks_off_its_answer_does_not_answer() -> None:
    line = b'{"at": "2026-03-01T12:00:00Z", "instance": "i", "line": "one"}\n'
    with answering(200, line, length=1000) as (url, _), Client(url, None) as client:
        lines = client.logs("shop", branch=None, lines=1, follow=True)
        assert next(lines).line == "one"
        with pytest.raises(DaemonUnreachable, match="no daemon answers at http"):
            next(lines)
        with pytest.raises(DaemonUnreachable):
            client.apps()


def test_the_token_is_sent_and_a_slash_at_the_end_of_the_url_does_not_matter() -> None:
    with answering(200, b"[]") as (url, asked):
        for given in (url, url.rstrip("/")):
            with Client(given, "t0ken") as client:
                assert client.apps() == []
        with Client(url, None) as client:
            assert client.apps() == []
    assert asked == ["GET /api/apps Bearer t0ken"] * 2 + ["GET /api/apps None"]


def test_what_is_no_name_of_an_app_is_not_even_asked_for() -> None:
    with (
        answering(200, b"[]") as (url, asked),
        Client(url, None) as client,
        pytest.raises(InvalidName, match="is no name for an app"),
    ):
        client.releases("../x")
    assert asked == []


def test_a_token_that_is_refused_is_said_to_be() -> None:
    body = b'{"error": "unauthorized", "message": "the token is missing or wrong"}'
    with (
        answering(401, body) as (url, _),
        Client(url, "wrong") as client,
        pytest.raises(Unauthorized, match="the token is missing or wrong"),
    ):
        client.apps()


def test_an_answer_of_another_shape_says_that_the_versions_differ() -> None:
    with answering(200, b'{"apps": "none"}') as (url, _), Client(url, None) as client:
        with pytest.raises(BalancerError, match=r"does not parse .*another version\? `balancer upgrade`"):
            client.apps()
        with pytest.raises(BalancerError, match="does not parse"):
            list(client.logs("shop", branch=None, lines=1, follow=False))
