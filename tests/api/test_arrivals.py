"""Archives sent to the API, on a platform whose proxy and clock are fake."""

import asyncio
import contextlib
import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from balancer.api import arrivals
from balancer.wire.releases import Progress
from platforms import app_files, probe_quickly
from served import Served, served
from values import SHOP
from waiting import eventually

pytestmark = pytest.mark.anyio
ROUTE = "/api/apps/shop/deploys/archive"


@pytest.fixture
async def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A platform with the shop."""
    probe_quickly(monkeypatch)
    async with served(tmp_path) as made:
        await made.create("shop")
        yield made


def archive(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


async def sent(on: Served, body: bytes, **query: str) -> tuple[httpx.Response, Progress | None]:
    async with on.client() as client:
        answer = await client.post(ROUTE, content=body, params=query)
    lines = answer.text.splitlines()
    return answer, Progress.model_validate_json(lines[-1]) if answer.status_code == 200 else None


def spooled(on: Served) -> list[Path]:
    return list((on.platform.directory / "spool").iterdir())


async def test_an_archive_is_deployed_like_a_push(on: Served) -> None:
    _, end = await sent(on, archive(app_files("one")), message="By hand", author="ada", branch="test")
    assert end is not None
    assert end.release is not None
    assert (end.release.branch, end.release.subject, end.release.author) == ("test", "By hand", "ada")
    assert await on.platform.repositories.refs(SHOP) == {"test": end.release.commit}
    await eventually(lambda: spooled(on) == [], 30)


async def test_what_is_too_long_is_refused_in_words(on: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "TREE_LIMIT_BYTES", 1024**2)
    answer, _ = await sent(on, b"x" * 1024**2 * 3)
    assert answer.status_code == 422
    assert answer.json()["message"] == "the archive has more than 1 MiB; leave out what is no source"
    await eventually(lambda: spooled(on) == [], 30)


async def test_what_is_no_archive_is_refused_and_nothing_is_left(on: Served) -> None:
    _, end = await sent(on, b"no tar file")
    assert end is not None
    assert end.error is not None
    assert end.error.error == "invalid-input"
    await eventually(lambda: spooled(on) == [], 30)
    assert await on.platform.states() == {}


async def test_a_sender_who_goes_away_leaves_nothing(on: Served) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield archive(app_files("one"))[:100]
        await eventually(lambda: spooled(on), 30)
        raise OSError("gone")

    async with on.client() as client:
        with contextlib.suppress(OSError, httpx.HTTPError):
            await client.post(ROUTE, content=half())
    await eventually(lambda: not spooled(on), 30)
    assert await on.platform.states() == {}


async def test_when_the_sender_goes_away_during_the_build_the_deploy_is_broken_off(on: Served) -> None:
    async def send() -> None:
        async with on.client() as client:
            await client.post(ROUTE, content=archive({"Procfile": "release: sleep 100\nweb: x\n"}))

    async def state(wanted: str) -> bool:
        return (await on.platform.states()).get(1) == wanted

    sending = asyncio.ensure_future(send())
    await eventually(lambda: state("building"), 30)
    sending.cancel()
    await eventually(lambda: state("failed"), 30)
    await eventually(lambda: spooled(on) == [], 30)
    assert await on.platform.repositories.refs(SHOP) == {}
