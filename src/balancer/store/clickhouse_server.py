"""One ClickHouse server, over its HTTP interface.

Invariants:
    * Every wait has a deadline.
    * An answer is whole or an error: the server keeps it until it has all of it.
    * Nothing is sent again by itself but questions, which change nothing.

Used by `clickhouse_cluster`. Safe in any thread.
"""

from collections.abc import Mapping, Sequence
from typing import BinaryIO

import httpx
import msgspec

from balancer.errors import LedgerUnavailable

Row = Sequence[object]

# 5 s to be let in: a machine that is down does not answer at all.
_CONNECT_SECONDS = 5.0
# 60 s, as long as a question to the ledger may take; the server gives up a little before (`max_execution_time`).
_ANSWER_SECONDS = 60.0
_SERVER_GIVES_UP_SECONDS = 55
# 1 s: servers close connections that are idle for 3 s by default, some sooner; one that is about to be closed must not
# be taken for the next batch.
_KEEP_SECONDS = 1.0
# What is said to every server that knows the setting: 2018's does not know the later ones, and refuses what it does
# not know. Today's would otherwise collect inserts and answer before they are in a part.
_WANTED = {
    "async_insert": "0",
    "input_format_parallel_parsing": "0",
    "insert_deduplicate": "0",
    "mutations_sync": "0",
    "output_format_json_quote_64bit_integers": "0",
    "output_format_json_quote_denormals": "0",
    "join_use_nulls": "0",
    "wait_end_of_query": "1",
    "max_execution_time": str(_SERVER_GIVES_UP_SECONDS),
    "max_insert_block_size": "1048576",
    "max_query_size": str(8 << 20),  # the keys of a batch: 16,000 of 20 digits
}
_ERROR_LIMIT = 300


class _Answer(msgspec.Struct):
    data: list[list[object]]


_ANSWER = msgspec.json.Decoder(_Answer)


class Server:
    """One server, and how it is spoken to."""

    def __init__(self, client: httpx.Client, name: str) -> None:
        """Speak to the server `name` (`host:port`) by `client`, which carries the user and the scheme."""
        self.name = name
        self.called = f"the ClickHouse server {name}"
        """What errors call it; whoever knows more may say so."""
        self._client = client
        self._url = f"{client.base_url.scheme}://{name}/"
        self._settings: Mapping[str, str] | None = None

    def ask(self, sql: str) -> list[list[object]]:
        """Return the rows that a SELECT finds. Raises LedgerUnavailable."""
        statement = f"{sql}\nFORMAT JSONCompact"
        try:
            answer = self._post(statement.encode(), {})
        except LedgerUnavailable as error:
            if not isinstance(error.__cause__, httpx.RemoteProtocolError | httpx.ReadError):
                raise
            answer = self._post(statement.encode(), {})  # it has closed a connection that was kept
        try:
            return _ANSWER.decode(answer).data
        except msgspec.DecodeError as error:
            raise LedgerUnavailable(f"{self.called} answered what is no table: {answer[:80]!r}") from error

    def do(self, sql: str) -> None:
        """Execute a statement that may be executed again. Raises LedgerUnavailable."""
        self._post(sql.encode(), {})

    def insert(self, sql: str, rows: bytes, query_id: str) -> None:
        """Insert rows in the format that `sql` names; what fails may have happened. Raises LedgerUnavailable."""
        self._post(rows, {"query": sql, "query_id": query_id})

    def fetch(self, sql: str, file: BinaryIO) -> None:
        """Write what a SELECT in a format of its own finds to the end of a file, however long that takes.

        Where it fails on the way, what is written is torn, or ends with what the server says of it.
        Raises LedgerUnavailable, OSError.
        """
        as_it_comes = {**self._known(), "wait_end_of_query": "0", "max_execution_time": "0"}
        try:
            with self._client.stream("POST", self._url, params=as_it_comes, content=sql) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise self._refusal(answer.status_code, answer.read().decode(errors="replace"))
                file.writelines(answer.iter_bytes())
        except httpx.HTTPError as error:
            raise self._silence(error) from error

    def running(self, prefix: str) -> list[str]:
        """Return the ids of queries that the server works on and that begin with `prefix`. Raises LedgerUnavailable."""
        ids = (str(query_id) for (query_id,) in self.ask("SELECT query_id FROM system.processes"))
        return [query_id for query_id in ids if query_id.startswith(prefix)]

    def _post(self, body: bytes, parameters: Mapping[str, str]) -> bytes:
        return self._send(body, {**self._known(), **parameters})

    def _known(self) -> Mapping[str, str]:
        """Return the settings that are said to this server."""
        if self._settings is None:
            names = ", ".join(f"'{name}'" for name in _WANTED)
            known = self._send(f"SELECT name FROM system.settings WHERE name IN ({names})".encode(), {})  # noqa: S608
            self._settings = {name: _WANTED[name] for name in known.decode().split()} | {"wait_end_of_query": "1"}
        return self._settings

    def _send(self, body: bytes, parameters: Mapping[str, str]) -> bytes:
        try:
            answer = self._client.post(self._url, params=parameters, content=body)
        except httpx.HTTPError as error:
            raise self._silence(error) from error
        if answer.status_code != httpx.codes.OK:
            raise self._refusal(answer.status_code, answer.text)
        return answer.content

    def _silence(self, error: httpx.HTTPError) -> LedgerUnavailable:
        return LedgerUnavailable(f"{self.called} does not answer: {str(error) or type(error).__name__}")

    def _refusal(self, status: int, text: str) -> LedgerUnavailable:
        return LedgerUnavailable(f"{self.called} refuses: {text.strip()[:_ERROR_LIMIT] or f'status {status}'}")


def client(user: str, password: str, *, encrypted: bool) -> httpx.Client:
    """Return what speaks to servers as `user`; proxies that the environment names are not for them."""
    return httpx.Client(
        base_url="https://unnamed" if encrypted else "http://unnamed",
        auth=(user, password),
        timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
        limits=httpx.Limits(keepalive_expiry=_KEEP_SECONDS),
        trust_env=False,
    )
