"""A relay of HTTP between the ledger and a ClickHouse server, which breaks connections as networks and kills do."""

import contextlib
import http.client
import http.server
import socket
import threading
from collections.abc import Iterator
from enum import Enum


class Fault(Enum):
    """What happens to a request."""

    NOT_SENT = "not sent"
    """The server never sees it."""
    HALF_SENT = "half sent"
    """The server sees all but the second half of its body."""
    NO_ANSWER = "no answer"
    """The server has done it, and its answer is lost."""


class Relay:
    """Hands requests on to a server on loopback; some meet a fault."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._faults: list[tuple[str, Fault]] = []
        self.met: list[Fault] = []
        """The faults that were met."""
        self._listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._listening.daemon_threads = True
        self.port = self._listening.server_port
        self._thread = threading.Thread(target=self._listening.serve_forever, args=(0.01,))
        self._thread.start()

    def fail(self, fault: Fault, statement: str, times: int = 1) -> None:
        """Let the next `times` requests whose URL holds `statement` meet a fault."""
        self._faults += [(statement, fault)] * times

    def close(self) -> None:
        self._listening.shutdown()
        self._listening.server_close()
        self._thread.join()

    def _fault(self, path: str) -> Fault | None:
        for each in self._faults:
            if each[0] in path:
                self._faults.remove(each)
                self.met.append(each[1])
                return each[1]
        return None

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        relay = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                fault = relay._fault(self.path)
                if fault is Fault.NOT_SENT:
                    return
                if fault is Fault.HALF_SENT:
                    self._send_half(body)
                    return
                server = http.client.HTTPConnection("127.0.0.1", relay._server_port, timeout=60)
                try:
                    server.request("POST", self.path, body, dict(self.headers))
                    answer = server.getresponse()
                    said = answer.read()
                except OSError:
                    return  # the server is down: so is the connection
                finally:
                    server.close()
                if fault is Fault.NO_ANSWER:
                    return
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def _send_half(self, body: bytes) -> None:
                head = f"POST {self.path} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in self.headers.items())
                with socket.create_connection(("127.0.0.1", relay._server_port)) as server:
                    server.sendall(head.encode() + b"\r\n" + body[: len(body) // 2])
                    server.shutdown(socket.SHUT_WR)
                    server.recv(65536)  # it has noticed

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler


@contextlib.contextmanager
def relaying(*ports: int) -> Iterator[list[Relay]]:
    """Give a relay in front of each port."""
    relays = [Relay(port) for port in ports]
    try:
        yield relays
    finally:
        for relay in relays:
            relay.close()
