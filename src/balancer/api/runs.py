"""Runs: a command run once in the environment of what is live."""

import base64
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from balancer.api.platform import On, Platform
from balancer.api.streams import NDJSON
from balancer.domain.app import AppName, BranchName
from balancer.domain.release import Release
from balancer.errors import BalancerError, BranchNotFound
from balancer.wire.body import ErrorBody
from balancer.wire.instances import NewRun, RunStep

router = APIRouter()


@router.post("/apps/{app}/runs")
async def run(on: On, app: str, new: NewRun) -> StreamingResponse:
    """Run a command while the answer is read; a stream of RunStep, a JSON object a line."""
    release = await _live(on, AppName(app), None if new.branch is None else BranchName(new.branch))

    async def steps() -> AsyncIterator[str]:
        try:
            async with on.one_offs.run(
                release, new.command, with_input=new.input, timeout_seconds=new.timeout_seconds
            ) as one_off:
                yield _line(RunStep(id=one_off.id))
                async for name, chunk in one_off.output():
                    text = base64.b64encode(chunk).decode()
                    yield _line(RunStep(stdout=text) if name == "stdout" else RunStep(stderr=text))
                yield _line(RunStep(status=one_off.status))
        except BalancerError as error:
            yield _line(RunStep(error=ErrorBody.of(error)))

    return StreamingResponse(steps(), media_type=NDJSON)


@router.put("/apps/{app}/runs/{run}/input", status_code=204)
async def feed(on: On, app: str, run: str, request: Request) -> Response:
    """Pass the body of the request on to the standard input of a command that runs, while it comes."""
    await on.registry.app(AppName(app))
    await on.one_offs.find(run).feed(request.stream())
    return Response(status_code=204)


async def _live(on: Platform, app: AppName, branch: BranchName | None) -> Release:
    chosen = branch or (await on.registry.app(app)).default_branch
    live = (await on.registry.snapshot()).live(app)
    if chosen is None or chosen not in live:
        raise BranchNotFound(f"nothing of {chosen or app} is live to run a command in; push it first")
    return live[chosen]


def _line(step: RunStep) -> str:
    return step.model_dump_json(exclude_none=True) + "\n"
