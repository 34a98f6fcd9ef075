"""Values of the domain, to rows and back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.app import BranchName, Domain
from balancer.domain.manifest import WEB, Manifest, Source
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
    health_timeout_seconds=st.floats(min_value=1, max_value=3600),
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
