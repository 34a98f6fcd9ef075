"""The platform itself: how it is, who may do what and who did it, when nothing is to change, and who is told."""

import contextlib
from collections.abc import Iterator
from urllib.parse import quote

from balancer.client.paths import app_part, query_of
from balancer.connection import Connection
from balancer.domain.key import KeyName
from balancer.domain.role import Role
from balancer.domain.token import TokenName
from balancer.wire.arrivals import KeyBody, NewKey, SessionBody
from balancer.wire.audit import AuditBody
from balancer.wire.freezes import FreezeBody, NewFreeze
from balancer.wire.sign_in import SignInLinkBody
from balancer.wire.status import RenewalBody, StatusBody, UpgradeBody
from balancer.wire.targets import AddedTarget, NewTarget, TargetBody
from balancer.wire.tokens import AddedToken, NewToken, TokenBody


class PlatformCalls(Connection):
    """What can be asked of the platform."""

    def status(self) -> StatusBody:
        """Tell how the platform is."""
        return self._call(StatusBody, "GET", "/api/status")

    def upgrade(self) -> UpgradeBody:
        """Begin to replace the daemon by the code that is installed now."""
        return self._call(UpgradeBody, "POST", "/api/upgrade")

    def renew_proxy(self) -> RenewalBody:
        """Let HAProxy execute itself again, as it is installed now."""
        return self._call(RenewalBody, "POST", "/api/upgrade/proxy")

    def audit(self, app: str | None, since: str | None, limit: int) -> list[AuditBody]:
        """List who changed what, the newest first."""
        asked = {"app": app, "since": since, "limit": limit}
        return self._call(list[AuditBody], "GET", f"/api/audit{query_of(asked)}")

    def sign_in_link(self) -> str:
        """Return a URL that signs a browser in, once, within a minute."""
        return self.url + self._call(SignInLinkBody, "POST", "/api/sign-in-links").path

    def freezes(self) -> list[FreezeBody]:
        """List the freezes there are, by their beginning."""
        return self._call(list[FreezeBody], "GET", "/api/freezes")

    def add_freeze(self, new: NewFreeze) -> FreezeBody:
        """Freeze what visitors see, of one app or of all."""
        return self._call(FreezeBody, "POST", "/api/freezes", new)

    def remove_freeze(self, freeze: int) -> None:
        """Take a freeze back."""
        self._send("DELETE", f"/api/freezes/{freeze}")

    def targets(self) -> list[TargetBody]:
        """List who is told, and how it goes with them."""
        return self._call(list[TargetBody], "GET", "/api/targets")

    def add_target(self, new: NewTarget) -> AddedTarget:
        """Tell somebody from now on."""
        return self._call(AddedTarget, "POST", "/api/targets", new)

    def remove_target(self, target: int) -> None:
        """Tell somebody no longer."""
        self._send("DELETE", f"/api/targets/{target}")

    def test_target(self, target: int) -> None:
        """Send a notice that says only that it arrives. Raises NotDelivered."""
        self._send("POST", f"/api/targets/{target}/test")

    def tokens(self) -> list[TokenBody]:
        """List the tokens."""
        return self._call(list[TokenBody], "GET", "/api/tokens")

    def add_token(self, name: str, role: Role) -> AddedToken:
        """Make a token."""
        return self._call(AddedToken, "POST", "/api/tokens", NewToken(name=name, role=role))

    def remove_token(self, name: str) -> None:
        """Let a token do nothing any more."""
        self._send("DELETE", f"/api/tokens/{quote(TokenName(name))}")

    def keys(self) -> list[KeyBody]:
        """List the keys that may push over ssh."""
        return self._call(list[KeyBody], "GET", "/api/keys")

    def add_key(self, name: str, key: str) -> KeyBody:
        """Let a key push over ssh."""
        return self._call(KeyBody, "POST", "/api/keys", NewKey(name=name, key=key))

    def remove_key(self, name: str) -> None:
        """Let a key push no longer."""
        self._send("DELETE", f"/api/keys/{quote(KeyName(name))}")

    @contextlib.contextmanager
    def push_session(self, app: str, key: str) -> Iterator[SessionBody]:
        """Begin a push that git is run for here; it is over with the block."""
        path = f"/git/{app_part(app)}/session{query_of({'key': key})}"
        with contextlib.closing(self._stream(SessionBody, "POST", path, None)) as lines:
            for session in lines:
                yield session
                return
