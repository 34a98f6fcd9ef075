"""Every deliberate failure of Balancer, as one tree.

    BalancerError                   status  exit code
    ├── InvalidInput                422     2
    │   ├── InvalidName
    │   ├── InvalidSplit
    │   ├── InvalidWeights
    │   ├── InvalidMetric
    │   ├── InvalidRollout
    │   ├── InvalidBandit
    │   ├── InvalidManifest
    │   ├── InvalidSetting
    │   ├── BodyUnreadable          400
    │   ├── BodyTooLarge            413
    │   └── BodyUnsupported         415
    ├── NotFound                    404     3
    │   ├── AppNotFound
    │   ├── BranchNotFound
    │   ├── ReleaseNotFound
    │   ├── SplitNotFound
    │   ├── RolloutNotFound
    │   ├── BanditNotFound
    │   └── MetricNotFound
    ├── Conflict                    409     4
    │   ├── AppExists
    │   ├── DomainTaken
    │   ├── SplitRunning
    │   ├── CanaryPromoted
    │   ├── BranchInUse
    │   ├── AlreadyLive
    │   ├── IllegalTransition
    │   ├── RefMoved
    │   ├── Frozen
    │   └── UpgradeRefused
    ├── Unauthorized                401     5
    │   ├── SignInRefused
    │   │   └── SignInLinkOver
    │   └── NotSignedIn
    ├── Forbidden                   403     11
    │   └── PageOutdated
    ├── TooManyAttempts             429     12
    ├── DeployFailed                422     6
    │   ├── ConfigVarMissing
    │   ├── BuildFailed
    │   ├── DeployCancelled
    │   └── NotHealthy
    │       └── PortStolen
    ├── HostUnfit                   500     7
    │   ├── ProxyMissing
    │   ├── ProxyTooOld
    │   ├── PortTaken
    │   ├── AddressUnusable
    │   ├── PortsExhausted
    │   ├── DataDirectoryUnusable
    │   └── DataDirectoryInUse
    ├── ProxyFailed                 502     8
    ├── NotDelivered                502     10
    │   └── TargetGone
    └── Unavailable                 503     9
        ├── DaemonUnreachable
        ├── LedgerUnavailable
        ├── SpoolFull
        └── DiskFull

Invariants:
    * A message names the thing, says what was wrong, and what to do next.
    * `status` is what the API answers, `exit_code` what the command exits with.
    * `code` (the class name in kebab case) identifies the error in JSON, and `from_code` finds it again.
"""

import errno
import re
from collections.abc import Sequence


