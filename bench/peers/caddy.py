"""Caddy: one regular expression reads the cookie, a map draws for new visitors, `log_skip` leaves exposures alone."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from peers.cookies import ATTRIBUTES, UUID_PATTERN
from peers.peer import SPLIT, Peer, free_port, running

# A random id begins with 0 to 7 as often as with 8 to f: that is the draw.
_CONFIG = """\
{{
  admin off
  auto_https off
  persist_config off
  log default {{
    level WARN
  }}
}}
http://:{port} {{
  bind 127.0.0.1
  log exposures {{
    output file {directory}/caddy.exposures {{
      roll_disabled
    }}
    format filter {{
      wrap json
      request delete
      resp_headers delete
    }}
  }}
  @counted header_regexp c Cookie `(?:^|; )balancer=({uuid})\\.{split}\\.(master|test)\\.[0-9]{{1,5}}\\.1\\.[0-9]{{13}}(?:;|$)`
  handle @counted {{
    log_skip
    map {{re.c.2}} {{app}} {{
      master 127.0.0.1:{master}
      test 127.0.0.1:{test}
    }}
    reverse_proxy {{app}} {{
      header_up X-Balancer-Visitor {{re.c.1}}
      header_up X-Balancer-Split {split}
      header_up X-Balancer-Branch {{re.c.2}}
      transport http {{
        versions 1.1
        compression off
        keepalive_idle_conns_per_host 256
      }}
    }}
  }}
  @returned header_regexp r Cookie `(?:^|; )balancer=({uuid})\\.{split}\\.(master|test)\\.([0-9]{{1,5}})\\.0\\.([0-9]{{13}})(?:;|$)`
  handle @returned {{
    log_append visitor {{re.r.1}}
    log_append variant {{re.r.2}}
    log_append phase {{re.r.3}}
    log_append at {{re.r.4}}
    header +Set-Cookie "balancer={{re.r.1}}.{split}.{{re.r.2}}.{{re.r.3}}.1.{{re.r.4}}; {attributes}"
    map {{re.r.2}} {{app}} {{
      master 127.0.0.1:{master}
      test 127.0.0.1:{test}
    }}
    reverse_proxy {{app}} {{
      header_up X-Balancer-Visitor {{re.r.1}}
      header_up X-Balancer-Split {split}
      header_up X-Balancer-Branch {{re.r.2}}
      transport http {{
        versions 1.1
        compression off
        keepalive_idle_conns_per_host 256
      }}
    }}
  }}
  handle {{
    log_skip
    map {{http.request.uuid}} {{variant}} {{app}} {{
      ~^[0-7] master 127.0.0.1:{master}
      default test 127.0.0.1:{test}
    }}
    header +Set-Cookie "balancer={{http.request.uuid}}.{split}.{{variant}}.1.0.{{time.now.unix_ms}}; {attributes}"
    reverse_proxy {{app}} {{
      header_up X-Balancer-Visitor {{http.request.uuid}}
      header_up X-Balancer-Split {split}
      header_up X-Balancer-Branch {{variant}}
      transport http {{
        versions 1.1
        compression off
        keepalive_idle_conns_per_host 256
      }}
    }}
  }}
}}
"""


@contextlib.contextmanager
def caddy(directory: Path, core: int, ports: Mapping[str, int]) -> Iterator[Peer]:
    """Give Caddy in front of the apps at `ports`."""
    port, config = free_port(), directory / "Caddyfile"
    config.write_text(
        _CONFIG.format(directory=directory, split=SPLIT, uuid=UUID_PATTERN, attributes=ATTRIBUTES, port=port, **ports)
    )
    environment = {**os.environ, "GOMAXPROCS": "1", "HOME": str(directory), "XDG_DATA_HOME": str(directory)}
    command = [str(Path(sys.executable).parent / "caddy"), "run", "--config", str(config), "--adapter", "caddyfile"]
    exposures = directory / "caddy.exposures"
    with running(
        "caddy", command, port=port, core=core, directory=directory, environment=environment, exposures=exposures
    ) as peer:
        yield peer
