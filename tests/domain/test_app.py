"""Names are parsed and never repaired; a manifest says exactly one way to run the app."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.app import CONFIG_VALUE_LIMIT, AppName, BranchName, Commit, ConfigKey, ConfigValue, Domain
from balancer.errors import InvalidInput, InvalidName

# What leaves a path, ends an option, splits a word, a line or a map entry, or is another host.
HOSTILE = ["", "../x", "-rf", "a b", "a\n", "a\tb", "a;b", "a$b", "a'b", 'a"b', "a%b", "a/../b", "a\0b", "a,b", "a:b"]


@pytest.mark.parametrize("text", ["shop", "a", "my-shop", "s2", "a" * 30])
def test_a_name_of_an_app_is_what_was_given(text: str) -> None:
    assert AppName(text) == text


@pytest.mark.parametrize(
    "text", [*HOSTILE, "Blog", "2shop", "a--b", "-a", "a-", "a_b", "a.b", "a" * 31, "a" * 200, "é"]
)
def test_what_is_no_name_of_an_app_is_refused_and_not_repaired(text: str) -> None:
    with pytest.raises(InvalidName, match="is no name for an app: use lower-case letters"):
        AppName(text)


def test_a_long_wrong_name_is_cut_in_its_message() -> None:
    with pytest.raises(InvalidName) as refused:
        AppName("A" * 10_000)
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("text", ["master", "feat/x", "Feat/X", "release-1.2", "a+b=c", "a/b/c", "v1.0_rc", "x" * 100])
def test_a_name_of_a_branch_is_what_was_given(text: str) -> None:
    assert BranchName(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE,
        "a..b",
        "/a",
        "a/",
        "a//b",
        ".a",
        "a/.b",
        "a.",
        "a.lock",
        "a.lock/b",
        "a/-b",
        "-a",
        "a~1",
        "a^",
        "a@{1}",
        "a*",
        "a?",
        "a[",
        "a\\b",
        "x" * 101,
        "@",
        "HEAD~",
    ],
)
def test_what_is_no_name_of_a_branch_is_refused(text: str) -> None:
    with pytest.raises(InvalidName, match="is no name for a branch"):
        BranchName(text)


@pytest.mark.parametrize("text", ["master", "test", "feat-x", "a" * 30, "2"])
def test_a_branch_that_is_a_dns_label_is_its_own_slug(text: str) -> None:
    assert BranchName(text).slug == text


def test_branches_that_look_alike_have_slugs_apart() -> None:
    alike = ["feat/x", "Feat/X", "feat-x", "feat_x", "feat/x/", "feat.x", "feat+x"]
    slugs = {BranchName(name.rstrip("/")).slug for name in alike}
    assert len(slugs) == len({name.rstrip("/") for name in alike})


@given(st.from_regex(r"[A-Za-z0-9_+=][A-Za-z0-9_.+=/-]{0,80}", fullmatch=True))
def test_a_slug_is_one_dns_label_that_ends_where_the_app_begins(text: str) -> None:
    try:
        branch = BranchName(text)
    except InvalidName:
        return
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", branch.slug)
    assert len(branch.slug) <= 30


@pytest.mark.parametrize("text", ["0123456789abcdef" * 4, "c0ffee" + "0" * 34])
def test_a_commit_is_a_full_hash(text: str) -> None:
    assert Commit(text) == text
    assert Commit(text).short == text[:7]


@pytest.mark.parametrize(
    "text", [*HOSTILE, "c0ffee", "0" * 39, "0" * 41, "C0FFEE" + "0" * 34, "g" * 40, "HEAD", "0" * 63]
)
def test_what_is_no_full_hash_is_no_commit(text: str) -> None:
    with pytest.raises(InvalidName, match="is no commit"):
        Commit(text)


@pytest.mark.parametrize(
    "text", ["shop.example", "localhost", "a-b.c-d.example", "_x.example", "xn--bcher-kva.example"]
)
def test_a_domain_is_what_was_given(text: str) -> None:
    assert Domain(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE,
        "Shop.example",
        "shop.example.",
        ".example",
        "a..b",
        "http://shop.example",
        "shop.example:80",
        "shop.example/x",
        "-a.example",
        "a-.example",
        "*.example",
        "a" * 64 + ".example",
        "a." * 130 + "a",
        "bücher.de",
    ],
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(InvalidName, match="is no domain"):
        Domain(text)


@pytest.mark.parametrize("text", ["DATABASE_URL", "a", "_x", "Key2", "K" * 100])
def test_a_name_of_a_config_var_is_what_was_given(text: str) -> None:
    assert ConfigKey(text) == text


@pytest.mark.parametrize("text", [*HOSTILE, "2FA", "A=B", "A-B", "A.B", "É", "K" * 101])
def test_what_no_environment_takes_is_no_name_of_a_config_var(text: str) -> None:
    with pytest.raises(InvalidName, match="is no name for a config var"):
        ConfigKey(text)


@pytest.mark.parametrize("text", ["", "a=b c", "two\nlines", "grün", "x" * CONFIG_VALUE_LIMIT])
def test_a_value_of_a_config_var_may_be_any_text(text: str) -> None:
    assert ConfigValue(text) == text


@pytest.mark.parametrize("text", ["s3cret\0", "s3cret" * CONFIG_VALUE_LIMIT, "ü" * CONFIG_VALUE_LIMIT])
def test_a_value_that_no_environment_takes_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InvalidInput, match="a config var must have at most") as refused:
        ConfigValue(text)
    assert "s3cret" not in str(refused.value)