class BalancerError(Exception):
    """Something that Balancer refused or could not do; str() of it is the message for a person."""

    status = 500
    exit_code = 1

    @classmethod
    def code(cls) -> str:
        """Return the name of this error in JSON, `app-not-found` for `AppNotFound`."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower()


class InvalidInput(BalancerError):
    """What was given does not parse or does not fit; nothing was changed."""

    status = 422
    exit_code = 2


class InvalidName(InvalidInput):
    """A name of an app, branch, domain, commit, visitor or event does not parse."""


class InvalidSplit(InvalidInput):
    """What a split is to be, or who is to take part in it, does not fit."""


class InvalidWeights(InvalidInput):
    """The weights of a split do not fit."""


class InvalidMetric(InvalidInput):
    """What a metric is to measure does not fit."""


class InvalidRollout(InvalidInput):
    """The steps of a rollout, or what is to decide it, do not fit."""


class InvalidBandit(InvalidInput):
    """The branches of a bandit, or what they are to earn, do not fit."""


class InvalidManifest(InvalidInput):
    """What the pushed tree says about how to run it does not hold."""


class InvalidSetting(InvalidInput):
    """A setting is unknown or has a value that it cannot have."""


class BodyUnreadable(InvalidInput):
    """The body of a request is not what its Content-Type and Content-Encoding say."""

    status = 400


class BodyTooLarge(InvalidInput):
    """The body of a request has more than may be sent at once."""

    status = 413


class BodyUnsupported(InvalidInput):
    """The body of a request is of a kind that is not taken there."""

    status = 415


class NotFound(BalancerError):
    """The thing named is not there."""

    status = 404
    exit_code = 3


class AppNotFound(NotFound):
    """No app has this name."""

    def __init__(self, app: str) -> None:
        super().__init__(f"no app is called {app!r}; `balancer apps list` shows those there are")


class BranchNotFound(NotFound):
    """The app has no live branch of this name."""


class ReleaseNotFound(NotFound):
    """There is no such release, or none to go back to."""


class SplitNotFound(NotFound):
    """The app has no split, or none that runs."""


class RolloutNotFound(NotFound):
    """The app has no rollout, or none that goes on."""


class BanditNotFound(NotFound):
    """The app has no bandit, or none that goes on."""


class MetricNotFound(NotFound):
    """What is to decide is no metric of the app, and no event of that name was ever seen."""


class Conflict(BalancerError):
    """What was asked does not go with what is there; nothing was changed."""

    status = 409
    exit_code = 4


class AppExists(Conflict):
    """An app of this name is there already."""

    def __init__(self, app: str) -> None:
        super().__init__(f"an app called {app!r} is there already; choose another name")


class DomainTaken(Conflict):
    """Another app answers on this domain."""

    def __init__(self, domain: str, owner: str) -> None:
        super().__init__(f"the domain {domain} belongs to the app {owner!r}; take it out of one of the two manifests")


class SplitRunning(Conflict):
    """The app has a running split already."""

    def __init__(self, app: str, split: str, *, steered_by: str | None = None) -> None:
        if steered_by is None:
            what_next = (
                f"change its weights with `balancer split set {app} …` or end it with `balancer split cancel {app}`"
            )
            super().__init__(f"the app {app!r} has a running split, {split}; {what_next}")
        else:
            shown = f"`balancer {steered_by} status {app}` shows it, `balancer {steered_by} abort {app}` ends it"
            super().__init__(f"a {steered_by} of {app} goes on, with the split {split}; {shown}")


class CanaryPromoted(Conflict):
    """Everybody sees a canary, and it is not the release of the default branch yet."""

    def __init__(self, app: str, release: int, default: str | None) -> None:
        super().__init__(
            f"release {release} of {app} has just been promoted, and is not the release of {default} yet: try again in "
            f"a moment; where it stays so, `balancer split promote {app}`"
        )


class BranchInUse(Conflict):
    """The branch cannot be taken down: visitors of the app depend on it."""


class AlreadyLive(Conflict):
    """What was fetched is live already; nothing is to be done."""


class IllegalTransition(Conflict):
    """A release or instance cannot go from the state it is in to the one asked for."""


class RefMoved(Conflict):
    """The branch moved while this push waited for its turn."""


class Frozen(Conflict):
    """What visitors see is not to change now; `balancer freeze list` says until when."""


class UpgradeRefused(Conflict):
    """The code that is installed now cannot start; the daemon goes on with the one it runs."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the code that is installed now cannot start: {reason}; the daemon goes on as it is: mend the "
            "installation (`python -c 'import balancer.daemon'` shows all of it), then try again"
        )


class Unauthorized(BalancerError):
    """The token is missing or not one of ours."""

    status = 401
    exit_code = 5

    def __init__(self) -> None:
        super().__init__(
            "the token is missing or wrong; `balancer apps remote APP` prints the remote with a token that works, "
            "and BALANCER_TOKEN overrides the token the commands use"
        )


class SignInRefused(Unauthorized):
    """Somebody wants to sign in with what is no token of ours."""

    def __init__(self) -> None:
        Exception.__init__(
            self,
            "this is no token of this platform; an operator makes you one with `balancer tokens add NAME`, and the "
            "machine's own is in the file operator.token of the data directory",
        )


class SignInLinkOver(SignInRefused):
    """Somebody follows a link that signed in once, or would have."""

    def __init__(self) -> None:
        Exception.__init__(
            self,
            "this link is worth nothing any more: it signs in once, within a minute; type `balancer open` again, or "
            "give a token",
        )


class NotSignedIn(Unauthorized):
    """The page is for those who are signed in."""

    def __init__(self) -> None:
        Exception.__init__(self, "you are not signed in, or your session has ended; sign in with a token")


class Forbidden(BalancerError):
    """The caller is known, and may not do this."""

    status = 403
    exit_code = 11


class PageOutdated(Forbidden):
    """What came was not sent by a page of this session."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"nothing was done: {reason}; load the page again, and do it there once more")


class TooManyAttempts(BalancerError):
    """Somebody tries too often to sign in."""

    status = 429
    exit_code = 12
    retry_after_seconds: int
    """What the API tells the sender to wait."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(
            f"too many attempts to sign in have failed; wait {retry_after_seconds} s, then try again. The commands "
            "and git are not concerned"
        )
        self.retry_after_seconds = retry_after_seconds


class DeployFailed(BalancerError):
    """A release could not go live; the one before it still serves."""

    status = 422
    exit_code = 6


class ConfigVarMissing(DeployFailed):
    """The manifest requires a config var that the app does not have."""

    def __init__(self, app: str, keys: Sequence[str]) -> None:
        super().__init__(
            f"the manifest requires {', '.join(keys)}, which {app} does not have; "
            f"set it and push again: balancer config set {app} {' '.join(f'{key}=…' for key in keys)}"
        )


