"""The parts of the page of an app that are kept up to date."""

from dataclasses import replace

from api.pages.test_doing import detail
from balancer.api.pages.acting import Viewer
from balancer.api.pages.rendering import fragment
from balancer.domain.app import BranchName
from balancer.services.overview import BranchStanding
from balancer.services.rates import Series
from domain.test_merge import MERGE

READER = Viewer(operator=False, csrf="")


def branches(merge: object) -> str:
    """Return the live branches of a shop with one, whose winner waits for this merge."""
    master = BranchStanding(
        branch=BranchName("master"),
        url="http://master--shop/",
        release=1,
        commit="9278c22",
        subject="Sell",
        author="Ada",
        live_since=None,
        healthy=1,
        wanted=1,
        default=True,
        ending="",
        weight=None,
        series=Series(),
    )
    found = detail()
    shown = replace(found, standing=replace(found.standing, branches=(master,)), merge=merge)  # type: ignore[arg-type]
    return fragment("app_parts.html", "branches", shown, READER)


def test_branches_say_what_to_type_where_a_winner_waits_to_be_merged() -> None:
    assert "\n".join(MERGE.commands) in branches(MERGE)
    assert "git merge" not in branches(None)
