"""Splits: planned, steered, ended and reported on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from balancer.client.paths import app_part, query_of
from balancer.connection import Connection
from balancer.domain.split import SplitId
from balancer.wire.plans import WishBody
from balancer.wire.releases import Progress
from balancer.wire.splits import Conclusion, NewSplit, NewTwin, SplitBody, WeightsBody

if TYPE_CHECKING:  # a command that does not show them does not load what makes them
    from balancer.services.breakdown import Breakdown
    from balancer.services.planning import SplitPlan
    from balancer.services.release_report import ReleaseReport
    from balancer.services.report import Report


class SplitCalls(Connection):
    """What can be asked of splits."""

    def plan(self, app: str, wish: WishBody) -> "SplitPlan":
        """Tell how many visitors and days a split would need, and what it could show in 14 days."""
        from balancer.services.planning import SplitPlan

        query = query_of(wish.model_dump())
        return self._call(SplitPlan, "GET", f"/api/apps/{app_part(app)}/plan{query}")

    def start_split(self, app: str, new: NewSplit) -> SplitBody:
        """Begin a split."""
        return self._call(SplitBody, "POST", f"/api/apps/{app_part(app)}/split", new)

    def start_aa_split(self, app: str, new: NewTwin) -> Iterator[Progress]:
        """Begin a split of a branch and a twin that is made of it; give each step, the last one with the split."""
        return self._progress("POST", f"/api/apps/{app_part(app)}/split/aa", new)

    def set_weights(self, app: str, weights: WeightsBody) -> SplitBody:
        """Give the running split new weights."""
        return self._call(SplitBody, "PATCH", f"/api/apps/{app_part(app)}/split", weights)

    def cancel_split(self, app: str) -> SplitBody:
        """End the running split."""
        return self._call(SplitBody, "DELETE", f"/api/apps/{app_part(app)}/split")

    def change_split(self, app: str, what: Literal["pause", "resume", "reshuffle"]) -> SplitBody:
        """Pause the split, go on with it, or begin it anew with another id."""
        return self._call(SplitBody, "POST", f"/api/apps/{app_part(app)}/split/{what}")

    def conclude_split(self, app: str, winner: str) -> Iterator[Progress]:
        """End the split with a winner; give each step, the last one with the split."""
        return self._progress("POST", f"/api/apps/{app_part(app)}/split/conclude", Conclusion(winner=winner))

    def promote(self, app: str) -> Iterator[Progress]:
        """Make the winner that visitors see the default branch's release; give each step."""
        return self._progress("POST", f"/api/apps/{app_part(app)}/promotion", None)

    def split(self, app: str, split: str | None = None) -> SplitBody:
        """Return one split; none named: the one that is not over, else the one that ended last."""
        path = f"splits/{SplitId(split)}" if split else "split"
        return self._call(SplitBody, "GET", f"/api/apps/{app_part(app)}/{path}")

    def splits(self, app: str) -> list[SplitBody]:
        """List every split of an app, the newest first."""
        return self._call(list[SplitBody], "GET", f"/api/apps/{app_part(app)}/splits")

    def report(self, app: str, split: str | None = None, *, again: bool = False) -> "Report":
        """Compare the variants of a split; none named: of what is not over, else of what ended last."""
        from balancer.services.report import Report

        query = query_of({"split": split, "again": again or None})
        return self._call(Report, "GET", f"/api/apps/{app_part(app)}/report{query}")

    def report_by_release(self, app: str, split: str | None = None) -> "ReleaseReport":
        """Show the same split by the release that each visitor was exposed by."""
        from balancer.services.release_report import ReleaseReport

        return self._call(
            ReleaseReport, "GET", f"/api/apps/{app_part(app)}/report/releases{query_of({'split': split})}"
        )

    def report_by_dimension(
        self, app: str, dimension: str, metric: str | None = None, split: str | None = None
    ) -> "Breakdown":
        """Show one metric of the same split by a dimension of its visitors."""
        from balancer.services.breakdown import Breakdown

        query = query_of({"metric": metric, "split": split})
        return self._call(Breakdown, "GET", f"/api/apps/{app_part(app)}/report/by/{quote(dimension, safe='')}{query}")
