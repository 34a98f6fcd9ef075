"""Tokens: made, listed, taken back."""

from pathlib import Path

import pytest

from balancer.domain.role import Role
from balancer.domain.token import OPERATORS_OWN, TokenName, digest
from balancer.errors import Conflict
from balancer.services.tokens import Tokens, new_token
from registries import open_world

pytestmark = pytest.mark.anyio


def test_tokens_are_long_different_and_fit_a_url() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) >= 32 and token.replace("-", "").replace("_", "").isalnum() for token in tokens)


async def test_the_text_of_a_token_is_good_and_not_kept(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        token, text = await Tokens(world.registry).add(TokenName("ada"), Role.READER)
        assert await world.registry.token(digest(text)) == token
    held = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert text.encode() not in held
    assert digest(text).encode() in held


async def test_the_token_of_the_data_directory_stays(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.registry.put_token(OPERATORS_OWN, "d1")
        tokens = Tokens(world.registry)
        with pytest.raises(Conflict, match=r"that of the data directory.* it stays. To have another one stop the"):
            await tokens.remove(OPERATORS_OWN)
        with pytest.raises(Conflict, match="'operator' is there already"):
            await tokens.add(OPERATORS_OWN, Role.READER)
        assert [each.name for each in await tokens.every()] == ["operator"]
        assert await world.registry.token("d1") is not None
