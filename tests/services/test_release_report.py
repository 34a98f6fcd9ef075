"""The report by release: every visitor under one release, figures as plain as they are, and nothing compared."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import TypeAdapter

from balancer.domain.app import BranchName
from balancer.services.release_report import ReleaseReport, marks, release_report
from balancer.stats.moments import Moments
from balancer.stats.tally import Mark, ReleaseEvent, ReleaseExposed, ReleaseTally
from services.test_report import MASTER, NOON, SPLIT
from values import release

TEST = BranchName("test")
EVENLY = replace(SPLIT, phases=(replace(SPLIT.phases[0], weights={MASTER: 5000, TEST: 5000}),))
OLD = replace(release(11, "test"), activated_at=NOON)
NEW = replace(release(12, "test"), activated_at=NOON + timedelta(hours=1))
CONTROL = replace(release(10), activated_at=NOON - timedelta(days=1))
FAILED = replace(release(13, "test"), activated_at=None)
OTHER = replace(release(14, "other"), activated_at=NOON)
RELEASES = (OTHER, FAILED, NEW, OLD, CONTROL)
TALLY = ReleaseTally(
    exposed=(
        ReleaseExposed(variant="test", release=NEW.id, visitors=10),
        ReleaseExposed(variant="test", release=OLD.id, visitors=30),
        ReleaseExposed(variant="master", release=CONTROL.id, visitors=41),
        ReleaseExposed(variant="test", release=None, visitors=2),
    ),
    events=(
        ReleaseEvent(
            event="purchase", variant="test", release=NEW.id, count=5, converted=4, values=Moments.of([1.0, 3.0])
        ),
        ReleaseEvent(
            event="signup", variant="master", release=CONTROL.id, count=1, converted=1, values=Moments.empty()
        ),
    ),
)


def test_each_branch_had_its_releases_since_they_went_live() -> None:
    at = int(NOON.timestamp() * 1000)
    assert set(marks(EVENLY, RELEASES)) == {
        Mark(variant="master", release=CONTROL.id, since=at - 86_400_000),
        Mark(variant="test", release=OLD.id, since=at),
        Mark(variant="test", release=NEW.id, since=at + 3_600_000),
    }


def test_the_control_comes_first_and_of_each_branch_the_oldest() -> None:
    found = release_report(EVENLY, TALLY, RELEASES)
    assert found.exploratory
    assert [(each.branch, each.release, each.visitors) for each in found.releases] == [
        ("master", CONTROL.number, 41),
        ("test", None, 2),
        ("test", OLD.number, 30),
        ("test", NEW.number, 10),
    ]
    assert (found.releases[3].commit, found.releases[3].live_at) == (NEW.commit, "2026-03-01T13:00:00+00:00")
    assert (found.releases[1].commit, found.releases[1].live_at) == (None, None)


def test_every_release_has_every_event_and_nothing_stands_in_for_what_is_not_there() -> None:
    control, _, old, new = release_report(EVENLY, TALLY, RELEASES).releases
    assert [each.event for each in control.events] == ["purchase", "signup"]
    purchase = new.events[0]
    assert (purchase.count, purchase.mean, purchase.converted, purchase.rate) == (5, 2.0, 4, 0.4)
    assert purchase.sd == pytest.approx(2**0.5)
    assert (old.events[0].count, old.events[0].mean, old.events[0].sd, old.events[0].rate) == (0, None, None, 0.0)
    assert (control.events[1].mean, control.events[1].rate) == (None, 1 / 41)


def test_json_carries_it_there_and_back() -> None:
    found = release_report(EVENLY, TALLY, RELEASES)
    adapter = TypeAdapter(ReleaseReport)
    text = adapter.dump_json(found)
    assert adapter.validate_json(text) == found
    json.loads(text, parse_constant=pytest.fail)
