"""The latency objective: what is one, and what is not."""

import pytest

from balancer.domain.latency import parse_slow_after
from balancer.domain.manifest import WEB, Manifest, Source
from balancer.errors import InvalidManifest


@pytest.mark.parametrize(("text", "milliseconds"), [("800ms", 800), ("2s", 2000), ("1ms", 1), ("59999ms", 59_999)])
def test_an_objective_is_a_whole_number_of_milliseconds(text: str, milliseconds: int) -> None:
    assert parse_slow_after(text) == milliseconds


@pytest.mark.parametrize("text", ["", "800", "0ms", "-1s", "1.5s", "2 s", "1m", "60s", "999999s", "800ms\n", "8" * 99])
def test_what_is_no_objective_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidManifest, match="slow_after"):
        parse_slow_after(text)


def test_a_manifest_has_no_objective_that_no_answer_can_exceed() -> None:
    with pytest.raises(InvalidManifest, match="slow_after is 60000 ms: it must be below 60 s"):
        Manifest(source=Source.PROCFILE, processes={WEB: "serve"}, slow_after_milliseconds=60_000)
