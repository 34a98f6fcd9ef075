"""Deploys without a push: of an archive, and of another repository's ref."""

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from balancer.api.platform import On
from balancer.api.streams import progress_of
from balancer.domain.app import TREE_LIMIT_BYTES, AppName, BranchName
from balancer.domain.push_mode import Mode
from balancer.domain.remote import RemoteUrl
from balancer.errors import InvalidInput
from balancer.services.interfaces import Tell
from balancer.wire.arrivals import FetchBody
from balancer.wire.releases import Progress, ReleaseBody

router = APIRouter()


@router.post("/apps/{app}/deploys/archive")
async def deploy_archive(
    on: On,
    app: str,
    request: Request,
    branch: str | None = None,
    message: Annotated[str, Query(max_length=2000)] = "Deployed from an archive",
    author: Annotated[str, Query(max_length=100)] = "",
    during_freeze: bool = False,
    rollout: Literal["none"] | None = None,
) -> StreamingResponse:
    """Deploy a tar file, which is the body; a stream of Progress, a JSON object a line."""
    name = (await on.registry.app(AppName(app))).name
    chosen, asked = None if branch is None else BranchName(branch), None if rollout is None else Mode(rollout)
    archive = await _spooled(request, on.spool)

    async def work(tell: Tell) -> Progress:
        try:
            release = await on.arrivals.archive(
                name,
                chosen,
                archive,
                message=message,
                author=author,
                tell=tell,
                during_freeze=during_freeze,
                asked=asked,
            )
        finally:
            await asyncio.to_thread(archive.unlink, missing_ok=True)
        return Progress(release=ReleaseBody.of(release))

    return progress_of(work)


@router.post("/apps/{app}/deploys/fetch")
async def deploy_fetch(on: On, app: str, body: FetchBody) -> StreamingResponse:
    """Fetch a ref of another repository and deploy it; a stream of Progress, a JSON object a line."""
    name = (await on.registry.app(AppName(app))).name
    chosen = None if body.branch is None else BranchName(body.branch)
    remote, ref, asked = RemoteUrl(body.url), BranchName(body.ref), None if body.rollout is None else Mode(body.rollout)

    async def work(tell: Tell) -> Progress:
        return Progress(
            release=ReleaseBody.of(
                await on.arrivals.fetch(name, chosen, remote, ref, tell, during_freeze=body.during_freeze, asked=asked)
            )
        )

    return progress_of(work)


async def _spooled(request: Request, spool: Path) -> Path:
    """Write the body of a request into a file, and return its path. Raises InvalidInput where it is too long."""
    descriptor, name = tempfile.mkstemp(dir=spool, prefix="archive.")
    path, length = Path(name), 0
    try:
        with os.fdopen(descriptor, "wb") as file:
            async for chunk in request.stream():
                length += len(chunk)
                # What is too long is read to its end all the same: who still sends does not read our answer.
                if length <= TREE_LIMIT_BYTES:
                    await asyncio.to_thread(file.write, chunk)
        if length > TREE_LIMIT_BYTES:
            raise InvalidInput(
                f"the archive has more than {TREE_LIMIT_BYTES // 1024**2} MiB; leave out what is no source"
            )
    except BaseException:
        await asyncio.to_thread(path.unlink)
        raise
    return path
