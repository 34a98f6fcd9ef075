"""Asking the ledger when it does not answer as it should; tests/test_ledgerd.py asks one that does."""

import asyncio
import socket
from pathlib import Path

import pytest

from balancer.errors import AppNotFound, LedgerUnavailable
from balancer.store.ledger_client import LedgerClient


def test_nobody_listening_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable):
        asyncio.run(LedgerClient(tmp_path / "run" / "ledger.sock").ping())


def test_one_that_listens_and_does_not_answer_is_given_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("balancer.store.ledger_client._QUICK_SECONDS", 0.1)
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(LedgerUnavailable, match="no answer within"):
            asyncio.run(LedgerClient(path).ping())


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", LedgerUnavailable),
        (b'{"accepted":1', LedgerUnavailable),
        (b"nonsense\n", LedgerUnavailable),
        (b'{"accepted":"one"}\n', LedgerUnavailable),
        (b'{"error":"ledger-unavailable","message":"it is ending"}\n', LedgerUnavailable),
        (b'{"error":"app-not-found","message":"no app"}\n', AppNotFound),
    ],
)
async def test_what_is_no_answer_is_an_error(tmp_path: Path, answer: bytes, error: type[Exception]) -> None:
    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    path = tmp_path / "a.sock"
    async with await asyncio.start_unix_server(attend, path):
        with pytest.raises(error):
            await LedgerClient(path).intake("shop")
