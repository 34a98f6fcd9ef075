"""A shop of one page, on Python's standard library alone: GET / shows it, POST /buy buys.

The platform gives it PORT. It tells the platform of a purchase by a header of its answer, and that is all it knows.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from page import PAGE

PRICE = 19.99


class Shop(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # an answer leaves in one piece

    def do_GET(self):
        """Show the page."""
        if self.path != "/":
            return self.answer(404, "Not here.\n")
        return self.answer(200, PAGE)

    def do_POST(self):
        """Buy: as many as the body says."""
        count = int(self.rfile.read(int(self.headers.get("Content-Length", 0))) or 1)
        return self.answer(200, "Thank you.\n", {"Balancer-Event": f"purchase={count * PRICE:.2f}"})

    def answer(self, status, text, headers=None):
        """Send an answer."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *arguments):
        """Print a line for `balancer logs`."""
        print(f"{self.command} {self.path} for {self.headers.get('X-Balancer-Visitor', 'someone')}")


class Server(ThreadingHTTPServer):
    """A server that lets many connect at once."""

    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Say nothing of connections that the other side has ended: the proxy does, with those it needs no more."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


if __name__ == "__main__":
    Server(("127.0.0.1", int(os.environ["PORT"])), Shop).serve_forever()
