"""Tokens: made, listed, taken back."""

from fastapi import APIRouter

from balancer.api.platform import On
from balancer.domain.token import TokenName
from balancer.wire.tokens import AddedToken, NewToken, TokenBody

router = APIRouter()


@router.get("/tokens")
async def tokens(on: On) -> list[TokenBody]:
    """List the tokens, without their texts."""
    return [TokenBody.of(token) for token in await on.tokens.every()]


@router.post("/tokens", status_code=201)
async def add_token(on: On, new: NewToken) -> AddedToken:
    """Make a token; its text is shown here, and never again."""
    token, text = await on.tokens.add(TokenName(new.name), new.role)
    return AddedToken(name=token.name, role=token.role, created_at=token.created_at, token=text)


@router.delete("/tokens/{name}", status_code=204)
async def remove_token(on: On, name: str) -> None:
    """Let a token do nothing any more, and end its sessions; what it has begun goes on."""
    await on.tokens.remove(TokenName(name))
