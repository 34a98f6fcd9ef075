"""Targets: who is told of what has happened."""

from fastapi import APIRouter

from balancer.api.platform import On
from balancer.domain.app import AppName
from balancer.domain.target import Address
from balancer.wire.targets import AddedTarget, NewTarget, TargetBody

router = APIRouter()


@router.get("/targets")
async def targets(on: On) -> list[TargetBody]:
    """List who is told, and how it goes with them."""
    return [TargetBody.of(standing) for standing in await on.targets.standings()]


@router.post("/targets", status_code=201)
async def add_target(on: On, new: NewTarget) -> AddedTarget:
    """Tell somebody from now on; the secret is shown here, and never again."""
    app = None if new.app is None else AppName(new.app)
    return AddedTarget.of(await on.targets.add(Address(new.address), new.kind, new.parsed(), app))


@router.delete("/targets/{target}", status_code=204)
async def remove_target(on: On, target: int) -> None:
    """Tell somebody no longer."""
    await on.targets.remove(target)


@router.post("/targets/{target}/test", status_code=204)
async def test_target(on: On, target: int) -> None:
    """Send a notice that says only that it arrives; answered when it was taken."""
    await on.targets.test(target)
