"""URLs to fetch from: what is taken, and that no password is shown."""

import pytest

from balancer.domain.remote import RemoteUrl, without_password
from balancer.errors import InvalidName


@pytest.mark.parametrize(
    "text",
    [
        "https://git.example/shop.git",
        "http://user:secret@127.0.0.1:9090/git/lib.git",
        "ssh://git@git.example:2222/~ada/shop.git",
        "git@git.example:ada/shop.git",
    ],
)
def test_https_http_and_ssh_are_taken_as_they_are(text: str) -> None:
    assert RemoteUrl(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/srv/shop.git",
        "../lib.git",
        "file:///srv/shop.git",
        "ext::sh -c touch% /tmp/x",
        "git://git.example/shop.git",
        "https://git.example",
        "https:///shop.git",
        "ssh://-oProxyCommand=x/shop.git",
        "-oProxyCommand=x@y:z",
        "git@-oProxyCommand=x:shop.git",
        "https://git.example/a b",
        "https://git.example/a\nb",
        "https://git.example:port/a",
        "https://git.example/" + "a" * 2000,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidName, match="is no URL that can be fetched from"):
        RemoteUrl(text)


def test_a_password_is_never_shown() -> None:
    assert RemoteUrl("https://ada:s3cret@git.example/shop.git").shown == "https://ada@git.example/shop.git"
    assert "s3cret" not in without_password("fatal: unable to access 'https://ada:s3cret@git.example/x/': no")
    with pytest.raises(InvalidName) as raised:
        RemoteUrl("gopher://ada:s3cret@git.example/shop.git")
    assert "s3cret" not in str(raised.value)
