"""One process that listens on thousands of ports, in the place of as many instances; prints its ports as JSON.

python -m growing.instances COUNT
"""

import json
import os
import selectors
import socket
import sys

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 900\r\n\r\n" + b"." * 900


def main() -> None:
    """Listen, say where, and answer until somebody ends us."""
    ready = selectors.DefaultSelector()
    ports = []
    for _ in range(int(sys.argv[1])):
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        listener.setblocking(False)
        ready.register(listener, selectors.EVENT_READ, True)
        ports.append((listener.getsockname()[1], os.fstat(listener.fileno()).st_ino))
    print(json.dumps(ports), flush=True)
    while True:
        for key, _ in ready.select():
            known = key.fileobj
            assert isinstance(known, socket.socket)
            try:
                if key.data:
                    connection, _ = known.accept()
                    connection.setblocking(False)
                    ready.register(connection, selectors.EVENT_READ, False)
                elif known.recv(65536):
                    known.send(_ANSWER)
                else:
                    ready.unregister(known)
                    known.close()
            except BlockingIOError:
                pass
            except OSError:
                ready.unregister(known)
                known.close()


if __name__ == "__main__":
    main()
