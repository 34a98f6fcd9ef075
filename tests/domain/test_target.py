"""Targets: addresses, and when a failure is tried again."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.app import AppName
from balancer.domain.notice import Notice, NoticeKind
from balancer.domain.target import Address, Target, TargetKind, is_due, next_attempt, wants
from balancer.errors import InvalidInput, InvalidName
from values import BLOG, SHOP, START


@pytest.mark.parametrize(
    ("text", "kind", "shown"),
    [
        ("https://ops.example/hook?key=1", TargetKind.WEBHOOK, "https://ops.example/…"),
        ("https://ada:pw@ops.example:8443/hook", TargetKind.WEBHOOK, "https://ops.example:8443/…"),
        ("http://10.0.0.7:9000", TargetKind.WEBHOOK, "http://10.0.0.7:9000"),
        ("https://hooks.slack.com/services/T0/B0/key", TargetKind.SLACK, "https://hooks.slack.com/…"),
        ("ops@example.com", TargetKind.EMAIL, "ops@example.com"),
        ("mailto:ops+shop@example.com", TargetKind.EMAIL, "ops+shop@example.com"),
    ],
)
def test_an_address_says_how_it_is_told_and_shows_no_secret(text: str, kind: TargetKind, shown: str) -> None:
    assert (Address(text).kind, Address(text).shown) == (kind, shown)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ops",
        "ftp://ops.example/",
        "https://",
        "https:///hook",
        "https://ops.example/#there",
        "https://ops.example/a b",
        "https://ops.example/\r\nX: y",
        "https://ops.example:99999/",
        "https://öps.example/",
        "ops@example.com\nBcc: all@example.com",
        "a@b@c",
        "ops@example.com, all@example.com",
        f"https://ops.example/{'x' * 2000}",
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidName) as refused:
        Address(text)
    assert len(text) < 10 or text not in str(refused.value)


@given(st.text())
def test_an_address_is_one_word_or_none(text: str) -> None:
    try:
        address = Address(text)
    except InvalidName:
        return
    assert address.isprintable()
    assert " " not in address


def test_a_mailbox_is_told_by_e_mail_and_by_nothing_else() -> None:
    for kind, address in ((TargetKind.WEBHOOK, "ops@example.com"), (TargetKind.EMAIL, "https://ops.example/")):
        with pytest.raises(InvalidInput):
            Target(
                id=1, kind=kind, address=Address(address), secret=None, kinds=frozenset(), app=None, created_at=START
            )


def test_a_target_does_not_show_its_secrets() -> None:
    target = Target(
        id=1,
        kind=TargetKind.WEBHOOK,
        address=Address("https://ops.example/s3cret"),
        secret="s3cret",
        kinds=frozenset(),
        app=None,
        created_at=START,
    )
    assert "s3cret" not in repr(target)


def test_who_is_told_of_what() -> None:
    live = Notice(kind=NoticeKind.DEPLOY_LIVE, app=SHOP, text="live")
    low = Notice(kind=NoticeKind.DISK_LOW, app=None, text="low")
    everyone: tuple[AppName | None, ...] = (None, SHOP, BLOG)
    assert [wants((), app, live) for app in everyone] == [True, True, False]
    assert [wants((), app, low) for app in everyone] == [True, False, False]
    assert [wants([NoticeKind.DISK_LOW], None, each) for each in (live, low)] == [False, True]


def test_pauses_double_up_to_an_hour_for_a_day() -> None:
    pauses = [next_attempt(attempts, START, START) for attempts in (1, 2, 3, 10, 11, 1000)]
    assert [(pause - START).total_seconds() for pause in pauses if pause] == [5, 10, 20, 2560, 3600, 3600]
    day = START + timedelta(days=1)
    assert next_attempt(3, START, day - timedelta(seconds=1)) is not None
    assert next_attempt(3, START, day) is None


def test_what_waited_behind_others_for_a_day_is_tried_more_than_once() -> None:
    assert next_attempt(2, START, START + timedelta(days=3)) is not None


def test_what_was_put_off_while_the_clock_was_wrong_is_due() -> None:
    assert is_due(START, START)
    assert not is_due(START + timedelta(minutes=59), START)
    assert is_due(START + timedelta(days=30), START)
