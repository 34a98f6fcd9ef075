"""Tokens, their names, and the form in which they are kept."""

import pytest

from balancer.domain.token import TokenName, digest
from balancer.errors import InvalidName


@pytest.mark.parametrize("text", ["ada", "ci", "ada@laptop", "a" * 60, "0", "build.server-2_x"])
def test_a_name_is_taken_as_it_is(text: str) -> None:
    assert TokenName(text) == text


@pytest.mark.parametrize("text", ["", "-x", "a b", "a/b", "é", "a\n", "a" * 61, ".."])
def test_what_is_no_name_is_refused_with_what_would_be_one(text: str) -> None:
    with pytest.raises(InvalidName, match="is no name for a token: use letters"):
        TokenName(text)


def test_a_token_is_kept_by_its_digest_alone() -> None:
    assert digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
