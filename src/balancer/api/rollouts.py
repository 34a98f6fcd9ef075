"""Rollouts: begun, steered, shown, promoted."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from balancer.api.platform import On
from balancer.api.streams import progress_of
from balancer.domain.app import AppName, BranchName
from balancer.domain.rollout import Rollout
from balancer.services.decisions import Decision
from balancer.services.interfaces import Tell
from balancer.services.rollout_planning import RolloutForecast
from balancer.wire.releases import Progress
from balancer.wire.rollout_plans import RolloutWishBody
from balancer.wire.rollouts import NewRollout, RolloutBody, StandingBody

router = APIRouter()


@router.get("/apps/{app}/rollout")
async def rollout(on: On, app: str) -> StandingBody:
    """Tell how the rollout stands that goes on, else the one that ended last."""
    return StandingBody.of(await on.rollouts.standing(AppName(app)))


@router.get("/apps/{app}/rollout/decisions")
async def rollout_decisions(on: On, app: str) -> list[Decision]:
    """List what was decided of that rollout, the oldest first, with the figures that made it."""
    return list(await on.rollouts.decisions(AppName(app)))


@router.get("/apps/{app}/rollout/plan")
async def plan_rollout(on: On, app: str, wish: Annotated[RolloutWishBody, Query()]) -> RolloutForecast:
    """Tell how long each step of a rollout would take at the present traffic; of the one that goes on, will."""
    return await on.rollout_planning.plan(AppName(app), wish.wish())


@router.post("/apps/{app}/rollout", status_code=201)
async def start_rollout(on: On, app: str, new: NewRollout) -> RolloutBody:
    """Begin to give a branch to more and more visitors."""
    begun = await on.rollouts.start(AppName(app), BranchName(new.branch), new.parsed())
    return RolloutBody.of(begun, await on.rollouts.hold(begun), await on.rollouts.unseen_guardrails(begun))


@router.post("/apps/{app}/rollout/pause")
async def pause_rollout(on: On, app: str) -> RolloutBody:
    """Take no further step; it is watched all the same."""
    return RolloutBody.of(await on.rollouts.pause(AppName(app)))


@router.post("/apps/{app}/rollout/resume")
async def resume_rollout(on: On, app: str) -> RolloutBody:
    """Go on, with the weights of the present step."""
    return await _told(on, await on.rollouts.resume(AppName(app)))


@router.post("/apps/{app}/rollout/advance")
async def advance_rollout(on: On, app: str) -> RolloutBody:
    """Take the next step now, whatever it lacks."""
    return await _told(on, await on.rollouts.advance(AppName(app)))


@router.post("/apps/{app}/rollout/promote")
async def promote_rollout(on: On, app: str) -> StreamingResponse:
    """Give the branch to everybody, and make it the default branch's release; a stream of Progress."""
    name = AppName(app)

    async def work(tell: Tell) -> Progress:
        return Progress(rollout=RolloutBody.of(await on.rollouts.promote(name, tell)))

    return progress_of(work)


@router.delete("/apps/{app}/rollout")
async def abort_rollout(on: On, app: str) -> RolloutBody:
    """End it, and its split: everyone sees the control again."""
    return RolloutBody.of(await on.rollouts.abort(AppName(app)))


async def _told(on: On, rollout: Rollout) -> RolloutBody:
    """Return what has become of a rollout, and what forbids it to go on by itself."""
    return RolloutBody.of(rollout, await on.rollouts.hold(rollout))
