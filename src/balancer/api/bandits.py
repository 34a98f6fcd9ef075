"""Bandits: begun, steered, shown, promoted."""

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from balancer.api.platform import On
from balancer.api.streams import progress_of
from balancer.domain.app import AppName, BranchName
from balancer.services.bandit_decisions import BanditDecision
from balancer.services.interfaces import Tell
from balancer.wire.bandits import BanditBody, BanditStandingBody, NewBandit, Promotion
from balancer.wire.releases import Progress

router = APIRouter()


@router.get("/apps/{app}/bandit")
async def bandit(on: On, app: str) -> BanditStandingBody:
    """Tell how the bandit stands that goes on, else the one that ended last."""
    return BanditStandingBody.of(await on.bandits.standing(AppName(app)))


@router.get("/apps/{app}/bandit/decisions")
async def bandit_decisions(on: On, app: str) -> list[BanditDecision]:
    """List what was decided of that bandit, the oldest first, with the figures that made it."""
    return list(await on.bandits.decisions(AppName(app)))


@router.post("/apps/{app}/bandit", status_code=201)
async def start_bandit(on: On, app: str, new: NewBandit) -> BanditBody:
    """Begin to share visitors among branches by what they earn."""
    branches, plan = new.parsed()
    return BanditBody.of(await on.bandits.start(AppName(app), branches, plan))


@router.post("/apps/{app}/bandit/pause")
async def pause_bandit(on: On, app: str) -> BanditBody:
    """Leave the weights as they are; guardrails stay armed."""
    return BanditBody.of(await on.bandits.pause(AppName(app)))


@router.post("/apps/{app}/bandit/resume")
async def resume_bandit(on: On, app: str) -> BanditBody:
    """Go on, with the weights that it has set itself last."""
    return BanditBody.of(await on.bandits.resume(AppName(app)))


@router.post("/apps/{app}/bandit/promote")
async def promote_bandit(on: On, app: str, promotion: Promotion) -> StreamingResponse:
    """Give a branch to everybody, and make it the default branch's release; a stream of Progress."""
    name, winner = AppName(app), BranchName(promotion.winner)

    async def work(tell: Tell) -> Progress:
        return Progress(bandit=BanditBody.of(await on.bandits.promote(name, winner, tell)))

    return progress_of(work)


@router.delete("/apps/{app}/bandit")
async def abort_bandit(on: On, app: str) -> BanditBody:
    """End it, and its split: everyone sees the control again."""
    return BanditBody.of(await on.bandits.abort(AppName(app)))
