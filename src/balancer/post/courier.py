"""The courier: brings notices to where each kind of target is.

Invariants:
    * A redirect is not followed, and no proxy of the environment is used: a notice goes where the operator said.
    * What fails is said without the address: that may be all that proves a sender.
"""

import asyncio
import ssl
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

import httpx

from balancer import __version__
from balancer.domain.notice import KeptNotice
from balancer.domain.notice_form import mail, slack, webhook
from balancer.domain.smtp_url import SmtpUrl
from balancer.domain.target import Target, TargetKind
from balancer.errors import InvalidInput, NotDelivered, TargetGone
from balancer.post import smtp

_AGENT = {"User-Agent": f"balancer/{__version__}"}
# The caller's deadline is for all of it; this ends what nobody waits for any more.
_TIMEOUT_SECONDS = 10.0
_JSON = {"Content-Type": "application/json"}
_REASON_LIMIT = 200


class Courier:
    """Brings notices by HTTP and SMTP."""

    def __init__(self, server: SmtpUrl | None, sender: str, clock: Callable[[], datetime]) -> None:
        """Give e-mail to `server`, from `sender`; without a server there is none."""
        self._server = server
        self._sender = sender
        self._clock = clock
        self._tls: ssl.SSLContext | None = None

    def check(self, kind: TargetKind) -> None:
        """Raise InvalidInput where targets of this kind cannot be told."""
        if kind is TargetKind.EMAIL and self._server is None:
            raise InvalidInput("there is no mail server: set smtp_url and smtp_from, start the platform with them")

    async def deliver(self, target: Target, kept: KeptNotice) -> None:
        """Bring a notice once. Raises NotDelivered, TargetGone where no other will be taken either."""
        match target.kind:
            case TargetKind.WEBHOOK:
                assert target.secret is not None
                await self._post(target, *webhook(kept, target.secret, self._clock()))
            case TargetKind.SLACK:
                await self._post(target, _JSON, slack(kept))
            case TargetKind.EMAIL:
                if self._server is None:
                    raise NotDelivered("there is no mail server any more: set smtp_url")
                await smtp.give(self._server, mail(kept, sender=self._sender, to=target.address))

    async def _post(self, target: Target, headers: dict[str, str], body: bytes) -> None:
        tls = await self._context() if target.address.startswith("https:") else False
        try:
            async with (
                httpx.AsyncClient(verify=tls, timeout=_TIMEOUT_SECONDS, trust_env=False) as client,
                client.stream("POST", target.address, content=body, headers=_AGENT | headers) as answer,
            ):
                status = answer.status_code  # what it says beside is read by nobody
        except httpx.TimeoutException:
            raise NotDelivered(f"the target {target.id} did not answer within {_TIMEOUT_SECONDS:g} s") from None
        except (httpx.HTTPError, OSError) as reason:
            said = f"{type(reason).__name__}: {reason}"[:_REASON_LIMIT]
            raise NotDelivered(f"the target {target.id} cannot be reached ({said})") from None
        if 300 <= status < 400:
            raise NotDelivered(f"the target {target.id} answered {status}: redirects are not followed")
        if status == HTTPStatus.GONE:
            raise TargetGone(
                f"the target {target.id} answered 410, which says that it is gone for good: "
                f"`balancer notify remove {target.id}`"
            )
        if not 200 <= status < 300:
            raise NotDelivered(f"the target {target.id} answered {status}")

    async def _context(self) -> ssl.SSLContext:
        if self._tls is None:  # the authorities of the system; loading them takes 80 ms
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        return self._tls
