"""The dimensions of an exposure, as the edge log tells them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.proxy.about import DIMENSIONS_LIMIT, dims_of


def read(about: str) -> dict[str, str]:
    return json.loads(dims_of(about) or "{}")  # type: ignore[no-any-return]


def test_device_country_and_the_first_part_of_the_path_are_read() -> None:
    assert read("mobile;at;pricing;") == {"device": "mobile", "country": "AT", "path": "/pricing"}
    assert read("desktop;-;-;")["path"] == "/-"
    assert read("tablet;;;") == {"device": "tablet", "path": "/"}


def test_what_the_app_said_is_beside_them_and_cannot_replace_them() -> None:
    found = read("desktop;DE;;plan=pro, tier = 2,device=toaster")
    assert found == {"device": "desktop", "country": "DE", "path": "/", "plan": "pro", "tier": "2"}


@pytest.mark.parametrize(
    "said", ["plan", "=pro", "1plan=pro", "plan=", f"plan={'x' * 65}", f"{'p' * 33}=x", "plan=a\tb"]
)
def test_a_dimension_that_is_wrong_is_left_out_and_those_beside_it_stay(said: str) -> None:
    assert read(f"desktop;DE;;{said},tier=2") == {"device": "desktop", "country": "DE", "path": "/", "tier": "2"}


def test_there_are_eight_of_an_app_at_most() -> None:
    said = ",".join(f"d{number}=x" for number in range(20))
    assert len(read(f"desktop;DE;;{said}")) == 3 + DIMENSIONS_LIMIT


def test_a_path_is_what_was_asked_for_without_what_cannot_be_printed() -> None:
    assert read("desktop;;caf%25C3%25A9;")["path"] == "/café"
    assert read("desktop;;a%3Bplan%3Dpro;") == {"device": "desktop", "path": "/a;plan=pro"}
    assert read("desktop;;a%2500b;")["path"] == "/ab"


@given(st.text())
def test_no_text_hurts(about: str) -> None:
    found = read(about)
    assert all(isinstance(text, str) and len(text) <= 65 for text in found.values())
