"""Typed calls of the admin API, for the commands and for anyone who scripts in Python.

Every call raises the BalancerError that the API answered with, or DaemonUnreachable.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

import httpx

from balancer.connection import Connection
from balancer.domain.app import TREE_LIMIT_BYTES, AppName, BranchName
from balancer.domain.event import VisitorId
from balancer.domain.key import KeyName
from balancer.domain.metric import MetricName
from balancer.domain.role import Role
from balancer.domain.split import SplitId
from balancer.domain.token import TokenName
from balancer.errors import InvalidInput, from_code
from balancer.services.bandit_decisions import BanditDecision
from balancer.services.breakdown import Breakdown
from balancer.services.decisions import Decision
from balancer.services.event_rows import ImportedRows
from balancer.services.planning import SplitPlan
from balancer.services.raw_stats import RawStatistics
from balancer.services.release_report import ReleaseReport
from balancer.services.report import Report
from balancer.services.rollout_planning import RolloutForecast
from balancer.wire.apps import (
    AppBody,
    ConfigBody,
    ConfigChange,
    DefaultBranch,
    ModeBody,
    NewApp,
    PreviewBody,
    RemoteBody,
)
from balancer.wire.arrivals import FetchBody, KeyBody, NewKey, NewSource, Pull, SessionBody, SourceBody
from balancer.wire.audit import AuditBody
from balancer.wire.bandits import BanditBody, BanditStandingBody, NewBandit, Promotion
from balancer.wire.event_rows import ErasedBody, EventRowBody
from balancer.wire.events import AcceptedBody, SentEventBody, SentEventsBody
from balancer.wire.freezes import FreezeBody, NewFreeze
from balancer.wire.instances import CronBody, FormationBody, InstanceBody, LogLine, NewRun, Restart, RunStep
from balancer.wire.metrics import MetricBody, MetricStanding
from balancer.wire.plans import WishBody
from balancer.wire.releases import BranchBody, CancelledBody, Progress, ReleaseBody, Return
from balancer.wire.rollout_plans import RolloutWishBody
from balancer.wire.rollouts import NewRollout, RolloutBody, StandingBody
from balancer.wire.sign_in import SignInLinkBody
from balancer.wire.splits import Conclusion, NewSplit, NewTwin, SplitBody, WeightsBody
from balancer.wire.status import RenewalBody, StatusBody, UpgradeBody
from balancer.wire.targets import AddedTarget, NewTarget, TargetBody
from balancer.wire.tokens import AddedToken, NewToken, TokenBody


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """The rows of an app, as a file that is being sent."""

    rows: int
    size: int
    """In bytes."""
    chunks: Iterator[bytes]


class Client(Connection):
    """What can be asked of one daemon."""

    def status(self) -> StatusBody:
        """Tell how the platform is."""
        return self._call(StatusBody, "GET", "/api/status")

    def upgrade(self) -> UpgradeBody:
        """Begin to replace the daemon by the code that is installed now."""
        return self._call(UpgradeBody, "POST", "/api/upgrade")

    def renew_proxy(self) -> RenewalBody:
        """Let HAProxy execute itself again, as it is installed now."""
        return self._call(RenewalBody, "POST", "/api/upgrade/proxy")

    def apps(self) -> list[AppBody]:
        """List the apps."""
        return self._call(list[AppBody], "GET", "/api/apps")

    def create_app(self, name: str, default_branch: str | None = None) -> AppBody:
        """Create an app."""
        return self._call(AppBody, "POST", "/api/apps", NewApp(name=name, default_branch=default_branch))

    def app(self, app: str) -> AppBody:
        """Show an app."""
        return self._call(AppBody, "GET", f"/api/apps/{_part(app)}")

    def delete_app(self, app: str) -> Iterator[Progress]:
        """Stop an app and remove all that is its own; give each step, the last one with what was the app."""
        return self._progress("DELETE", f"/api/apps/{_part(app)}", None)

    def remote(self, app: str) -> str:
        """Return the URL to push an app to."""
        return self._call(RemoteBody, "GET", f"/api/apps/{_part(app)}/remote").remote

    def config(self, app: str) -> dict[str, str]:
        """Return the config vars that the app's next release will have."""
        return self._call(ConfigBody, "GET", f"/api/apps/{_part(app)}/config").config

    def change_config(self, app: str, changes: Mapping[str, str | None], *, later: bool = False) -> Iterator[Progress]:
        """Change config vars, None removes one; give each step, the last one with all config vars."""
        body = ConfigChange(config=dict(changes), later=later)
        return self._progress("PATCH", f"/api/apps/{_part(app)}/config", body)

    def releases(self, app: str, limit: int = 50) -> list[ReleaseBody]:
        """List the releases of an app, newest first."""
        return self._call(list[ReleaseBody], "GET", f"/api/apps/{_part(app)}/releases?limit={limit}")

    def instances(self, app: str) -> list[InstanceBody]:
        """List the instances of an app that are not stopped."""
        return self._call(list[InstanceBody], "GET", f"/api/apps/{_part(app)}/instances")

    def rollback(self, app: str, branch: str | None = None, release: int | None = None) -> Iterator[Progress]:
        """Go back to the release before, or to `release`; give each step, the last one with the release."""
        return self._progress("POST", f"/api/apps/{_part(app)}/rollback", Return(branch=branch, release=release))

    def deploy_archive(
        self,
        app: str,
        archive: Iterable[bytes],
        size: int,
        *,
        branch: str | None,
        message: str,
        author: str,
        during_freeze: bool = False,
        rollout: Literal["none"] | None = None,
    ) -> Iterator[Progress]:
        """Deploy a tar file of `size` bytes; give each step, the last one with the release."""
        if size > TREE_LIMIT_BYTES:
            limit = TREE_LIMIT_BYTES // 1024**2
            raise InvalidInput(
                f"there are {size // 1024**2} MiB to send, and {limit} are possible; leave out what is no source"
            )
        named = {name: value for name, value in (("branch", branch), ("rollout", rollout)) if value}
        query = httpx.QueryParams({"message": message, "author": author, "during_freeze": during_freeze, **named})
        headers = {"Content-Type": "application/x-tar", "Content-Length": str(size)}
        return self._progress("POST", f"/api/apps/{_part(app)}/deploys/archive?{query}", archive, headers)

    def deploy_fetch(
        self,
        app: str,
        url: str,
        ref: str,
        branch: str | None,
        rollout: Literal["none"] | None = None,
        *,
        during_freeze: bool = False,
    ) -> Iterator[Progress]:
        """Let the platform fetch a ref of another repository, and deploy it; give each step."""
        body = FetchBody(url=url, ref=ref, branch=branch, rollout=rollout, during_freeze=during_freeze)
        return self._progress("POST", f"/api/apps/{_part(app)}/deploys/fetch", body)

    def send_events(self, app: str, events: Sequence[SentEventBody]) -> AcceptedBody:
        """Send a batch of events, and return what became of it when it is on the platform's disk."""
        return self._call(AcceptedBody, "POST", f"/api/apps/{_part(app)}/events", SentEventsBody([*events]))

    def events(self, app: str, *, event: str | None = None, lines: int, follow: bool) -> Iterator[EventRowBody]:
        """Give the newest events and exposures of an app; with `follow` without end."""
        named = {} if event is None else {"event": event}
        query = httpx.QueryParams({"lines": lines, "follow": follow, **named})
        return self._stream(EventRowBody, "GET", f"/api/apps/{_part(app)}/events?{query}", None)

    @contextlib.contextmanager
    def export_events(
        self, app: str, form: str, *, since: str | None = None, until: str | None = None
    ) -> Iterator[Export]:
        """Give every row of an app as `parquet`, `csv` or `ndjson`."""
        asked = {"format": str(form), "from": since, "to": until}
        query = httpx.QueryParams({name: value for name, value in asked.items() if value is not None})
        with self._download(f"/api/apps/{_part(app)}/events/export?{query}") as answer:
            yield Export(
                rows=int(answer.headers["Balancer-Rows"]),
                size=int(answer.headers["Content-Length"]),
                chunks=answer.iter_raw(),
            )

    def import_events(self, app: str, lines: bytes, *, name: str, first: int) -> ImportedRows:
        """Bring in rows, a JSON object a line, the row `first` and those that follow of the import `name`."""
        query = httpx.QueryParams({"import": name, "first": first})
        return self._call(ImportedRows, "POST", f"/api/apps/{_part(app)}/events/import?{query}", lines)

    def erase_visitor(self, app: str | None, visitor: str) -> ErasedBody:
        """Take a visitor out of the ledger, of one app or of all."""
        path = "/api" if app is None else f"/api/apps/{_part(app)}"
        return self._call(ErasedBody, "DELETE", f"{path}/visitors/{VisitorId(visitor)}")

    def source(self, app: str) -> SourceBody:
        """Return what an app follows."""
        return self._call(SourceBody, "GET", f"/api/apps/{_part(app)}/source")

    def set_source(self, app: str, url: str, branches: Sequence[str]) -> SourceBody:
        """Let an app follow a repository elsewhere."""
        return self._call(SourceBody, "PUT", f"/api/apps/{_part(app)}/source", NewSource(url=url, branches=[*branches]))

    def remove_source(self, app: str) -> None:
        """Follow no longer."""
        self._send("DELETE", f"/api/apps/{_part(app)}/source")

    def pull_source(self, app: str, branch: str | None, *, during_freeze: bool = False) -> Iterator[Progress]:
        """Fetch a branch of the source, and deploy what is new; give each step."""
        body = Pull(branch=branch, during_freeze=during_freeze)
        return self._progress("POST", f"/api/apps/{_part(app)}/source/pull", body)

    def audit(self, app: str | None, since: str | None, limit: int) -> list[AuditBody]:
        """List who changed what, the newest first."""
        asked = {"app": app, "since": since, "limit": limit}
        query = httpx.QueryParams({name: value for name, value in asked.items() if value is not None})
        return self._call(list[AuditBody], "GET", f"/api/audit?{query}")

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
        path = f"/git/{_part(app)}/session?{httpx.QueryParams({'key': key})}"
        with contextlib.closing(self._stream(SessionBody, "POST", path, None)) as lines:
            for session in lines:
                yield session
                return

    def branches(self, app: str) -> list[BranchBody]:
        """List the live branches of an app."""
        return self._call(list[BranchBody], "GET", f"/api/apps/{_part(app)}/branches")

    def delete_branch(self, app: str, branch: str) -> Iterator[Progress]:
        """Take a branch down; give each step, the last one with the release that was live."""
        return self._progress("DELETE", f"/api/apps/{_part(app)}/branches/{quote(BranchName(branch))}", None)

    def cancel(self, app: str, branch: str | None) -> CancelledBody:
        """Cancel the deploy of a branch that is under way, the only one where none is named."""
        query = f"?branch={quote(BranchName(branch), safe='')}" if branch else ""
        return self._call(CancelledBody, "DELETE", f"/api/apps/{_part(app)}/deploys{query}")

    def set_default_branch(self, app: str, branch: str) -> AppBody:
        """Make a live branch what visitors see outside a split."""
        return self._call(AppBody, "PUT", f"/api/apps/{_part(app)}/default-branch", DefaultBranch(branch=branch))

    def formation(self, app: str) -> dict[str, int]:
        """Return how many instances of each process type the app has."""
        return self._call(FormationBody, "GET", f"/api/apps/{_part(app)}/formation").formation

    def scale(self, app: str, counts: Mapping[str, int]) -> Iterator[Progress]:
        """Have other numbers of instances; give each step, the last one with the formation."""
        return self._progress("PATCH", f"/api/apps/{_part(app)}/formation", FormationBody(formation=dict(counts)))

    def restart(self, app: str, branch: str | None = None, process: str | None = None) -> Iterator[Progress]:
        """Replace instances by new ones of the same release; give each step, the last one with the app."""
        return self._progress("POST", f"/api/apps/{_part(app)}/restart", Restart(branch=branch, process=process))

    def stop(self, app: str) -> Iterator[Progress]:
        """Let no instance of the app run; give each step, the last one with the app."""
        return self._progress("POST", f"/api/apps/{_part(app)}/stop", None)

    def start(self, app: str) -> Iterator[Progress]:
        """Start a stopped app; give each step, the last one with the app."""
        return self._progress("POST", f"/api/apps/{_part(app)}/start", None)

    def set_mode(self, app: str, mode: Literal["serving", "paused", "maintenance"]) -> AppBody:
        """Serve an app, pause it, or show its maintenance page."""
        return self._call(AppBody, "PUT", f"/api/apps/{_part(app)}/mode", ModeBody(mode=mode))

    def previews(self, app: str, *, fresh: bool = False) -> list[PreviewBody]:
        """Return what shows each live branch; with `fresh` what was given out before ends."""
        query = "?fresh=true" if fresh else ""
        return self._call(list[PreviewBody], "PUT", f"/api/apps/{_part(app)}/previews{query}")

    def metrics(self, app: str) -> list[MetricStanding]:
        """List every metric of an app, by name."""
        return self._call(list[MetricStanding], "GET", f"/api/apps/{_part(app)}/metrics")

    def metric(self, app: str, name: str) -> MetricStanding:
        """Return one metric."""
        return self._call(MetricStanding, "GET", f"/api/apps/{_part(app)}/metrics/{MetricName(name)}")

    def set_metric(self, app: str, name: str, body: MetricBody) -> MetricStanding:
        """Declare a metric; it counts from the next split on."""
        return self._call(MetricStanding, "PUT", f"/api/apps/{_part(app)}/metrics/{MetricName(name)}", body)

    def remove_metric(self, app: str, name: str) -> None:
        """Take a metric back that was declared so."""
        self._send("DELETE", f"/api/apps/{_part(app)}/metrics/{MetricName(name)}")

    def plan(self, app: str, wish: WishBody) -> SplitPlan:
        """Tell how many visitors and days a split would need, and what it could show in 14 days."""
        query = httpx.QueryParams(wish.model_dump(exclude_none=True))
        return self._call(SplitPlan, "GET", f"/api/apps/{_part(app)}/plan?{query}")

    def plan_rollout(self, app: str, wish: RolloutWishBody) -> RolloutForecast:
        """Tell how long each step of a rollout would take, or will."""
        query = httpx.QueryParams(wish.model_dump(exclude_none=True))
        return self._call(RolloutForecast, "GET", f"/api/apps/{_part(app)}/rollout/plan?{query}")

    def start_rollout(self, app: str, new: NewRollout) -> RolloutBody:
        """Begin to give a branch to more and more visitors."""
        return self._call(RolloutBody, "POST", f"/api/apps/{_part(app)}/rollout", new)

    def rollout(self, app: str) -> StandingBody:
        """Tell how the rollout stands that goes on, else the one that ended last."""
        return self._call(StandingBody, "GET", f"/api/apps/{_part(app)}/rollout")

    def rollout_decisions(self, app: str) -> list[Decision]:
        """List what was decided of that rollout, the oldest first."""
        return self._call(list[Decision], "GET", f"/api/apps/{_part(app)}/rollout/decisions")

    def change_rollout(self, app: str, what: Literal["pause", "resume", "advance"]) -> RolloutBody:
        """Let a rollout wait, go on, or take its next step."""
        return self._call(RolloutBody, "POST", f"/api/apps/{_part(app)}/rollout/{what}")

    def abort_rollout(self, app: str) -> RolloutBody:
        """End a rollout, and its split."""
        return self._call(RolloutBody, "DELETE", f"/api/apps/{_part(app)}/rollout")

    def promote_rollout(self, app: str) -> Iterator[Progress]:
        """Give the branch of a rollout to everybody; give each step, the last one with the rollout."""
        return self._progress("POST", f"/api/apps/{_part(app)}/rollout/promote", None)

    def start_bandit(self, app: str, new: NewBandit) -> BanditBody:
        """Begin to share visitors among branches by what they earn."""
        return self._call(BanditBody, "POST", f"/api/apps/{_part(app)}/bandit", new)

    def bandit(self, app: str) -> BanditStandingBody:
        """Tell how the bandit stands that goes on, else the one that ended last."""
        return self._call(BanditStandingBody, "GET", f"/api/apps/{_part(app)}/bandit")

    def bandit_decisions(self, app: str) -> list[BanditDecision]:
        """List what was decided of that bandit, the oldest first."""
        return self._call(list[BanditDecision], "GET", f"/api/apps/{_part(app)}/bandit/decisions")

    def change_bandit(self, app: str, what: Literal["pause", "resume"]) -> BanditBody:
        """Let a bandit leave its weights as they are, or go on."""
        return self._call(BanditBody, "POST", f"/api/apps/{_part(app)}/bandit/{what}")

    def abort_bandit(self, app: str) -> BanditBody:
        """End a bandit, and its split."""
        return self._call(BanditBody, "DELETE", f"/api/apps/{_part(app)}/bandit")

    def promote_bandit(self, app: str, winner: str) -> Iterator[Progress]:
        """Give a branch of a bandit to everybody; give each step, the last one with the bandit."""
        return self._progress("POST", f"/api/apps/{_part(app)}/bandit/promote", Promotion(winner=winner))

    def start_split(self, app: str, new: NewSplit) -> SplitBody:
        """Begin a split."""
        return self._call(SplitBody, "POST", f"/api/apps/{_part(app)}/split", new)

    def start_aa_split(self, app: str, new: NewTwin) -> Iterator[Progress]:
        """Begin a split of a branch and a twin that is made of it; give each step, the last one with the split."""
        return self._progress("POST", f"/api/apps/{_part(app)}/split/aa", new)

    def set_weights(self, app: str, weights: WeightsBody) -> SplitBody:
        """Give the running split new weights."""
        return self._call(SplitBody, "PATCH", f"/api/apps/{_part(app)}/split", weights)

    def cancel_split(self, app: str) -> SplitBody:
        """End the running split."""
        return self._call(SplitBody, "DELETE", f"/api/apps/{_part(app)}/split")

    def change_split(self, app: str, what: Literal["pause", "resume", "reshuffle"]) -> SplitBody:
        """Pause the split, go on with it, or begin it anew with another id."""
        return self._call(SplitBody, "POST", f"/api/apps/{_part(app)}/split/{what}")

    def conclude_split(self, app: str, winner: str) -> Iterator[Progress]:
        """End the split with a winner; give each step, the last one with the split."""
        return self._progress("POST", f"/api/apps/{_part(app)}/split/conclude", Conclusion(winner=winner))

    def promote(self, app: str) -> Iterator[Progress]:
        """Make the winner that visitors see the default branch's release; give each step."""
        return self._progress("POST", f"/api/apps/{_part(app)}/promotion", None)

    def split(self, app: str, split: str | None = None) -> SplitBody:
        """Return one split; none named: the one that is not over, else the one that ended last."""
        path = f"splits/{SplitId(split)}" if split else "split"
        return self._call(SplitBody, "GET", f"/api/apps/{_part(app)}/{path}")

    def splits(self, app: str) -> list[SplitBody]:
        """List every split of an app, the newest first."""
        return self._call(list[SplitBody], "GET", f"/api/apps/{_part(app)}/splits")

    def report(self, app: str, split: str | None = None, *, again: bool = False) -> Report:
        """Compare the variants of a split; none named: of what is not over, else of what ended last."""
        return self._call(
            Report,
            "GET",
            f"/api/apps/{_part(app)}/report{_query({'split': split, 'again': 'true' if again else None})}",
        )

    def report_by_release(self, app: str, split: str | None = None) -> ReleaseReport:
        """Show the same split by the release that each visitor was exposed by."""
        return self._call(ReleaseReport, "GET", f"/api/apps/{_part(app)}/report/releases{_query({'split': split})}")

    def report_by_dimension(
        self, app: str, dimension: str, metric: str | None = None, split: str | None = None
    ) -> Breakdown:
        """Show one metric of the same split by a dimension of its visitors."""
        query = _query({"metric": metric, "split": split})
        return self._call(Breakdown, "GET", f"/api/apps/{_part(app)}/report/by/{quote(dimension, safe='')}{query}")

    def raw_stats(
        self,
        app: str,
        *,
        by: str | None = None,
        event: str | None = None,
        split: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> RawStatistics:
        """Count the events of an app, by `hour`, `day`, `week` or `month`, or over all; dates are of its time zone."""
        asked = {"by": by, "event": event, "split": split, "from": since, "to": until}
        return self._call(RawStatistics, "GET", f"/api/apps/{_part(app)}/stats{_query(asked)}")

    def logs(
        self,
        app: str,
        *,
        branch: str | None = None,
        release: int | None = None,
        process: str | None = None,
        lines: int,
        follow: bool,
    ) -> Iterator[LogLine]:
        """Give what the live instances print, or everything of one release; with `follow` without end."""
        only = {"branch": branch, "release": release, "process": process}
        named = {name: value for name, value in only.items() if value is not None}
        query = httpx.QueryParams({"lines": lines, "follow": follow, **named})
        return self._stream(LogLine, "GET", f"/api/apps/{_part(app)}/logs?{query}", None)

    def cron(self, app: str) -> list[CronBody]:
        """List the cron jobs of an app."""
        return self._call(list[CronBody], "GET", f"/api/apps/{_part(app)}/cron")

    def run(
        self,
        app: str,
        command: Sequence[str],
        *,
        branch: str | None = None,
        with_input: bool = False,
        timeout_seconds: float | None = None,
    ) -> Iterator[RunStep]:
        """Run a command once; give its id, what it writes, and last its status. It ends when nobody reads on."""
        body = NewRun(command=list(command), branch=branch, input=with_input, timeout_seconds=timeout_seconds)
        for step in self._stream(RunStep, "POST", f"/api/apps/{_part(app)}/runs", body):
            if step.error:
                raise from_code(step.error.error, step.error.message)
            yield step

    def feed(self, app: str, run: str, chunks: Iterable[bytes]) -> None:
        """Pass on to the standard input of a command that runs, until there are no more chunks."""
        self._put(f"/api/apps/{_part(app)}/runs/{run}/input", chunks)


def _part(name: str) -> str:
    """Return the name of an app as one part of a path. Raises InvalidName, in the words of the API."""
    return AppName(name)


def _query(asked: Mapping[str, str | None]) -> str:
    """Return what follows the path: all that is not None."""
    said = {name: value for name, value in asked.items() if value is not None}
    return f"?{httpx.QueryParams(said)}" if said else ""
