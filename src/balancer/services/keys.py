"""Keys: who may push over ssh.

Invariant: the file that sshd reads follows the registry, at every change and at every start.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Protocol

from balancer import logs
from balancer.domain.key import Key, KeyName, PublicKey
from balancer.errors import BalancerError, HostUnfit
from balancer.services.registry import Registry

log = logs.named("keys")


class KeyFile(Protocol):
    """What sshd reads."""

    def write(self, keys: Iterable[Key]) -> None:
        """Make `keys` those that may push. Raises HostUnfit."""


class Keys:
    """Carries out what an operator asks of keys."""

    def __init__(self, registry: Registry, file: KeyFile) -> None:
        self._registry = registry
        self._file = file
        self._writing = asyncio.Lock()
        """Held from reading the keys until they are written."""

    async def add(self, name: KeyName, public: PublicKey) -> Key:
        """Let a key push. Raises Conflict where it is there, HostUnfit where sshd's file cannot be written."""
        key = await self._registry.add_key(name, public)
        try:
            await self._write()
        except HostUnfit:
            with contextlib.suppress(BalancerError):
                await self._registry.remove_key(name)
            raise
        log.info("key.added", key=name, fingerprint=public.fingerprint)
        return key

    async def remove(self, name: KeyName) -> None:
        """Let a key push no longer. Raises NotFound, HostUnfit."""
        await self._registry.remove_key(name)
        log.info("key.removed", key=name)
        await self._write()

    async def publish(self) -> None:
        """Write the keys once, at a start; where that fails only pushes over ssh do."""
        try:
            await self._write()
        except HostUnfit as reason:
            log.error("keys.not.written", reason=str(reason))

    async def _write(self) -> None:
        async with self._writing:
            keys = await self._registry.keys()
            await asyncio.to_thread(self._file.write, keys)
