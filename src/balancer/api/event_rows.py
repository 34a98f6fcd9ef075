"""The rows of the ledger: watched, brought out, brought in, and a visitor's taken out."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Annotated

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from balancer.api import access
from balancer.api.platform import On
from balancer.api.stats import Since, Until
from balancer.api.streams import NDJSON
from balancer.domain.app import AppName
from balancer.domain.event import VisitorId
from balancer.domain.event_row import Form, Tail
from balancer.errors import BodyTooLarge
from balancer.services.event_rows import ImportedRows
from balancer.wire.event_rows import ErasedBody

router = APIRouter()
# 16 MiB: 10,000 rows of 1,600 bytes.
_IMPORT_LIMIT_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 20
_TYPES = {Form.PARQUET: "application/vnd.apache.parquet", Form.CSV: "text/csv; charset=utf-8", Form.NDJSON: NDJSON}


@router.get("/apps/{app}/events")
async def tail(
    on: On,
    app: str,
    event: str | None = None,
    lines: Annotated[int, Query(ge=0, le=1000)] = 10,
    follow: bool = False,
) -> StreamingResponse:
    """Give the newest events and exposures of an app, oldest first, a JSON object a line; with `follow` without end."""
    name = AppName(app)
    newest = await on.event_rows.newest(name, event, lines)

    async def rows() -> AsyncIterator[bytes]:
        yield _lines(newest)
        if follow:
            async for more in on.event_rows.follow(name, event, newest):
                yield _lines(more)

    return StreamingResponse(rows(), media_type=NDJSON)


@router.get("/apps/{app}/events/export")
async def export(
    on: On, app: str, form: Annotated[Form, Query(alias="format")], since: Since = None, until: Until = None
) -> StreamingResponse:
    """Give every row of an app as a file; its length and `Balancer-Rows` come before it."""
    path, exported = await on.event_rows.export(AppName(app), form, since, until)
    file, size = _taken(path)
    headers = {"Content-Length": str(size), "Balancer-Rows": str(exported.rows)}
    return StreamingResponse(_chunks(file), media_type=_TYPES[form], headers=headers)


@router.post("/apps/{app}/events/import")
async def import_(
    on: On,
    app: str,
    request: Request,
    name: Annotated[str, Query(alias="import", description="The same for the same file: it counts once.")],
    first: Annotated[int, Query(description="Number of the first row in the file.")] = 0,
) -> ImportedRows:
    """Take in up to 10,000 rows, a JSON object a line, as an export has them; old ones too."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _IMPORT_LIMIT_BYTES:
            raise BodyTooLarge(f"more than {_IMPORT_LIMIT_BYTES >> 20} MiB at once; send the rows in several parts")
    return await on.event_rows.bring_in(AppName(app), bytes(body), name=name, first=first)


@router.delete("/apps/{app}/visitors/{visitor}")
async def erase(on: On, app: str, visitor: str, request: Request) -> ErasedBody:
    """Take every event and exposure of a visitor of an app out of the ledger, for good."""
    by = (await access.check(request, on.registry)).name
    return ErasedBody.of(await on.event_rows.erase(AppName(app), VisitorId(visitor), by=by))


@router.delete("/visitors/{visitor}")
async def erase_from_all(on: On, visitor: str, request: Request) -> ErasedBody:
    """Take every event and exposure of a visitor out of the ledger, of all apps."""
    by = (await access.check(request, on.registry)).name
    return ErasedBody.of(await on.event_rows.erase(None, VisitorId(visitor), by=by))


def _lines(tail: Tail) -> bytes:
    lines = [msgspec.json.encode(row) for row in tail.rows]
    if tail.skipped:
        lines.insert(0, msgspec.json.encode({"skipped": tail.skipped}))
    return b"".join(line + b"\n" for line in lines)


def _taken(path: Path) -> tuple[IO[bytes], int]:
    """Return a file and its size; its name is gone at once, so that nothing is left whoever stops reading."""
    file = path.open("rb")
    path.unlink()
    return file, os.fstat(file.fileno()).st_size


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := await run_in_threadpool(file.read, _CHUNK_BYTES):
            yield chunk
