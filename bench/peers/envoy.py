"""Envoy without Lua: the cookie is matched by routes, its visitor goes through dynamic metadata into the headers."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from peers.cookies import ATTRIBUTES, UUID_PATTERN
from peers.peer import BRANCHES, SPLIT, Peer, free_port, running

_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_TO_METADATA = "envoy.filters.http.header_to_metadata"
_MS_OF_START = "%START_TIME(%s%3f)%"
_VISITOR, _ID = "%DYNAMIC_METADATA(split:visitor)%", "%REQ(X-REQUEST-ID)%"

Json = dict[str, object]


def _config(directory: Path, port: int, ports: Mapping[str, int]) -> Json:
    manager: Json = {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "web",
        "use_remote_address": True,
        "server_header_transformation": "PASS_THROUGH",
        "access_log": [_exposure_log(directory)],
        "http_filters": [
            {"name": _TO_METADATA, "typed_config": _to_metadata(["visitor"])},
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": f"{_EXTENSIONS}.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            },
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "shop",
                    "domains": ["*"],
                    "request_headers_to_add": [_header("X-Forwarded-Host", "%REQ(:AUTHORITY)%")],
                    "routes": [*map(_counted, BRANCHES), *map(_returned, BRANCHES), _new()],
                }
            ]
        },
    }
    return {
        # The regular expressions of the cookie are larger than Envoy allows by default.
        "layered_runtime": {
            "layers": [{"name": "static", "static_layer": {"re2": {"max_program_size": {"error_level": 1000}}}}]
        },
        "static_resources": {
            "listeners": [
                {
                    "address": _address(port),
                    "filter_chains": [
                        {
                            "filters": [
                                {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
                            ]
                        }
                    ],
                }
            ],
            "clusters": [
                {
                    "name": branch,
                    "type": "STATIC",
                    "load_assignment": {
                        "cluster_name": branch,
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(ports[branch])}}]}],
                    },
                }
                for branch in BRANCHES
            ],
        },
    }


def _counted(branch: str) -> Json:
    """The route of a visitor who was counted."""
    return {
        "match": _cookie_match(branch, "1"),
        "route": {"cluster": branch},
        "request_headers_to_add": _told(_VISITOR, branch),
    }


def _returned(branch: str) -> Json:
    """The route of the request that is the exposure."""
    at = "%DYNAMIC_METADATA(split:phase)%.1.%DYNAMIC_METADATA(split:at)%"
    return {
        "match": _cookie_match(branch, "0"),
        "route": {"cluster": branch},
        "request_headers_to_add": _told(_VISITOR, branch),
        "response_headers_to_add": [
            _added("Set-Cookie", f"balancer={_VISITOR}.{SPLIT}.{branch}.{at}; {ATTRIBUTES}"),
        ],
        "typed_per_filter_config": {_TO_METADATA: _to_metadata(["visitor", "phase", "at", "exposed"])},
    }


def _new() -> Json:
    """The route of everyone else: drawn by weight."""
    clusters = [
        {
            "name": branch,
            "weight": 50,
            "request_headers_to_add": _told(_ID, branch),
            "response_headers_to_add": [
                _added("Set-Cookie", f"balancer={_ID}.{SPLIT}.{branch}.1.0.{_MS_OF_START}; {ATTRIBUTES}"),
            ],
        }
        for branch in BRANCHES
    ]
    return {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": clusters}}}


def _cookie_match(branch: str, flag: str) -> Json:
    cookie = rf"{UUID_PATTERN}\.{SPLIT}\.{branch}\.[0-9]{{1,5}}\.{flag}\.[0-9]{{13}}"
    return {
        "prefix": "/",
        "headers": [
            {"name": "cookie", "string_match": {"safe_regex": {"regex": f"(?:.*; )?balancer={cookie}(?:;.*)?"}}}
        ],
    }


def _to_metadata(parts: Sequence[str]) -> Json:
    """Say what of the cookie becomes metadata."""
    places = {"visitor": 0, "phase": 3, "at": 5}
    rules: list[Json] = []
    for part in parts:
        kept: Json = {"metadata_namespace": "split", "key": part}
        if part in places:
            pattern = r"[^.]*\." * places[part] + r"([^.]*)" + (r"\..*" if part != "at" else "")
            kept["regex_value_rewrite"] = {"pattern": {"regex": f"^{pattern}$"}, "substitution": r"\1"}
        else:
            kept["value"] = "1"
        rules.append({"cookie": "balancer", "on_header_present": kept})
    return {"@type": f"{_EXTENSIONS}.filters.http.header_to_metadata.v3.Config", "request_rules": rules}


def _exposure_log(directory: Path) -> Json:
    fields = {
        "t": "%START_TIME%",
        "variant": "%UPSTREAM_CLUSTER%",
        "status": "%RESPONSE_CODE%",
        **{part: f"%DYNAMIC_METADATA(split:{part})%" for part in ("visitor", "phase", "at")},
    }
    return {
        "name": "envoy.access_loggers.file",
        "filter": {
            "metadata_filter": {
                "matcher": {
                    "filter": "split",
                    "path": [{"key": "exposed"}],
                    "value": {"string_match": {"exact": "1"}},
                },
                "match_if_key_not_found": False,
            }
        },
        "typed_config": {
            "@type": f"{_EXTENSIONS}.access_loggers.file.v3.FileAccessLog",
            "path": str(directory / "envoy.exposures"),
            "log_format": {"json_format": fields},
        },
    }


def _told(visitor: str, branch: str) -> list[Json]:
    told = {"X-Balancer-Visitor": visitor, "X-Balancer-Split": SPLIT, "X-Balancer-Branch": branch}
    return [_header(name, value) for name, value in told.items()]


def _header(name: str, value: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _added(name: str, value: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": "APPEND_IF_EXISTS_OR_ADD"}


def _address(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


@contextlib.contextmanager
def envoy(directory: Path, core: int, ports: Mapping[str, int]) -> Iterator[Peer]:
    """Give Envoy in front of the apps at `ports`."""
    port, config = free_port(), directory / "envoy.json"
    config.write_text(json.dumps(_config(directory, port, ports)))
    command = [str(Path(sys.executable).parent / "envoy"), "-c", str(config), "--concurrency", "1", "-l", "warn"]
    exposures = directory / "envoy.exposures"
    with running(
        "envoy", command, port=port, core=core, directory=directory, environment=os.environ, exposures=exposures
    ) as peer:
        yield peer
