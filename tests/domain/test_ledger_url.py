"""Where the ledger is kept when it is not embedded."""

import pytest

from balancer.domain.ledger_url import LedgerUrl
from balancer.errors import InvalidName


def test_a_server_has_ports_and_users_by_default() -> None:
    assert LedgerUrl.parse("clickhouse://db.example.com/balancer") == LedgerUrl(
        servers=("db.example.com:8123",), database="balancer", user="default", password="", cluster=None
    )
    assert LedgerUrl.parse("clickhouses://db/balancer").servers == ("db:8443",)
    assert LedgerUrl.parse("clickhouses://db/balancer").encrypted


def test_a_cluster_has_a_name_and_any_of_its_servers() -> None:
    url = LedgerUrl.parse("clickhouse://u%40x:p%3A%2F%27@a:1,b,[::1]:3/ledger?cluster=two%20shards")
    assert url.servers == ("a:1", "b:8123", "[::1]:3")
    assert (url.user, url.password, url.cluster) == ("u@x", "p:/'", "two shards")


def test_it_is_shown_without_its_password() -> None:
    url = LedgerUrl.parse("clickhouse://balancer:secret@a,b/ledger?cluster=two")
    assert str(url) == "clickhouse://balancer@a:8123,b:8123/ledger?cluster=two"
    assert "secret" not in repr(url)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "duckdb:///secret",
        "clickhouse://u:secret@a/",
        "clickhouse://u:secret@a/a-b",
        "clickhouse://u:secret@a/a;DROP",
        "clickhouse://u:secret@a/" + "x" * 65,
        "clickhouse://u:secret@/ledger",
        "clickhouse://u:secret@a:0/ledger",
        "clickhouse://u:secret@a:70000/ledger",
        "clickhouse://u:secret@a b/ledger",
        "clickhouse://u:secret@[::1/ledger",
        "clickhouse://u:secret@a,b/ledger",
        "clickhouse://u:secret@a/ledger?cluster=",
        "clickhouse://u:secret@a/ledger?cluster=x&cluster=y",
        "clickhouse://u:secret@a/ledger?tls=1",
    ],
)
def test_what_is_no_such_url_is_refused_and_the_password_not_repeated(text: str) -> None:
    with pytest.raises(InvalidName) as raised:
        LedgerUrl.parse(text)
    assert "secret" not in str(raised.value).replace("duckdb:///secret", "")
    assert "clickhouse://" in str(raised.value) or "?cluster=NAME" in str(raised.value)
