"""How deploys stand: those under way, and those that failed."""

from balancer.domain.release import ReleaseState
from balancer.services.deploy_standing import failed_deploys, last_step
from values import BLOG, SHOP, release


def test_failed_deploys_come_by_app_with_why_each_failed_in_a_line() -> None:
    failed = [
        release(7, "test", state=ReleaseState.FAILED, reason="\nno Procfile\nadd one\n"),
        release(4, app="blog", state=ReleaseState.FAILED),
        release(
            2, state=ReleaseState.FAILED, reason="it ended; the last lines of its log:\n  Traceback\n  no database\n"
        ),
    ]
    found = failed_deploys(failed)
    assert [(each.branch, each.release, each.reason) for each in found[SHOP]] == [
        ("test", 7, "no Procfile"),
        ("master", 2, "it ended; the last lines of its log: no database"),
    ]
    assert [each.reason for each in found[BLOG]] == [""]


def test_a_step_is_the_latest_line_with_an_arrow() -> None:
    assert last_step("-----> Building shop\n       a line\n-----> Starting web\n       more\n") == "Starting web"
    assert last_step("       nothing yet\n") == ""
