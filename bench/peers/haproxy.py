"""HAProxy that splits nothing: what our data plane would cost if it did none of our work."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from balancer.proxy.installed import find_executable
from peers.peer import Peer, free_port, running

_CONFIG = """\
global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
  timeout http-keep-alive 25s
  http-reuse always
frontend web
  bind 127.0.0.1:{port}
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.fhdr(host)]
  default_backend app
backend app
  server app 127.0.0.1:{master}
"""


@contextlib.contextmanager
def haproxy(directory: Path, core: int, ports: Mapping[str, int]) -> Iterator[Peer]:
    """Give HAProxy in front of one app."""
    port, config = free_port(), directory / "bare.cfg"
    config.write_text(_CONFIG.format(port=port, **ports))
    command = [find_executable("haproxy"), "-W", "-f", str(config)]
    with running("haproxy", command, port=port, core=core, directory=directory, environment=os.environ) as peer:
        yield peer
