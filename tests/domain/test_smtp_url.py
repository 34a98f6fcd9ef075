"""URLs of mail servers."""

import pytest

from balancer.domain.smtp_url import SmtpUrl
from balancer.errors import InvalidName


def test_what_is_said_is_read() -> None:
    url = SmtpUrl.parse("smtp://ada%40shop:p%2Fw@mail.example:587")
    assert (url.host, url.port, url.user, url.password, url.encrypted) == (
        "mail.example",
        587,
        "ada@shop",
        "p/w",
        False,
    )
    assert "p/w" not in repr(url)
    plain, tls = SmtpUrl.parse("smtp://localhost"), SmtpUrl.parse("smtps://[::1]/")
    assert [(each.port, each.encrypted, each.is_local) for each in (plain, tls)] == [
        (25, False, True),
        (465, True, True),
    ]
    assert not url.is_local


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://s3cret@mail.example",
        "smtp://ada:s3cret@mail.example/x",
        "smtp://ada:s3cret@mail.example?x",
        "smtp://ada:s3cret@-mail",
        "smtp://ada:s3cret@mail.example:99999",
    ],
)
def test_what_is_no_url_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(InvalidName) as refused:
        SmtpUrl.parse(text)
    assert "s3cret" not in str(refused.value)
