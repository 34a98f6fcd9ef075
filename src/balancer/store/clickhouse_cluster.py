"""The servers that hold the ledger, by shard.

Invariants:
    * A visitor is on one shard: all rows of it, for good.
    * One server of each shard is written to, the first that the URL names; others of the shard only answer.
    * Only a cluster of which every shard is known is used at all.

Used by the modules `clickhouse_*`.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import httpx

from balancer.domain.ledger_url import LedgerUrl
from balancer.errors import LedgerUnavailable
from balancer.store.clickhouse_server import Server
from balancer.store.clickhouse_text import quoted

PLACE = "halfMD5(toString(visitor))"
"""What `Cluster.place` computes, in SQL: the sharding key. Both of its languages have MD5 built in."""
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A part of the visitors, and the servers that hold it."""

    number: int
    """From 1 on, as in the cluster's configuration."""
    servers: tuple[Server, ...]
    replicas: int = 1
    """As the configuration has them, listed or not."""

    @property
    def writer(self) -> Server:
        """The server that rows are sent to, and that knows best what is in."""
        return self.servers[0]

    def ask(self, sql: str) -> list[list[object]]:
        """Return the rows that a SELECT finds, from the first server that answers. Raises LedgerUnavailable."""
        for server in self.servers[:-1]:
            try:
                return server.ask(sql)
            except LedgerUnavailable as error:
                if not isinstance(error.__cause__, httpx.HTTPError):
                    raise
        return self.servers[-1].ask(sql)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """All shards, in the order of their numbers."""

    shards: tuple[Shard, ...]

    @property
    def first(self) -> Shard:
        """The shard that also keeps what belongs to no visitor."""
        return self.shards[0]

    def place(self, visitor: str) -> int:
        """Return which shard has a visitor, from 0 on."""
        digest = hashlib.md5(visitor.encode(), usedforsecurity=False).digest()
        return int.from_bytes(digest[:8], "big") % len(self.shards)

    def ask(self, sql: str) -> list[list[list[object]]]:
        """Return the rows that each shard finds, all asked at once. Raises LedgerUnavailable."""
        return self.each(lambda shard: shard.ask(sql))

    def each(self, work: Callable[[Shard], Found]) -> list[Found]:
        """Return what `work` gives for each shard, done at the same time."""
        if len(self.shards) == 1:
            return [work(self.shards[0])]
        with ThreadPoolExecutor(len(self.shards)) as pool:
            return list(pool.map(work, self.shards))

    def servers(self) -> Iterator[tuple[Shard, Server]]:
        """Give every server with its shard."""
        for shard in self.shards:
            for server in shard.servers:
                yield shard, server


def find(url: LedgerUrl, client: httpx.Client) -> Cluster:
    """Ask the servers of a URL which shard each is. Raises LedgerUnavailable, naming who or what is missing."""
    listed = [Server(client, name) for name in url.servers]
    if url.cluster is None:
        return Cluster(shards=(Shard(number=1, servers=tuple(listed)),))
    members, unknown = _members(listed, url.cluster)
    if len(listed) == 1:
        port = url.servers[0].rpartition(":")[2]
        others = {host for _, host, is_local in members if not is_local}
        listed += [Server(client, f"{host}:{port}") for host in sorted(others)]
    numbers = sorted({number for number, _, _ in members})
    servers: dict[int, list[Server]] = {number: [] for number in numbers}
    for server in listed:
        try:
            own = [int(str(n)) for (n,) in server.ask(_IS_LOCAL.format(cluster=quoted(url.cluster)))]
        except LedgerUnavailable as error:
            unknown = unknown or error
            continue
        for number in own:
            servers[number].append(server)
    for number in numbers:
        if not servers[number]:
            raise unknown or LedgerUnavailable(
                f"shard {number} of the cluster {url.cluster} is none of the servers that ledger_url lists"
            )
        for server in servers[number]:
            server.called = f"shard {number} of the cluster {url.cluster} ({server.name})"
    return Cluster(
        shards=tuple(
            Shard(
                number=number,
                servers=tuple(servers[number]),
                replicas=sum(member == number for member, _, _ in members),
            )
            for number in numbers
        )
    )


_IS_LOCAL = "SELECT shard_num FROM system.clusters WHERE cluster = {cluster} AND is_local"
_MEMBERS = "SELECT shard_num, host_name, is_local FROM system.clusters WHERE cluster = {cluster}"


def _members(listed: Sequence[Server], cluster: str) -> tuple[list[tuple[int, str, bool]], LedgerUnavailable | None]:
    """Return shard, host and whether it is the one asked, of each member; and who had not answered before."""
    unknown = None
    for server in listed:
        try:
            rows = server.ask(_MEMBERS.format(cluster=quoted(cluster)))
        except LedgerUnavailable as error:
            unknown = unknown or error
            continue
        if not rows:
            raise LedgerUnavailable(f"{server.called} knows no cluster {cluster}: see its remote_servers")
        return [(int(str(number)), str(host), bool(is_local)) for number, host, is_local in rows], unknown
    assert unknown is not None
    raise unknown
