"""Manifests."""

from typing import Any

import pytest

from balancer.domain.manifest import WEB, Manifest, ProcessType, Source
from balancer.errors import InvalidManifest, InvalidName

WORKER = ProcessType("worker")


def manifest(**values: Any) -> Manifest:
    """Return a manifest with a `web` command, unless `values` say otherwise."""
    return Manifest(**{"source": Source.MANIFEST, "processes": {WEB: "serve"}, **values})


def test_the_plainest_manifest_has_the_defaults_of_the_documentation() -> None:
    plain = manifest()
    assert (plain.counts({}), plain.health_path, plain.health_timeout_seconds) == ({WEB: 1}, None, 60.0)
    assert plain.drain_timeout_seconds == 600.0
    assert (plain.release, plain.static, plain.domains) == (None, None, ())


@pytest.mark.parametrize(("web", "static"), [(None, None), ("serve", "public")])
def test_a_manifest_with_no_way_or_two_ways_to_run_the_app_cannot_be_made(web: str | None, static: str | None) -> None:
    with pytest.raises(InvalidManifest, match="one way to run the app"):
        manifest(processes={} if web is None else {WEB: web}, static=static)


@pytest.mark.parametrize("static", ["/etc", "../other", "a/../../b", ".."])
def test_a_static_directory_cannot_leave_the_tree(static: str) -> None:
    with pytest.raises(InvalidManifest, match="leaves the tree"):
        manifest(processes={}, static=static)


@pytest.mark.parametrize(
    "wrong",
    [
        {"health_path": "healthz"},
        {"health_path": "/a b"},
        {"health_path": "/\r\nX: y"},
        {"health_path": "/" + "a" * 501},
        {"formation": {WEB: 0}},
        {"formation": {WEB: 101}},
        {"formation": {WORKER: 1}},
        {"drain_timeout_seconds": 0},
        {"health_timeout_seconds": 0.5},
        {"health_timeout_seconds": 3601},
        {"health_timeout_seconds": float("nan")},
    ],
)
def test_a_manifest_with_a_value_that_cannot_be_cannot_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest):
        manifest(**wrong)


def test_the_operator_decides_how_many_run_then_the_manifest_then_one() -> None:
    made = manifest(
        processes={WORKER: "work", ProcessType("mail"): "send", WEB: "serve"}, formation={WORKER: 0, WEB: 2}
    )
    assert list(made.counts({}).items()) == [(WEB, 2), (WORKER, 0), ("mail", 1)]
    assert made.counts({WEB: 4, WORKER: 3}) == {WEB: 4, WORKER: 3, "mail": 1}


@pytest.mark.parametrize("text", ["", "1a", "a b", "a.b", "a/b", "x" * 31, "é"])
def test_a_process_type_that_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidName, match="no name for a process"):
        ProcessType(text)
