"""Before anybody is answered, what they would wait for is done."""

import gc
from collections.abc import Iterator

import pytest
from fastapi import APIRouter, FastAPI

from balancer.api.warm import warm_up


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_is_there_is_not_searched_for_garbage_any_more() -> None:
    app = FastAPI()
    app.state.kept = kept = [[number] for number in range(1000)]
    warm_up(app)
    assert gc.get_freeze_count() > len(kept)
    assert not any(each is kept for each in gc.get_objects(generation=2))


def test_every_route_was_looked_at_before_the_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    app, router = FastAPI(), APIRouter()

    @router.get("/somewhere")
    async def somewhere() -> str:
        return "here"

    app.include_router(router)
    asked = []
    for route in app.routes:
        monkeypatch.setattr(route, "matches", lambda scope, route=route: asked.append(route))
    warm_up(app)
    assert asked == app.routes
