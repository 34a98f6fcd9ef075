"""nginx with `split_clients`, a sticky cookie and a conditional exposure log; and once more, with all that ours does.

That is: the app's events and failures go to the log too, a cookie that is there twice counts for nothing, a link or a
header for testers is looked for, no shared cache keeps a variant, and of the client's own words about itself none stay.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from peers.cookies import ATTRIBUTES, UUID_PATTERN
from peers.peer import SPLIT, Peer, free_port, running

# `$variant` is asked for first (by proxy_pass), and its regular expression gives the parts of the cookie to the rest.
_CONFIG = """\
daemon off;
worker_processes 1;
pcre_jit on;
user root;
pid {directory}/{name}.pid;
error_log {directory}/{name}.error.log;
events {{ worker_connections 4096; }}
http {{
  split_clients "{split}:$request_id" $drawn {{ 50% master; * test; }}
  map {cookie} $variant {{
    "~^(?<known>{uuid})\\.{split}\\.(?<kept>master|test)\\.(?<phase>[0-9]{{1,5}})\\.(?<flag>[01])\\.(?<at>[0-9]{{13}})$" $kept;
    default $drawn;
  }}
  map $known $visitor {{ "" $request_id; default $known; }}
  map $msec $now {{ "~^(?<s>[0-9]+)\\.(?<ms>[0-9]+)$" $s$ms; }}
  map $flag $set_cookie {{
    1 "";
    0 "balancer=$known.{split}.$kept.$phase.1.$at; {attributes}";
    default "balancer=$request_id.{split}.$drawn.1.0.$now; {attributes}";
  }}
  map $flag $exposed {{ 0 1; default 0; }}
{maps}  log_format exposure escape=json '{{"t":"$msec","visitor":"$known","variant":"$kept","phase":"$phase","at":"$at","status":$status{fields}}}';

  keepalive_requests 1000000000;
  client_body_temp_path {directory}/{name}.body;
  proxy_temp_path {directory}/{name}.proxy;
  upstream master {{ server 127.0.0.1:{master}; keepalive 256; keepalive_requests 1000000000; }}
  upstream test {{ server 127.0.0.1:{test}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    server_name shop.localhost;
    access_log {directory}/{name}.exposures exposure if=${logged};
    location / {{
      proxy_pass http://$variant;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Balancer-Visitor $visitor;
      proxy_set_header X-Balancer-Split {split};
      proxy_set_header X-Balancer-Branch $variant;
      add_header Set-Cookie $set_cookie;
{rules}    }}
  }}
}}
"""


_ALL_MAPS = """\
  map $http_cookie $twice {{ "~balancer=.*balancer=" 1; default 0; }}
  map $http_x_balancer_branch$arg_balancer$twice $read {{ 0 $cookie_balancer; default ""; }}
  map $upstream_http_balancer_event $says {{ "" 0; default 1; }}
  map $exposed$says$status $logged {{ "~^(1|01|005)" 1; default 0; }}
  map $upstream_http_cache_control $private {{ "" private; default ""; }}
  map $upstream_http_cache_control $kept_control {{ "~^(.*)public(.*)$" $1private$2; default $upstream_http_cache_control; }}
"""
_ALL_RULES = """\
      proxy_hide_header Balancer-Event;
      proxy_hide_header Cache-Control;
      add_header Cache-Control $private$kept_control;
      proxy_set_header Forwarded "";
      proxy_set_header X-Real-IP "";
      proxy_set_header X-Forwarded-Port "";
"""
_LEAN = {"logged": "exposed", "cookie": "$cookie_balancer", "maps": "", "fields": "", "rules": ""}
_ALL = {
    "logged": "logged",
    "cookie": "$read",
    "maps": _ALL_MAPS.format(),
    "fields": ',"event":"$upstream_http_balancer_event"',
    "rules": _ALL_RULES,
}


@contextlib.contextmanager
def nginx(
    directory: Path, core: int, ports: Mapping[str, int], *, name: str = "nginx", work: Mapping[str, str] = _LEAN
) -> Iterator[Peer]:
    """Give nginx in front of the apps at `ports`."""
    port, config = free_port(), directory / f"{name}.conf"
    text = _CONFIG.format(
        directory=directory,
        name=name,
        split=SPLIT,
        uuid=UUID_PATTERN,
        attributes=ATTRIBUTES,
        port=port,
        **ports,
        **work,
    )
    config.write_text(text)
    command = ["nginx", "-c", str(config), "-p", str(directory)]
    exposures = directory / f"{name}.exposures"
    with running(
        name, command, port=port, core=core, directory=directory, environment=os.environ, exposures=exposures
    ) as peer:
        yield peer


def nginx_all(directory: Path, core: int, ports: Mapping[str, int]) -> contextlib.AbstractContextManager[Peer]:
    """Give nginx with all that ours does."""
    return nginx(directory, core, ports, name="nginx_all", work=_ALL)
