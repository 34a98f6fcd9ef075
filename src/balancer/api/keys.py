"""Keys: added, listed, removed."""

from fastapi import APIRouter

from balancer.api.platform import On
from balancer.domain.key import KeyName, PublicKey
from balancer.wire.arrivals import KeyBody, NewKey

router = APIRouter()


@router.get("/keys")
async def keys(on: On) -> list[KeyBody]:
    """List the keys that may push over ssh."""
    return [KeyBody.of(key) for key in await on.registry.keys()]


@router.post("/keys", status_code=201)
async def add_key(on: On, new: NewKey) -> KeyBody:
    """Let a key push over ssh."""
    return KeyBody.of(await on.keys.add(KeyName(new.name), PublicKey(new.key)))


@router.delete("/keys/{name}", status_code=204)
async def remove_key(on: On, name: str) -> None:
    """Let a key push no longer."""
    await on.keys.remove(KeyName(name))
