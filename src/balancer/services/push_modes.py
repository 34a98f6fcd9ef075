"""Push modes carried out: a release that is ready goes live at once, as a canary, or as an experiment.

Invariants:
    * A canary or an experiment goes live in the transaction in which its rollout begins: neither is without the other.
    * A push to the default branch ends the canary before it in the transaction in which it goes live itself.
    * What cannot begin is refused before anything is built, and again before anything is switched.
    * A commit is never compared with itself: one that is live, with the config vars of now, makes no canary and no
      experiment of what visitors see already.

Used by `deploy`, whose turn it is on the branch that was pushed.
"""

from dataclasses import replace

from balancer.domain.app import App, AppMode, AppName, BranchName, Commit
from balancer.domain.canary import Canary
from balancer.domain.manifest import Manifest
from balancer.domain.metric import MetricName, Role
from balancer.domain.push_mode import INSTANT, Mode, PushMode
from balancer.domain.release import Release
from balancer.domain.rollout import ENDED, WATCHED, Plan, Rollout, RolloutState
from balancer.domain.split import CANARY, Brief
from balancer.domain.weights import percent
from balancer.errors import CanaryPromoted, Conflict, InvalidManifest, RolloutNotFound, SplitRunning
from balancer.services.freeze import Freezes
from balancer.services.interfaces import Tell
from balancer.services.known_metrics import KnownMetrics
from balancer.services.rollout_registry import RolloutRegistry
from balancer.services.rollouts import Rollouts

_ANYWAY = "push with `git push -o rollout=none` to switch at once"
_AGAIN = "`balancer deploy … --rollout none` starts it anew"


