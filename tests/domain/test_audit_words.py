"""What the audit log says in words."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from balancer.domain import bandit_audit, fetches, rollout_audit
from balancer.domain.app import AppName
from balancer.domain.audit import AuditEntry, summary
from balancer.domain.audit_words import ACTS, Told


def told(what: str, said: str = "", outcome: str = "done", app: str | None = "shop") -> tuple[str, str]:
    """Return the words of an entry, and what they leave."""
    at = datetime(2026, 11, 26, tzinfo=UTC)
    name = AppName(app) if app else None
    found = Told.of(AuditEntry(at=at, who="token ada", what=what, app=name, summary=said, outcome=outcome))
    return found.words, found.rest


@pytest.mark.parametrize(
    ("what", "said", "words", "rest"),
    [
        (
            "PATCH /api/apps/{app}/split",
            "weights master=90 test=10",
            "Set the weights of shop to master=90 test=10",
            "",
        ),
        ("POST /api/apps/{app}/rollback", "branch master, release 7", "Rolled back shop master to release 7", ""),
        ("POST /api/apps/{app}/rollback", "", "Rolled back shop", ""),
        (
            "POST /api/apps/{app}/split",
            summary({"weights": {"master": 50, "test": 50}, "brief": {"metric": "bought", "held_out": "0"}}),
            "Started a split of shop, master=50 test=50, decided by bought",
            "",
        ),
        ("git push", "ref test, commit 9278c22f1a", "Pushed shop test at 9278c22f1a", ""),
        ("git push", "ref test, delete", "Deleted shop test by a push", "delete"),
        ("PATCH /api/apps/{app}/config", "set KEY, unset OLD", "Changed config vars of shop", "set KEY, unset OLD"),
        (
            "rollout step",
            "branch test, to 5 %, step passed: 1,200 visitors, none with errors",
            "Took a step of the rollout of shop test, to 5 %",
            "step passed: 1,200 visitors, none with errors",
        ),
    ],
)
def test_an_entry_is_told_in_words_with_what_they_leave_beside_it(what: str, said: str, words: str, rest: str) -> None:
    assert told(what, said) == (words, rest)


def test_what_was_not_done_is_not_said_to_be() -> None:
    assert told("POST /api/apps/{app}/stop", outcome="conflict")[0] == "Tried to stop shop"
    assert told("POST /api/apps/{app}/stop", outcome="begun")[0] == "Began to stop shop"


def test_what_concerns_no_app_is_told_without_one() -> None:
    assert told("POST /api/tokens", "name ada, role reader", app=None)[0] == "Made the token ada with the role reader"
    assert told("POST /api/freezes", "why the sale", app=None) == ("Froze every app", "why the sale")
    assert told("POST /api/apps", outcome="invalid-name", app=None)[0] == "Tried to create an app"


def test_an_act_of_which_nobody_knows_the_words_any_more_is_told_as_the_log_has_it() -> None:
    assert told("POST /api/apps/{app}/gone", "branch x") == ("POST /api/apps/{app}/gone", "branch x")


def test_free_text_says_nothing_in_the_place_of_what_was_sent() -> None:
    said = summary({"why": "a trick, release 9, branch master"})
    assert told("POST /api/apps/{app}/rollback", said) == ("Rolled back shop", "why a trick, release 9, branch master")


def test_what_was_cut_off_is_not_told_as_if_it_was_whole() -> None:
    said = summary({"weights": {f"branch-{number}": 5 for number in range(40)}})
    assert told("PATCH /api/apps/{app}/split", said) == ("Set the weights of shop", said)


@given(
    what=some.sampled_from(sorted(ACTS)), said=some.text(max_size=40), outcome=some.sampled_from(["done", "begun", "x"])
)
def test_whatever_was_sent_stands_in_the_words_or_beside_them(what: str, said: str, outcome: str) -> None:
    words, rest = told(what, f"branch b, {said}", outcome)
    assert words[0].isupper()
    assert "{" not in words.replace(said, "")
    assert all(part in f"{words} {rest}" for part in said.split(", ")[1:])


def test_every_act_of_the_platform_itself_has_its_words() -> None:
    acts = {
        *rollout_audit._WHAT.values(),
        *bandit_audit._WHAT.values(),
        *(fetches.FAILED, fetches.WORKED, "rollout start", "bandit abort", "git push"),
    }
    assert acts <= ACTS.keys()
