"""The app behind every proxy: nginx that answers at once, so that the proxy is what there is to measure."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from peers.peer import BRANCHES, free_port, running

# About 1 KB, a small page; the headers that came with the request are told, so that the work of each proxy can be checked.
_TOLD = "$http_x_balancer_visitor $http_x_balancer_split $http_x_balancer_branch $http_x_forwarded_for $http_x_forwarded_proto $http_x_forwarded_host"


@contextlib.contextmanager
def apps(directory: Path, core: int) -> Iterator[Mapping[str, int]]:
    """Give the port of an app for each branch, all on one core."""
    ports = {branch: free_port() for branch in BRANCHES}
    servers = "".join(
        f"""
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 "{branch} {_TOLD} {"." * 900}"; }}
    location /_balancer/ {{ return 204; }}
  }}"""
        for branch, port in ports.items()
    )
    config = directory / "app.conf"
    config.write_text(f"""\
daemon off;
worker_processes 1;
user root;
pid {directory}/app.pid;
error_log {directory}/app.error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {directory}/app.body;
  default_type text/html;
  add_header Cache-Control no-cache;{servers}
}}
""")
    command = ["nginx", "-c", str(config), "-p", str(directory)]
    with running("app", command, port=ports["master"], core=core, directory=directory, environment=os.environ):
        yield ports