class PushModes:
    """Decides how a release goes live, and lets it."""

    def __init__(self, registry: RolloutRegistry, rollouts: Rollouts, metrics: KnownMetrics, freezes: Freezes) -> None:
        self._registry = registry
        self._rollouts = rollouts
        self._metrics = metrics
        self._freezes = freezes

    async def nothing_new(
        self, app: AppName, branch: BranchName, commit: Commit, asked: Mode | None, tell: Tell
    ) -> Release | None:
        """Return what has the commit of a push already, where it makes nothing live; None where it is to be deployed.

        The canary stays where it is pushed again, and is taken back where what is live behind it is. What somebody
        wants to switch to at once is deployed. Raises IllegalTransition where the canary has moved on meanwhile.
        """
        found = await self._registry.app(app)
        if asked is Mode.NONE or branch != found.default_branch or found.mode is AppMode.STOPPED:
            return None
        live, canary = (await self._registry.snapshot()).live(app).get(branch), await self._registry.canary(app)
        nothing = f"-----> Nothing is deployed: {commit.short}"
        if canary is not None and canary.stands:
            if await self._is(canary.release, commit):
                tell(f"{nothing} is the canary already, release {canary.release.number}")
                tell(f"       its rollout goes on as it was: `balancer rollout status {app}`")
                return canary.release
            if canary.promoted or live is None or not await self._is(live, commit):
                return None
            await self._rollouts.take_back(canary.rollout, f"release {live.number} was pushed again")
            tell(f"{nothing} is release {live.number}, which is live")
            tell(f"       the canary, release {canary.release.number} ({canary.release.commit.short}), is taken back")
            return live
        if live is None or found.promoted is not None or not await self._is(live, commit):
            return None
        if live.manifest is None or live.manifest.rollout.mode is not Mode.CANARY:
            return None  # it would switch at once: that is to start it anew
        tell(f"{nothing} is release {live.number}, which is live on {branch}")
        tell(f"       it cannot be a canary of itself; {_AGAIN}")
        return live

    async def chosen(self, release: Release, manifest: Manifest, asked: Mode | None, tell: Tell) -> PushMode:
        """Return what a push does with its release; `asked` comes before the manifest.

        Raises Conflict where what it is to begin cannot begin now, InvalidManifest where nothing would decide it,
        MetricNotFound where what is to decide it is not known.
        """
        app = await self._registry.app(release.app)
        live = (await self._registry.snapshot()).live(app.name)
        if asked is Mode.NONE or app.default_branch is None or app.default_branch not in live:
            return INSTANT
        mode = manifest.rollout.on(default=release.branch == app.default_branch)
        if mode.mode is Mode.CANARY:
            await self._check_canary(app)
        elif mode.plan is not None:
            await self._metric(app.name, mode.plan)
        if mode.plan is not None:
            deciding = MetricName(mode.plan.metric) if mode.plan.metric else None
            await self._metrics.declared(app.name, deciding, manifest.metrics)
            for line in await self._metrics.unseen_guardrails(app.name):
                tell(f"       {line}")
        return mode

    async def go_live(
        self, release: Release, pushed: BranchName, mode: PushMode, tell: Tell
    ) -> tuple[Release, Rollout | None]:
        """Make a release that is healthy live, and begin its rollout, where it has one; `pushed` is whose turn it is.

        Raises what `chosen` does, and DomainTaken, IllegalTransition; then nothing has changed.
        """
        if mode.mode is Mode.CANARY and mode.plan is not None:
            return await self._begin_canary(release, pushed, mode.plan, tell)
        if mode.plan is not None:
            return await self._begin_experiment(release, mode.plan, tell)
        app, before = await self._registry.app(release.app), await self._registry.canary(release.app)
        live = await self._registry.activate(release.id, superseding=True)
        if release.branch == app.default_branch:
            if app.promoted not in (None, CANARY):
                tell(f"       visitors see it in the place of {app.promoted}, which has won a split")
            _tell_of_rollback(before, tell)
            await self._superseded(before)
        return live, None

    async def _begin_canary(
        self, release: Release, default: BranchName, plan: Plan, tell: Tell
    ) -> tuple[Release, Rollout]:
        app = await self._registry.app(release.app)
        before = await self._registry.canary(app.name)
        if before is not None and before.rollout.state is RolloutState.PROMOTING:
            tell(f"-----> Release {before.release.number} has just been promoted; this one is compared with it")
            await self._rollouts.finish_in_turn(before.rollout, default, tell)
            app, before = await self._registry.app(app.name), await self._registry.canary(app.name)
        await self._check_canary(app)
        _tell_of_rollback(before, tell)
        brief = Brief(name=f"canary of {default}", canary=CANARY)
        rollout = await self._rollouts.begin(app.name, CANARY, default, plan, brief, activating=release)
        await self._superseded(before)
        if freeze := await self._freezes.now(app.name):
            tell(
                f"       there is a freeze until {freeze.until:%Y-%m-%d %H:%M} UTC ({freeze.why}): the canary stays at "
                f"its first step, or until `balancer rollout advance {app.name}`"
            )
        return await self._live(release), rollout

    async def _begin_experiment(self, release: Release, plan: Plan, tell: Tell) -> tuple[Release, Rollout | None]:
        app = await self._registry.app(release.app)
        split, latest = await self._registry.split_in_the_way(app.name), await self._latest(app.name)
        control, metric = app.served_branch, await self._metric(app.name, plan)
        if latest is not None and latest.state not in ENDED and latest.branch == release.branch:
            why = None  # it goes on in it, which is told
        elif split is not None:
            why = f"the split {split.id} runs"
        elif latest is not None and latest.state not in ENDED:
            why = f"the rollout of {latest.branch} is {latest.state.value}"
        elif app.mode is AppMode.STOPPED:
            why = f"{app.name} was stopped until now"
        elif freeze := await self._freezes.now(app.name):
            why = f"there is a freeze until {freeze.until:%Y-%m-%d %H:%M} UTC ({freeze.why})"
        elif control is None or control == release.branch:
            why = f"it is what visitors of {app.name} see already"
        elif await self._is_what(release, control):
            why = f"it is the commit that {control} has live, with the same config vars: nothing could differ"
        else:
            brief = Brief(name=f"experiment of {release.branch}")
            try:
                rollout = await self._rollouts.begin(
                    *(app.name, release.branch, control, replace(plan, metric=str(metric)), brief), activating=release
                )
            except (SplitRunning, CanaryPromoted) as reason:
                why = str(reason)
            else:
                return await self._live(release), rollout
        live = await self._registry.activate(release.id)
        if why:
            tell(f"       no experiment begins, and only its own address shows it: {why}")
        return live, None

    async def _check_canary(self, app: App) -> None:
        """Raise Conflict where no canary of an app can begin."""
        canary, split = await self._registry.canary(app.name), await self._registry.split_in_the_way(app.name)
        live = (await self._registry.snapshot()).live(app.name)
        if app.mode is AppMode.STOPPED:
            raise Conflict(
                f"{app.name} is stopped, and a canary needs visitors: `balancer start {app.name}`, or {_ANYWAY}"
            )
        if canary is not None:
            if canary.promoted and canary.rollout.state is not RolloutState.PROMOTING:
                raise CanaryPromoted(app.name, canary.release.number, app.default_branch)
            return
        if app.promoted is not None:
            raise Conflict(
                f"{app.promoted} has won a split, and visitors of {app.name} see it in the place of "
                f"{app.default_branch}: {_ANYWAY}"
            )
        if CANARY in live:
            raise Conflict(
                f"{app.name} has a branch {CANARY} that was pushed as one: a canary cannot be called so, too; take it "
                f"down (`balancer branches delete {app.name} {CANARY}`), or {_ANYWAY}"
            )
        if split is not None:
            raise Conflict(
                f"the split {split.id} of {app.name} runs ({', '.join(split.variants)}), and a canary is one: end it "
                f"(`balancer split conclude {app.name} --winner BRANCH`, or `cancel`), or {_ANYWAY}"
            )

    async def _latest(self, app: AppName) -> Rollout | None:
        try:
            return await self._registry.rollout(app)
        except RolloutNotFound:
            return None

    async def _metric(self, app: AppName, plan: Plan) -> MetricName:
        """Return the metric that decides an experiment. Raises InvalidManifest where there is not one."""
        if plan.metric is not None:
            return MetricName(plan.metric)
        goals = [each.name for each in await self._metrics.declared(app) if each.role is Role.GOAL and each.decides]
        if len(goals) != 1:
            there = f"{app} has {', '.join(goals)}" if goals else f"{app} has none"
            raise InvalidManifest(f"rollout: an experiment needs the `metric` that decides it, and {there}: name one")
        return goals[0]

    async def _is(self, release: Release, commit: Commit) -> bool:
        """Tell whether a deploy of a commit would be what a release is."""
        if release.commit != commit:
            return False
        return await self._registry.release_config(release.id) == await self._registry.config(release.app)

    async def _is_what(self, release: Release, branch: BranchName) -> bool:
        """Tell whether a release is what another branch has live."""
        live = (await self._registry.snapshot()).live(release.app).get(branch)
        if live is None or live.commit != release.commit:
            return False
        return await self._registry.release_config(live.id) == await self._registry.release_config(release.id)

    async def _live(self, release: Release) -> Release:
        return (await self._registry.snapshot()).live(release.app)[release.branch]

    async def _superseded(self, before: Canary | None) -> None:
        if before is not None and before.rollout.state in WATCHED:
            await self._rollouts.superseded(before.rollout)


def _tell_of_rollback(before: Canary | None, tell: Tell) -> None:
    """Say what became of the canary before, to who pushes again and has perhaps not heard of it."""
    if before is not None and before.rollout.state is RolloutState.ROLLED_BACK:
        release = before.release
        tell(f"       release {release.number} ({release.commit.short}) was rolled back: {before.rollout.reason}")


def tell_of_rollout(rollout: Rollout, tell: Tell) -> None:
    """Say what has begun with a release."""
    what = "canary" if rollout.branch == CANARY else "experiment"
    tell(
        f"       {what}: {percent(rollout.weight)} of new visitors; watch with "
        f"`balancer rollout status {rollout.app} --watch`"
    )
