"""What goes on with an app, as cards."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from balancer.api.pages.doing import NEWS_LIMIT, Line, cards_of, lines_event
from balancer.domain.release import ReleaseState
from balancer.services.app_detail import AppDetail, ReleaseDetail
from balancer.services.overview import AppStanding, Health
from balancer.services.undertakings import Undertaking
from values import SHOP, app, release

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def detail(*releases: tuple[int, ReleaseState, float]) -> AppDetail:
    """Return the shop with releases of a number and a state, begun so many minutes ago, the newest first."""
    return AppDetail(
        app=app(),
        standing=AppStanding(
            name=SHOP, urls=("http://shop/",), branches=(), deploys=(), failed=(), split=None, health=Health.EMPTY
        ),
        releases=tuple(
            ReleaseDetail(
                release=replace(
                    release(number), number=number, state=state, created_at=NOW - timedelta(minutes=minutes)
                ),
                returnable=False,
            )
            for number, state, minutes in releases
        ),
        instances=(),
        formation={},
        split=None,
        rollout=None,
        bandit=None,
        audit=(),
        merge=None,
        made_at=NOW,
    )


def test_what_is_under_way_has_a_card_however_long_it_has_gone_on_and_the_newest_release_for_a_while() -> None:
    shown = cards_of(detail((4, ReleaseState.LIVE, 5), (3, ReleaseState.BUILDING, 50), (2, ReleaseState.LIVE, 6)), [])
    assert [(card.key, card.kind, card.at, card.is_over) for card in shown] == [
        ("deploy-4", "good", 3, True),
        ("deploy-3", "busy", 0, False),
    ]
    assert not cards_of(detail((4, ReleaseState.LIVE, 16)), [])


@pytest.mark.parametrize(
    ("state", "at", "kind"),
    [
        (ReleaseState.BUILDING, 0, "busy"),
        (ReleaseState.STARTING, 1, "busy"),
        (ReleaseState.LIVE, 3, "good"),
        (ReleaseState.DRAINING, 3, "off"),
        (ReleaseState.FAILED, 0, "bad"),
    ],
)
def test_a_deploy_has_reached_a_step(state: ReleaseState, at: int, kind: str) -> None:
    (card,) = cards_of(detail((1, state, 1)), [])
    assert (card.at, card.kind) == (at, kind)
    assert (card.cancels is not None) == (kind == "busy")


def test_changes_come_first_the_newest_first() -> None:
    changes = [Undertaking(number, SHOP, f"Scale web={number}", NOW) for number in (1, 2)]
    changes[0].ended_at, changes[0].failure = NOW, "not healthy"
    shown = cards_of(detail((1, ReleaseState.BUILDING, 1)), changes)
    assert [(card.key, card.word) for card in shown] == [
        ("change-2", "under way"),
        ("change-1", "failed"),
        ("deploy-1", "building"),
    ]


def test_of_more_lines_than_a_browser_should_get_the_last_are_sent_and_the_others_counted() -> None:
    name, sent = lines_event("log", [Line(str(number)) for number in range(NEWS_LIMIT + 5)])
    assert name == "lines"
    assert isinstance(sent, dict)
    assert (sent["id"], sent["skipped"], len(sent["lines"])) == ("log", 5, NEWS_LIMIT)
    assert sent["lines"][-1] == {"text": str(NEWS_LIMIT + 4)}
