"""Builds: what a commit needs before it can be started, and what runs once it is live.

Invariants:
    * A release whose config vars are not all there is not built.
    * What fails after the switch is told and changes nothing.
"""

import asyncio
import secrets
from dataclasses import replace

from balancer import logs
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import ConfigKey, ConfigValue, Domain
from balancer.domain.manifest import WEB, Manifest
from balancer.domain.release import Release
from balancer.errors import BuildFailed, ConfigVarMissing, InvalidManifest
from balancer.services.interfaces import Builder, Repository, Tell, Workspace
from balancer.services.registry import Registry

log = logs.named("deploy")
# 32 bytes, 43 characters: as long as the longest key that frameworks ask for.
_SECRET_BYTES = 32


class Builds:
    """Builds releases."""

    def __init__(
        self, registry: Registry, repository: Repository, workspace: Workspace, builder: Builder, *, domain: Domain
    ) -> None:
        self._registry = registry
        self._repository = repository
        self._workspace = workspace
        self._builder = builder
        self._domain = domain

    async def unpack(self, release: Release, tell: Tell) -> Manifest:
        """Write the tree of a release out, and return what it says of itself. Raises BuildFailed, InvalidManifest."""
        directory = await asyncio.to_thread(self._workspace.create, release)
        tell(f"-----> Building {release.app} {release.branch}: {release.commit.short} “{release.subject}”")
        await self._repository.export(release.app, release.commit, directory)
        passed(CrashPoint.TREE_EXPORTED)
        manifest = self._builder.manifest(directory)
        self._check_domains(manifest)
        served = manifest.processes.get(WEB, f"the static directory {manifest.static}")
        tell(f"       by {manifest.source.value}: {served}")
        return manifest

    async def build(self, release: Release, manifest: Manifest, tell: Tell) -> None:
        """Make an unpacked release ready to be started. Raises BuildFailed, ConfigVarMissing."""
        config = await self._config(release, manifest, tell)
        release = replace(release, manifest=manifest)
        await self._builder.build(release, config, tell)
        for what, command in (("the predeploy command", manifest.predeploy), ("the release command", manifest.release)):
            if command:
                await self._builder.run(what, command, release, config, tell)

    async def conclude(self, release: Release, tell: Tell) -> None:
        """Run what the manifest of a release wants once it is live; a failure is told."""
        assert release.manifest is not None
        manifest = release.manifest
        commands = [("the postdeploy command", manifest.postdeploy)]
        if manifest.first_deploy and await self._is_first(release):
            commands.insert(0, ("the command of the first deploy", manifest.first_deploy))
        config = await self._registry.release_config(release.id)
        for what, command in commands:
            if command is None:
                continue
            try:
                await self._builder.run(what, command, release, config, tell)
            except BuildFailed as reason:
                tell(f"       {reason}; the release is live all the same")
                log.warning("release.postdeploy.failed", app=release.app, release=release.number, reason=str(reason))

    async def _config(self, release: Release, manifest: Manifest, tell: Tell) -> dict[str, str]:
        """Return the config vars of a release, with the secrets that its manifest wants made up."""
        config = await self._registry.release_config(release.id)
        lacking = [key for key in manifest.required if key not in config and key not in manifest.env]
        if lacking:
            raise ConfigVarMissing(release.app, lacking)
        wanted = [key for key in manifest.secrets if key not in config]
        if not wanted:
            return config
        made: dict[ConfigKey, ConfigValue] = {key: ConfigValue(secrets.token_urlsafe(_SECRET_BYTES)) for key in wanted}
        tell(f"       made up config vars: {', '.join(wanted)}")
        return await self._registry.complete_config(release.id, made)

    async def _is_first(self, release: Release) -> bool:
        releases = await self._registry.releases(release.app, limit=1000)
        return all(each.activated_at is None for each in releases if each.id != release.id)

    def _check_domains(self, manifest: Manifest) -> None:
        for domain in manifest.domains:
            if domain == self._domain or domain.endswith(f".{self._domain}"):
                raise InvalidManifest(
                    f"the domain {domain} lies below {self._domain}, which the platform gives out itself: leave it out"
                )
