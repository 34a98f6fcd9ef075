"""Where the ledger is kept when it is not embedded: `clickhouse://user:password@host:8123/database?cluster=NAME`.

Invariants:
    * It names at least one server, and one database.
    * Written out without its password it may be logged, compared and shown.
"""

import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from balancer.errors import InvalidName

HTTP_PORT = 8123
"""ClickHouse's own for its HTTP interface."""
_HTTPS_PORT = 8443
_HELP = "write clickhouse://user:password@host:8123/database, with ?cluster=NAME for a cluster"
# What needs no quoting in SQL, nor in the path of a replica.
_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerUrl:
    """A ClickHouse server, or the servers of a cluster."""

    servers: tuple[str, ...]
    """`host:port` of the HTTP interface of each."""
    database: str
    user: str = "default"
    password: str = field(default="", repr=False)
    cluster: str | None = None
    """As it is called in the servers' own configuration; None for a single server."""
    encrypted: bool = False
    """By TLS: `clickhouses://`."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what `text` says; raises InvalidName, whose message has no password in it."""
        try:
            parts = urlsplit(text)
        except ValueError as reason:
            raise InvalidName(f"the URL of the ledger cannot be read ({reason}): {_HELP}") from reason
        if parts.scheme not in ("clickhouse", "clickhouses"):
            raise InvalidName(f"{parts.scheme[:20]!r} is no kind of ledger: {_HELP}")
        encrypted = parts.scheme == "clickhouses"
        credentials, _, hosts = parts.netloc.rpartition("@")
        user, _, password = credentials.partition(":")
        asked = parse_qsl(parts.query, keep_blank_values=True)
        options = dict(asked)
        if len(asked) > len(options) or options.keys() - {"cluster"} or options.get("cluster") == "":
            raise InvalidName(f"the ledger's URL takes one cluster=NAME and no other option: {_HELP}")
        database = parts.path.removeprefix("/")
        if not _DATABASE.fullmatch(database):
            raise InvalidName(f"{database[:70]!r} is no name for the ledger's database (letters, digits, _): {_HELP}")
        servers = tuple(_server(host, _HTTPS_PORT if encrypted else HTTP_PORT) for host in hosts.split(","))
        if len(servers) > 1 and "cluster" not in options:
            raise InvalidName("the ledger's URL has several servers: say of which cluster, by ?cluster=NAME")
        return cls(
            servers=servers,
            database=database,
            user=unquote(user) or "default",
            password=unquote(password),
            cluster=options.get("cluster"),
            encrypted=encrypted,
        )

    def __str__(self) -> str:
        """Return it without the password."""
        scheme = "clickhouses" if self.encrypted else "clickhouse"
        cluster = f"?cluster={self.cluster}" if self.cluster else ""
        return f"{scheme}://{self.user}@{','.join(self.servers)}/{self.database}{cluster}"


def _server(host: str, port: int) -> str:
    found = _HOST.fullmatch(host)
    if not found or not 0 < int(found["port"] or port) <= 65535:
        raise InvalidName(f"{host[:60]!r} is no server (HOST or HOST:PORT): {_HELP}")
    return f"{found['name']}:{found['port'] or port}"
