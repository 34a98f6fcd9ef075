"""The forms that notices have on their way: JSON with its signature, Slack's, an e-mail.

The webhook is that of Standard Webhooks (standardwebhooks.com): an id, the time of the attempt, and an HMAC-SHA256 over
both and the body.

Invariants:
    * What is signed is what is sent, byte for byte.
    * No text breaks out of its form: not a line of a header, not a mention in Slack.
"""

import base64
import hashlib
import hmac
import json
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from balancer.domain.notice import KeptNotice

_PREFIX = "whsec_"
SECRET_BYTES = 32


def secret_of(raw: bytes) -> str:
    """Return random bytes as the secret that receivers are given."""
    return _PREFIX + base64.b64encode(raw).decode()


def webhook(kept: KeptNotice, secret: str, now: datetime) -> tuple[dict[str, str], bytes]:
    """Return headers and body of the call of a webhook."""
    notice = kept.notice
    content = {
        "type": notice.kind.value,
        "timestamp": kept.at.isoformat().replace("+00:00", "Z"),
        "data": {"app": notice.app, "text": notice.text, **notice.facts},
    }
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
    at = str(int(now.timestamp()))
    signed = b".".join((kept.id.encode(), at.encode(), body))
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    headers = {
        "Content-Type": "application/json",
        "webhook-id": kept.id,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{signature}",
    }
    return headers, body


def slack(kept: KeptNotice) -> bytes:
    """Return the body that Slack, and what is like it, takes."""
    text = kept.notice.text
    for letter, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(letter, escaped)
    return json.dumps({"text": text}).encode()


def mail(kept: KeptNotice, *, sender: str, to: str) -> EmailMessage:
    """Return the message."""
    notice = kept.notice
    message = EmailMessage()
    message["From"], message["To"] = sender, to
    message["Subject"] = f"[balancer] {notice.text}"
    message["Date"] = format_datetime(kept.at)
    message["Message-ID"] = f"<{kept.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    lines = [notice.text, "", f"event: {notice.kind}", f"at: {kept.at.isoformat()}"]
    lines += [f"{name}: {_said(fact)}" for name, fact in notice.facts.items()]
    message.set_content("\n".join(lines) + "\n")
    return message


def _said(fact: object) -> str:
    return fact if isinstance(fact, str) else json.dumps(fact, ensure_ascii=False)
