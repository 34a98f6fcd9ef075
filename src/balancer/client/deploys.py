"""What goes live: releases, branches, and what an app follows."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal
from urllib.parse import quote

from balancer.client.paths import app_part, query_of
from balancer.connection import Connection
from balancer.domain.app import TREE_LIMIT_BYTES, BranchName
from balancer.errors import InvalidInput
from balancer.wire.apps import AppBody, DefaultBranch, PreviewBody
from balancer.wire.arrivals import FetchBody, NewSource, Pull, SourceBody
from balancer.wire.releases import BranchBody, CancelledBody, Progress, ReleaseBody, Return


class DeployCalls(Connection):
    """What can be asked of releases, branches and sources."""

    def releases(self, app: str, limit: int = 50) -> list[ReleaseBody]:
        """List the releases of an app, newest first."""
        return self._call(list[ReleaseBody], "GET", f"/api/apps/{app_part(app)}/releases?limit={limit}")

    def rollback(self, app: str, branch: str | None = None, release: int | None = None) -> Iterator[Progress]:
        """Go back to the release before, or to `release`; give each step, the last one with the release."""
        return self._progress("POST", f"/api/apps/{app_part(app)}/rollback", Return(branch=branch, release=release))

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
        asked = {"message": message, "author": author, "during_freeze": during_freeze}
        query = query_of({**asked, "branch": branch, "rollout": rollout})
        headers = {"Content-Type": "application/x-tar", "Content-Length": str(size)}
        return self._progress("POST", f"/api/apps/{app_part(app)}/deploys/archive{query}", archive, headers)

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
        return self._progress("POST", f"/api/apps/{app_part(app)}/deploys/fetch", body)

    def cancel(self, app: str, branch: str | None) -> CancelledBody:
        """Cancel the deploy of a branch that is under way, the only one where none is named."""
        query = query_of({"branch": None if branch is None else BranchName(branch)})
        return self._call(CancelledBody, "DELETE", f"/api/apps/{app_part(app)}/deploys{query}")

    def branches(self, app: str) -> list[BranchBody]:
        """List the live branches of an app."""
        return self._call(list[BranchBody], "GET", f"/api/apps/{app_part(app)}/branches")

    def delete_branch(self, app: str, branch: str) -> Iterator[Progress]:
        """Take a branch down; give each step, the last one with the release that was live."""
        return self._progress("DELETE", f"/api/apps/{app_part(app)}/branches/{quote(BranchName(branch))}", None)

    def set_default_branch(self, app: str, branch: str) -> AppBody:
        """Make a live branch what visitors see outside a split."""
        return self._call(AppBody, "PUT", f"/api/apps/{app_part(app)}/default-branch", DefaultBranch(branch=branch))

    def previews(self, app: str, *, fresh: bool = False) -> list[PreviewBody]:
        """Return what shows each live branch; with `fresh` what was given out before ends."""
        query = query_of({"fresh": fresh or None})
        return self._call(list[PreviewBody], "PUT", f"/api/apps/{app_part(app)}/previews{query}")

    def source(self, app: str) -> SourceBody:
        """Return what an app follows."""
        return self._call(SourceBody, "GET", f"/api/apps/{app_part(app)}/source")

    def set_source(self, app: str, url: str, branches: Sequence[str]) -> SourceBody:
        """Let an app follow a repository elsewhere."""
        return self._call(
            SourceBody, "PUT", f"/api/apps/{app_part(app)}/source", NewSource(url=url, branches=[*branches])
        )

    def remove_source(self, app: str) -> None:
        """Follow no longer."""
        self._send("DELETE", f"/api/apps/{app_part(app)}/source")

    def pull_source(self, app: str, branch: str | None, *, during_freeze: bool = False) -> Iterator[Progress]:
        """Fetch a branch of the source, and deploy what is new; give each step."""
        body = Pull(branch=branch, during_freeze=during_freeze)
        return self._progress("POST", f"/api/apps/{app_part(app)}/source/pull", body)