class BuildFailed(DeployFailed):
    """The build or the release command exited with a failure or took too long."""


class DeployCancelled(DeployFailed):
    """Somebody cancelled the deploy before it was live."""

    def __init__(self, app: str, branch: str, by: str) -> None:
        super().__init__(f"the deploy of {app} {branch} was cancelled by {by}")


class NotHealthy(DeployFailed):
    """An instance died or did not answer its health check in time."""


class PortStolen(NotHealthy):
    """Another process listens on the port that an instance was given."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"another process listens on the port {port} that the instance was given; "
            "`ss -ltnp` shows it, and `instance_ports` gives instances other ports"
        )


class HostUnfit(BalancerError):
    """The machine lacks something that the platform needs."""

    status = 500
    exit_code = 7


class ProxyMissing(HostUnfit):
    """HAProxy is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "HAProxy was not found on the PATH; install it (Debian and Ubuntu: apt-get install haproxy) "
            "or name it with --haproxy"
        )


class ProxyTooOld(HostUnfit):
    """HAProxy is older than the version Balancer is made for."""

    def __init__(self, found: str, needed: str) -> None:
        super().__init__(f"HAProxy {found} is too old: Balancer needs {needed} or newer; upgrade the package haproxy")


class PortTaken(HostUnfit):
    """Another process listens where the platform should."""

    def __init__(self, address: str, option: str) -> None:
        super().__init__(
            f"{address} is taken by another process; stop that one (`ss -ltnp` shows it) "
            f"or choose another with {option}"
        )


class AddressUnusable(HostUnfit):
    """The platform cannot listen on the address that it was given."""

    def __init__(self, address: str, reason: str, option: str) -> None:
        super().__init__(
            f"nothing can listen on {address}: {reason}; give an address and a port of this machine with {option}"
        )


class PortsExhausted(HostUnfit):
    """No port is free for one more instance."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__(
            f"no port from {first} to {last} is free for an instance; widen the range with `instance_ports`"
        )


class DataDirectoryUnusable(HostUnfit):
    """The data directory cannot be made or written."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"the data directory {path} cannot be used: {reason}; choose another with --data-dir")


class DataDirectoryInUse(HostUnfit):
    """Another daemon, or another ledger, runs on this data directory."""

    def __init__(self, path: str, role: str, pid: str) -> None:
        super().__init__(
            f"the data directory {path} is in use by another {role} (pid {pid}); stop it, "
            "or choose another with --data-dir"
        )


class ProxyFailed(BalancerError):
    """HAProxy refused a configuration or a command, or does not answer."""

    status = 502
    exit_code = 8


class NotDelivered(BalancerError):
    """A target did not take a notice; the message never has its address in it."""

    status = 502
    exit_code = 10


class TargetGone(NotDelivered):
    """A target says that it is gone for good: no notice will be taken any more."""


class Unavailable(BalancerError):
    """A part of the platform does not answer just now; trying again may help."""

    status = 503
    exit_code = 9
    retry_after_seconds = 5
    """What the API tells a sender to wait: a process of ours that ended is back by then."""


class DaemonUnreachable(Unavailable):
    """No daemon answers at the admin address."""

    def __init__(self, url: str) -> None:
        super().__init__(f"no daemon answers at {url}; start one with `balancer serve`, or point --url at yours")


class LedgerUnavailable(Unavailable):
    """The ledger process does not answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the ledger does not answer ({reason}); it is started again by itself, and nothing is lost: try again"
        )


class SpoolFull(Unavailable):
    """Events that servers sent wait for the ledger, and no more can be kept."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"no events can be taken in just now: {reason}; send the batch again in some seconds (what has an id "
            "counts once). `balancer status` shows the disk and the ledger"
        )


class DiskFull(Unavailable):
    """The disk of the data directory is full; what serves is not concerned."""

    def __init__(self) -> None:
        super().__init__(
            "No space left on the disk of the data directory: free some and push again; `balancer status` shows how "
            "much there is. What serves goes on"
        )


def deliberate(error: BaseException) -> BaseException:
    """Return the error of ours that says what `error` of the system means, or `error` where there is none."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull()
    return error


def tree(root: type[BalancerError] = BalancerError) -> list[type[BalancerError]]:
    """Return `root` and every error below it, parents first."""
    return [root] + [error for child in root.__subclasses__() for error in tree(child)]


def from_code(code: str, message: str) -> BalancerError:
    """Return the error that `code` names, with `message`; a plain BalancerError where no error has that code."""
    kind = next((error for error in tree() if error.code() == code), BalancerError)
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    return error
