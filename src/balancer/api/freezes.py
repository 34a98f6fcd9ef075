"""Freezes: set, shown, taken back."""

from fastapi import APIRouter

from balancer.api.platform import On
from balancer.domain.app import AppName
from balancer.domain.freeze import Freeze
from balancer.wire.freezes import FreezeBody, NewFreeze

router = APIRouter()


@router.get("/freezes")
async def freezes(on: On) -> list[FreezeBody]:
    """List the freezes there are, those that are over for less than a year included, by their beginning."""
    return [await _body(on, freeze) for freeze in await on.freezes.every()]


@router.post("/freezes", status_code=201)
async def add_freeze(on: On, new: NewFreeze) -> FreezeBody:
    """Freeze what visitors see, of one app or of all."""
    app = None if new.app is None else AppName(new.app)
    return await _body(on, await on.freezes.add(app, new.since, new.until, new.why))


@router.delete("/freezes/{freeze}", status_code=204)
async def remove_freeze(on: On, freeze: int) -> None:
    """Take a freeze back."""
    await on.freezes.remove(freeze)


async def _body(on: On, freeze: Freeze) -> FreezeBody:
    return FreezeBody.of(freeze, await on.freezes.zone(freeze.app), in_force=on.freezes.in_force(freeze))
