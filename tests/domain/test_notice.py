"""Notices are plain, and their text is one line."""

import json

from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.notice import (
    Notice,
    NoticeKind,
    crash_loops,
    did_not_go_live,
    disk_is_low,
    split_began,
    split_ended,
    trial,
    was_refused,
    was_rolled_back,
    went_live,
)
from values import release, split


@given(st.text())
def test_whatever_is_said_is_one_printable_line(text: str) -> None:
    said = Notice(kind=NoticeKind.TEST, app=None, text=text).text
    assert said.isprintable()
    assert len(said) <= 300


def test_a_long_reason_is_a_line_in_the_text_and_longer_in_the_facts() -> None:
    notice = did_not_go_live(release(7), "it did not answer\nTraceback\n" + "x" * 5000)
    assert notice.text == "shop master: release 7 did not go live: it did not answer"
    reason = notice.facts["reason"]
    assert isinstance(reason, str)
    assert reason.startswith("it did not answer\nTraceback\nxxx")
    assert len(reason) == 4000


def test_what_can_be_told_is_json_and_reads_well() -> None:
    one, two = release(1), release(2)
    parts = split({"master": 9000, "test": 1000})
    told = [
        went_live(one),
        did_not_go_live(two, "why"),
        was_rolled_back(two, one, "why"),
        split_began(parts),
        split_ended(parts),
        crash_loops(two, "r2-i3", 5, "by signal 9"),
        disk_is_low("/data", 200 << 20),
        trial(),
        was_refused(one.app, one.branch, one.commit, "there is a freeze until Monday"),
    ]
    for notice in told:
        assert json.loads(json.dumps(dict(notice.facts))) == notice.facts
    assert [notice.text for notice in told][2:7] == [
        "shop master: release 2 was rolled back to release 1: why",
        "shop: the split s1 began: master 90 %, test 10 %",
        "shop: the split s1 is over: it was cancelled, and everyone sees the default branch",
        "shop master: the instance r2-i3 of release 2 has ended 5 times in a row, the last time by signal 9",
        "the disk of the data directory has 200 MB left",
    ]
    assert told[-1].text == (
        f"shop master: {one.commit.short} was refused, and comes by `balancer source pull shop` alone: there is a "
        "freeze until Monday"
    )
