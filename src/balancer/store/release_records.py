"""Releases in the registry, as its callers see them; their Protocol tells what each method means.

Invariants:
    * A method is one transaction, of which what people are told of it is a part.
    * The config vars of a release are on the disk only encrypted.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection

from balancer.domain.app import AppMode, AppName, BranchName, Commit, ConfigChanges, ConfigKey, ConfigValue
from balancer.domain.manifest import Manifest
from balancer.domain.notice import did_not_go_live, was_rolled_back, went_live
from balancer.domain.release import Release
from balancer.domain.rollout_notice import rollout_ended
from balancer.store import apps, canaries, config_vars, releases
from balancer.store.sealed import Sealed


class ReleaseRecords(Sealed):
    """What the registry knows of releases."""

    async def open_release(
        self, app: AppName, branch: BranchName, commit: Commit, *, subject: str, author: str
    ) -> Release:
        """Add a building release. Raises AppNotFound, InvalidName where its slug is another branch's."""
        now = self._clock()

        def opening(connection: Connection) -> Release:
            config = config_vars.sealed(self._cipher, config_vars.read(connection, self._cipher, app))
            return releases.add(connection, app, branch, commit, subject=subject, author=author, config=config, now=now)

        return await self._transact(opening)

    async def open_twin(self, live: Release, branch: BranchName, *, subject: str, author: str) -> Release:
        """Add a starting release of a branch that is what `live` is: its commit, tree and config vars."""
        assert live.manifest is not None
        now, manifest = self._clock(), live.manifest

        def opening(connection: Connection) -> Release:
            release = releases.add(
                connection,
                live.app,
                branch,
                live.commit,
                subject=subject,
                author=author,
                config=releases.config(connection, live.id),
                now=now,
                tree=live.tree,
            )
            return releases.start(connection, release.id, manifest)

        return await self._transact(opening)

    async def open_config_release(self, live: Release, changes: ConfigChanges, *, subject: str, author: str) -> Release:
        """Add a starting release of what `live` runs, with other config vars. Raises AppNotFound."""
        assert live.manifest is not None
        now, manifest = self._clock(), live.manifest

        def opening(connection: Connection) -> Release:
            config = config_vars.changed(config_vars.read(connection, self._cipher, live.app), changes)
            release = releases.add(
                connection,
                live.app,
                live.branch,
                live.commit,
                subject=subject,
                author=author,
                config=config_vars.sealed(self._cipher, config),
                now=now,
                tree=live.tree,
            )
            return releases.start(connection, release.id, manifest)

        return await self._transact(opening)

    async def reconfigure(self, app: AppName, changes: ConfigChanges, release_ids: Collection[int]) -> dict[str, str]:
        """Change config vars, and make the releases that have them live; a stopped app stays stopped.

        Raises AppNotFound, DomainTaken, IllegalTransition, ReleaseNotFound; then nothing has changed.
        """
        now = self._clock()

        def reconfiguring(connection: Connection) -> dict[str, str]:
            for release_id in release_ids:
                self._tell(connection, went_live(releases.activate(connection, release_id, now)))
            return config_vars.change(connection, self._cipher, app, changes)

        return await self._transact(reconfiguring)

    async def complete_config(self, release_id: int, defaults: Mapping[ConfigKey, ConfigValue]) -> dict[str, str]:
        """Give an app, and a building release of it, the config vars that it has none of yet; return the release's.

        Raises ReleaseNotFound.
        """

        def completing(connection: Connection) -> dict[str, str]:
            app = releases.get(connection, release_id).app
            of_app = config_vars.read(connection, self._cipher, app)
            missing: dict[str, str | None] = {key: text for key, text in defaults.items() if key not in of_app}
            of_app = config_vars.change(connection, self._cipher, app, missing)
            before = config_vars.opened(self._cipher, releases.config(connection, release_id))
            config = {**{str(key): of_app[key] for key in defaults}, **before}
            releases.set_config(connection, release_id, config_vars.sealed(self._cipher, config))
            return config

        return await self._transact(completing)

    async def release_config(self, release_id: int) -> dict[str, str]:
        """Return the config vars of a release. Raises ReleaseNotFound."""
        return config_vars.opened(self._cipher, await self._transact(releases.config, release_id))

    async def start_release(self, release_id: int, manifest: Manifest) -> Release:
        """Move a building, retired or draining release to starting. Raises IllegalTransition, ReleaseNotFound."""
        return await self._transact(releases.start, release_id, manifest)

    async def set_branch(self, release_id: int, branch: BranchName) -> Release:
        """Make a building release one of another branch. Raises IllegalTransition, InvalidName, ReleaseNotFound."""
        return await self._transact(releases.set_branch, release_id, branch)

    async def activate(
        self,
        release_id: int,
        *,
        with_config: bool = False,
        superseding: bool = False,
        failed: tuple[Release, str] | None = None,
    ) -> Release:
        """Make a release live and the one before it draining, what serves of it standing by; a stopped app serves.

        Raises DomainTaken, IllegalTransition, ReleaseNotFound; then nothing has changed.
        """
        now = self._clock()

        def activating(connection: Connection) -> Release:
            release = releases.activate(connection, release_id, now)
            self._tell(connection, went_live(release))
            app = apps.get(connection, release.app)
            if app.mode is AppMode.STOPPED:
                apps.set_mode(connection, release.app, AppMode.SERVING)
            if release.branch == app.default_branch and (superseding or app.promoted):
                ended = canaries.end(connection, release.app, now, superseded_by=release if superseding else None)
                if ended is not None:
                    self._tell(connection, rollout_ended(ended))
                apps.promote(connection, release.app, None)  # this is what visitors are to see now
            if with_config:
                then = config_vars.opened(self._cipher, releases.config(connection, release_id))
                config_vars.replace(connection, self._cipher, release.app, then)
            if failed is not None:
                bad, why = failed
                releases.note_reason(connection, bad.id, f"rolled back to release {release.number}: {why}")
                self._tell(connection, was_rolled_back(bad, release, why))
            return release

        return await self._transact(activating)

    async def fail_release(self, release_id: int, reason: str) -> Release:
        """Move a release to failed (to retired, if it was live once).

        Raises IllegalTransition, ReleaseNotFound.
        """

        def failing(connection: Connection) -> Release:
            release = releases.fail(connection, release_id, reason)
            self._tell(connection, did_not_go_live(release, reason))
            return release

        return await self._transact(failing)

    async def failed_deploys(self, since: datetime) -> tuple[Release, ...]:
        """Return each release begun since then that failed and that none of its branch has followed, newest first."""
        return await self._transact(releases.failed_last, since)

    async def retire_release(self, release_id: int) -> Release:
        """Move a draining release to retired. Raises IllegalTransition, ReleaseNotFound."""
        return await self._transact(releases.retire, release_id)

    async def releases(self, app: AppName, limit: int = 50) -> tuple[Release, ...]:
        """Return the app's releases, newest first. Raises AppNotFound."""
        return await self._transact(releases.newest, app, limit)

    async def release_before(self, app: AppName, branch: BranchName) -> Release:
        """Return the release that was live before the one that is. Raises ReleaseNotFound."""
        return await self._transact(releases.before, app, branch)
