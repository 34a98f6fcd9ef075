"""The forms of notices: what is sent can be checked, and breaks out of nothing."""

import base64
import hashlib
import hmac
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.app import AppName
from balancer.domain.notice import KeptNotice, Notice, NoticeKind
from balancer.domain.notice_form import mail, secret_of, slack, webhook
from values import START

SECRET = secret_of(bytes(range(32)))
NOW = START + timedelta(minutes=5)


def kept(text: str, **facts: object) -> KeptNotice:
    notice = Notice(kind=NoticeKind.DEPLOY_LIVE, app=AppName("shop"), text=text, facts=facts)
    return KeptNotice(id="msg_1", at=START, notice=notice)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """Made here by hand: HMAC-SHA256 with the decoded secret over `id.timestamp.body`."""
    headers, body = webhook(kept("live", release=7), SECRET, NOW)
    signed = f"msg_1.{int(NOW.timestamp())}.{body.decode()}".encode()
    right = base64.b64encode(hmac.digest(bytes(range(32)), signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{right}"
    assert json.loads(body) == {
        "type": "deploy.live",
        "timestamp": "2026-03-01T12:00:00Z",
        "data": {"app": "shop", "text": "live", "release": 7},
    }


def checker(name: str) -> dict[str, Any]:
    """Return what the example of the guide defines."""
    guide = (Path(__file__).parents[2] / "docs" / "how-to" / "be-told.md").read_text()
    (source,) = (code for code in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if name in code)
    defined: dict[str, Any] = {}
    exec(source, defined)
    return defined


def test_the_guide_checks_what_is_sent_and_refuses_what_was_changed_or_is_old() -> None:
    check = checker("def is_ours")["is_ours"]
    headers, body = webhook(kept("live"), SECRET, NOW)
    now = NOW.timestamp()
    assert check(headers, body, SECRET, now)
    assert not check(headers, body + b" ", SECRET, now)
    assert not check(headers, body, secret_of(b"y" * 32), now)
    assert not check({**headers, "webhook-id": "msg_2"}, body, SECRET, now)
    assert not check({**headers, "webhook-timestamp": str(int(now) + 1)}, body, SECRET, now)
    assert not check(headers, body, SECRET, now + 301)
    assert not check({}, body, SECRET, now)


@given(st.text())
def test_no_text_breaks_out_of_a_message(text: str) -> None:
    lines = mail(kept(text, reason=text), sender="b@h.example", to="o@e.example").as_bytes().decode()
    head = lines.partition("\n\n")[0]
    assert len(re.findall(r"^(From|To|Subject|Bcc|Cc):", head, re.MULTILINE)) == 3


@pytest.mark.parametrize("text", ["<!channel> & all", "<https://evil.example|click>"])
def test_no_text_mentions_anybody_in_slack(text: str) -> None:
    said = json.loads(slack(kept(text)))["text"]
    assert not {"<", ">"} & set(said)
