"""Rollouts and bandits: what changes the weights of a split by itself."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from balancer.client.paths import app_part, query_of
from balancer.connection import Connection
from balancer.wire.bandits import BanditBody, BanditStandingBody, NewBandit, Promotion
from balancer.wire.releases import Progress
from balancer.wire.rollout_plans import RolloutWishBody
from balancer.wire.rollouts import NewRollout, RolloutBody, StandingBody

if TYPE_CHECKING:  # a command that does not show them does not load what makes them
    from balancer.services.bandit_decisions import BanditDecision
    from balancer.services.decisions import Decision
    from balancer.services.rollout_planning import RolloutForecast


class RolloutCalls(Connection):
    """What can be asked of rollouts and bandits."""

    def plan_rollout(self, app: str, wish: RolloutWishBody) -> "RolloutForecast":
        """Tell how long each step of a rollout would take, or will."""
        from balancer.services.rollout_planning import RolloutForecast

        query = query_of(wish.model_dump())
        return self._call(RolloutForecast, "GET", f"/api/apps/{app_part(app)}/rollout/plan{query}")

    def start_rollout(self, app: str, new: NewRollout) -> RolloutBody:
        """Begin to give a branch to more and more visitors."""
        return self._call(RolloutBody, "POST", f"/api/apps/{app_part(app)}/rollout", new)

    def rollout(self, app: str) -> StandingBody:
        """Tell how the rollout stands that goes on, else the one that ended last."""
        return self._call(StandingBody, "GET", f"/api/apps/{app_part(app)}/rollout")

    def rollout_decisions(self, app: str) -> "list[Decision]":
        """List what was decided of that rollout, the oldest first."""
        from balancer.services.decisions import Decision

        return self._call(list[Decision], "GET", f"/api/apps/{app_part(app)}/rollout/decisions")

    def change_rollout(self, app: str, what: Literal["pause", "resume", "advance"]) -> RolloutBody:
        """Let a rollout wait, go on, or take its next step."""
        return self._call(RolloutBody, "POST", f"/api/apps/{app_part(app)}/rollout/{what}")

    def abort_rollout(self, app: str) -> RolloutBody:
        """End a rollout, and its split."""
        return self._call(RolloutBody, "DELETE", f"/api/apps/{app_part(app)}/rollout")

    def promote_rollout(self, app: str) -> Iterator[Progress]:
        """Give the branch of a rollout to everybody; give each step, the last one with the rollout."""
        return self._progress("POST", f"/api/apps/{app_part(app)}/rollout/promote", None)

    def start_bandit(self, app: str, new: NewBandit) -> BanditBody:
        """Begin to share visitors among branches by what they earn."""
        return self._call(BanditBody, "POST", f"/api/apps/{app_part(app)}/bandit", new)

    def bandit(self, app: str) -> BanditStandingBody:
        """Tell how the bandit stands that goes on, else the one that ended last."""
        return self._call(BanditStandingBody, "GET", f"/api/apps/{app_part(app)}/bandit")

    def bandit_decisions(self, app: str) -> "list[BanditDecision]":
        """List what was decided of that bandit, the oldest first."""
        from balancer.services.bandit_decisions import BanditDecision

        return self._call(list[BanditDecision], "GET", f"/api/apps/{app_part(app)}/bandit/decisions")

    def change_bandit(self, app: str, what: Literal["pause", "resume"]) -> BanditBody:
        """Let a bandit leave its weights as they are, or go on."""
        return self._call(BanditBody, "POST", f"/api/apps/{app_part(app)}/bandit/{what}")

    def abort_bandit(self, app: str) -> BanditBody:
        """End a bandit, and its split."""
        return self._call(BanditBody, "DELETE", f"/api/apps/{app_part(app)}/bandit")

    def promote_bandit(self, app: str, winner: str) -> Iterator[Progress]:
        """Give a branch of a bandit to everybody; give each step, the last one with the bandit."""
        return self._progress("POST", f"/api/apps/{app_part(app)}/bandit/promote", Promotion(winner=winner))
