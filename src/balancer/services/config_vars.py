"""Config vars: each change is a release of the same tree on every live branch, or nothing has changed.

Invariants:
    * The app's config vars change in the transaction in which the releases that have them go live.
    * What was built is not built again: such a release runs the tree of the one before.
"""

import asyncio

from balancer import logs
from balancer.crashpoints import CrashPoint, passed
from balancer.domain.app import AppMode, AppName, ConfigChanges
from balancer.domain.release import Release
from balancer.services.interfaces import Tell
from balancer.services.launch import Launcher
from balancer.services.registry import Registry
from balancer.services.switch import Switch
from balancer.services.turns import Turns

log = logs.named("config")
_AUTHOR = "operator"


class ConfigVars:
    """Carries out changes of config vars."""

    def __init__(self, registry: Registry, launcher: Launcher, turns: Turns, switch: Switch) -> None:
        self._registry = registry
        self._launcher = launcher
        self._turns = turns
        self._switch = switch

    async def change(self, app: AppName, changes: ConfigChanges, tell: Tell, *, later: bool) -> dict[str, str]:
        """Set and remove config vars, and return all; with `later` what is live goes on with those that it has.

        Raises AppNotFound, NotHealthy, PortsExhausted.
        """
        async with self._turns.of(app, None, tell):
            stopped = (await self._registry.app(app)).mode is AppMode.STOPPED
            before = await self._registry.config(app)
            what = summary({key: value for key, value in changes.items() if before.get(key) != value})
            live = [] if later else await self._live_without(app, changes)
            if not live:
                tell(f"-----> {what or 'Nothing changes'}{': for the next release' if later and what else ''}")
                log.info("config.set", app=app, keys=sorted(changes))
                return await self._registry.set_config(app, changes)
            subject = f"Config: {what or 'as it was set'}"
            opened: list[Release] = []
            try:
                for each in live:
                    opened.append(
                        await self._registry.open_config_release(each, changes, subject=subject, author=_AUTHOR)
                    )
                    passed(CrashPoint.CONFIG_RELEASE_OPENED)
                    number = opened[-1].number
                    tell(f"-----> {app} {each.branch}: release {number} runs {each.commit.short} on. {subject}")
                if not stopped:  # then `start` launches what is live
                    await self._launch(opened, tell)
                found = await self._registry.reconfigure(app, changes, [release.id for release in opened])
                passed(CrashPoint.RECONFIGURED)
            except BaseException as reason:
                for release in opened:
                    await self._switch.abandon(release, reason, keep_tree=True)
                raise
            log.info("config.set", app=app, keys=sorted(changes))
            for release in opened:
                await self._switch.follow(release, tell)
            return found

    async def _live_without(self, app: AppName, changes: ConfigChanges) -> list[Release]:
        """Return the live releases whose config vars would be others."""
        wanted = {**await self._registry.config(app), **changes}
        wanted_of_release = {key: value for key, value in wanted.items() if value is not None}
        live = (await self._registry.snapshot()).live(app).values()
        return [release for release in live if await self._registry.release_config(release.id) != wanted_of_release]

    async def _launch(self, releases: list[Release], tell: Tell) -> None:
        try:
            async with asyncio.TaskGroup() as launches:
                for release in releases:
                    launches.create_task(self._launcher.launch(release, tell))
        except BaseExceptionGroup as failures:  # the first that failed has ended the others
            raise failures.exceptions[0] from None


def summary(changes: ConfigChanges) -> str:
    """Return in words what changes; names only, values may be secrets."""
    parts = {
        "set": [key for key, value in changes.items() if value is not None],
        "unset": [key for key, value in changes.items() if value is None],
    }
    return ", ".join(f"{verb} {', '.join(keys)}" for verb, keys in parts.items() if keys)
