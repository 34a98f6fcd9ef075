"""The courier, and real receivers on the loopback."""

import asyncio
import json
import threading
from datetime import UTC, datetime
from email import message_from_string
from email.policy import default

import pytest

from balancer.domain.app import AppName
from balancer.domain.notice import KeptNotice, Notice, NoticeKind
from balancer.domain.notice_form import secret_of, webhook
from balancer.domain.smtp_url import SmtpUrl
from balancer.domain.target import Address, Target, TargetKind
from balancer.errors import InvalidInput, NotDelivered
from balancer.post.courier import Courier
from balancer.services import deliveries
from balancer.services.deliveries import carry
from receivers import Mailbox, mailbox, receiving
from values import START
from waiting import eventually

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
SECRET = secret_of(b"x" * 32)
KEPT = KeptNotice(
    id="msg_1",
    at=START,
    notice=Notice(kind=NoticeKind.DEPLOY_LIVE, app=AppName("shop"), text="shop <b> & ö is live", facts={"release": 7}),
)


def target(address: str, kind: TargetKind | None = None) -> Target:
    parsed = Address(address)
    return Target(
        id=1,
        kind=kind or parsed.kind,
        address=parsed,
        secret=SECRET,
        kinds=frozenset(),
        app=None,
        created_at=START,
    )


def courier(box: Mailbox | None = None, credentials: str = "") -> Courier:
    server = SmtpUrl.parse(f"smtp://{credentials}127.0.0.1:{box.port}") if box else None
    return Courier(server, "balancer@host.example", lambda: NOW)


async def refused(address: str, *, by: Courier | None = None, kind: TargetKind | None = None) -> str:
    """Return why a notice was not taken."""
    with pytest.raises(NotDelivered) as reason:
        await carry(by or courier(), target(address, kind), KEPT)
    return str(reason.value)


async def test_a_webhook_is_called_with_what_happened_and_its_signature() -> None:
    async with receiving() as receiver:
        await courier().deliver(target(receiver.url), KEPT)
    (call,) = receiver.calls
    headers, body = webhook(KEPT, SECRET, NOW)
    assert call.head == "POST /hook/s3cret HTTP/1.1"
    assert call.body == body
    assert {name: call.headers[name] for name in headers if name != "Content-Type"} == {
        name: value for name, value in headers.items() if name != "Content-Type"
    }
    assert call.headers["user-agent"].startswith("balancer/")


async def test_slack_is_told_the_text_without_its_markup() -> None:
    async with receiving() as receiver:
        await courier().deliver(target(receiver.url, TargetKind.SLACK), KEPT)
    assert json.loads(receiver.calls[0].body) == {"text": "shop &lt;b&gt; &amp; ö is live"}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("HTTP/1.1 500 No\r\n", "the target 1 answered 500"),
        ("HTTP/1.1 404 No\r\n", "the target 1 answered 404"),
        (
            "HTTP/1.1 410 Gone\r\n",
            "the target 1 answered 410, which says that it is gone for good: `balancer notify remove 1`",
        ),
        ("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n", "the target 1 answered 302: redirects are not followed"),
        ("what?\r\n", "the target 1 cannot be reached (RemoteProtocolError: "),
    ],
)
async def test_an_answer_that_is_no_success_is_a_failure(answer: str, why: str) -> None:
    async with receiving() as receiver:
        receiver.answers.append(answer)
        assert (await refused(receiver.url)).startswith(why)
        assert len(receiver.calls) == 1


async def test_who_is_not_there_is_a_failure_that_does_not_show_the_address() -> None:
    async with receiving() as receiver:
        pass
    why = await refused(receiver.url)
    assert why.startswith("the target 1 cannot be reached (ConnectError: ")
    assert "s3cret" not in why


async def test_who_hangs_is_left_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "_DEADLINE_SECONDS", 0.2)
    async with receiving() as receiver:
        receiver.hangs = True
        assert await refused(receiver.url) == "the target 1 did not answer within 0.2 s"


async def test_a_message_is_given_to_the_mail_server() -> None:
    async with mailbox() as box:
        await courier(box).deliver(target("mailto:ops@example.com"), KEPT)
    message = message_from_string(box.messages[0], policy=default)
    assert message["From"] == "balancer@host.example"
    assert message["To"] == "ops@example.com"
    assert message["Subject"] == "[balancer] shop <b> & ö is live"
    assert message["Message-ID"] == "<msg_1@host.example>"
    assert "release: 7" in message.get_content()
    assert not [line for line in box.said if line.startswith("AUTH")]


async def test_the_server_of_this_machine_is_told_the_password() -> None:
    async with mailbox() as box:
        await courier(box, "ada:s3cret@").deliver(target("ops@example.com"), KEPT)
    assert [line for line in box.said if line.startswith("AUTH PLAIN")]


async def test_a_password_is_not_said_to_another_machine_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SmtpUrl, "is_local", False)
    async with mailbox() as box:
        why = await refused("ops@example.com", by=courier(box, "ada:s3cret@"))
    assert why == "the mail server did not take it: it has no TLS, and the password is not said without"
    assert not [line for line in box.said if line.startswith("AUTH")]


async def test_a_recipient_that_is_refused_is_a_failure() -> None:
    async with mailbox() as box:
        box.refuses = True
        why = await refused("ops@example.com", by=courier(box))
    assert why == "the mail server did not take it: it refuses the recipient"


async def test_a_mail_server_that_hangs_is_left_at_the_deadline_with_its_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliveries, "_DEADLINE_SECONDS", 0.2)
    async with mailbox() as box:
        box.hangs = True
        assert await refused("ops@example.com", by=courier(box)) == "the target 1 did not answer within 0.2 s"
        await eventually(lambda: not [each for each in threading.enumerate() if each.name == "smtp"], 30)


async def test_without_a_mail_server_nobody_is_told_by_e_mail() -> None:
    with pytest.raises(InvalidInput, match="smtp_url"):
        courier().check(TargetKind.EMAIL)
    courier().check(TargetKind.WEBHOOK)
    assert "smtp_url" in await refused("ops@example.com")


async def test_who_waits_no_longer_ends_it() -> None:
    async with receiving() as receiver:
        receiver.hangs = True
        waiting = asyncio.ensure_future(courier().deliver(target(receiver.url), KEPT))
        await eventually(lambda: receiver.calls, 30)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
