"""Values of the domain, to rows and back."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.app import BranchName, Domain
from balancer.domain.declaration import declared
from balancer.domain.manifest import WEB, Manifest, Source
from balancer.domain.metric import MetricName
from balancer.domain.push_mode import INSTANT, parsed
from balancer.domain.split import CANARY, TWIN, Brief
from balancer.errors import InvalidManifest, InvalidName
from balancer.store import rows

text = st.text(min_size=1, max_size=9)
manifests = st.builds(
    Manifest,
    source=st.sampled_from(Source),
    processes=st.just({WEB: "serve"}),
    release=st.none() | text,
    domains=st.lists(st.sampled_from([Domain("a.example"), Domain("b.example")])).map(tuple),
    health_path=st.none() | st.just("/health"),
    slow_after_milliseconds=st.none() | st.integers(1, 59_999),
    health_timeout_seconds=st.floats(min_value=1, max_value=3600),
    metrics=st.just((declared("revenue", {"kind": "sum", "event": "purchase", "sources": ["header"]}),)) | st.just(()),
    rollout=st.sampled_from(["none", "canary", {"mode": "experiment", "metric": "revenue"}]).map(parsed),
    formation=st.dictionaries(st.just(WEB), st.integers(min_value=1, max_value=100)),
)


@given(manifests)
def test_a_manifest_comes_back_as_it_was(manifest: Manifest) -> None:
    assert rows.manifest(rows.manifest_text(manifest)) == manifest


def test_a_static_manifest_comes_back_as_it_was() -> None:
    manifest = Manifest(source=Source.STATIC, static=".")
    assert rows.manifest(rows.manifest_text(manifest)) == manifest


def test_a_manifest_is_checked_again_when_it_comes_back() -> None:
    written = json.loads(rows.manifest_text(Manifest(source=Source.PROCFILE, processes={WEB: "serve"})))
    with pytest.raises(InvalidManifest):
        rows.manifest(json.dumps(written | {"formation": {"web": 0}}))
    with pytest.raises(InvalidName):
        rows.manifest(json.dumps(written | {"domains": ["no domain"]}))


def test_weights_keep_the_order_in_which_they_were_named() -> None:
    weights = {BranchName("z"): 1, BranchName("a"): 9_998, BranchName("m"): 1}
    assert list(rows.weights(rows.weights_text(weights)).items()) == list(weights.items())


def test_a_brief_comes_back_as_it_was() -> None:
    revenue = declared("revenue", {"kind": "sum", "event": "purchase", "cap": 500, "sources": ["header"]})
    brief = Brief(
        name="Buttons",
        metrics=(revenue, declared("back", {"kind": "retention", "event": "visit", "day": 7})),
        metric=MetricName("revenue"),
        aa=True,
        twin=TWIN,
        decide_at=datetime(2026, 12, 24, 18, tzinfo=UTC),
    )
    assert rows.brief(rows.brief_text(brief)) == brief
    assert rows.brief(rows.brief_text(Brief(canary=CANARY))) == Brief(canary=CANARY)


def test_what_an_older_balancer_wrote_is_read() -> None:
    assert rows.brief("{}") == Brief()
    assert rows.brief(json.dumps({"name": "Buttons", "metric": "purchase", "held_out": 500})) == Brief(
        name="Buttons", metric=MetricName("purchase"), held_out=500
    )
    text = json.loads(rows.manifest_text(Manifest(source=Source.PROCFILE, processes={WEB: "serve"})))
    del text["metrics"], text["rollout"]
    assert rows.manifest(json.dumps(text)).metrics == ()
    assert rows.manifest(json.dumps(text)).rollout == INSTANT
