"""A running HAProxy is renewed: executed again from what is installed now, under load."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from balancer.errors import ProxyFailed
from balancer.proxy.installed import find_executable
from hammering import Hammer, Tally
from proxies import Installation, RunningProxy, get, running_proxy, serving, shop
from waiting import eventually

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def hammered(proxy: RunningProxy) -> AsyncIterator[Tally]:
    """Let clients read the shop for as long as the block lasts, and none of them fail or be refused."""
    work = Hammer(proxy.life.port, "shop.localhost", kept=4, fresh=4).at_work()
    tally = work.__enter__()
    try:
        await eventually(lambda: tally.requests > 100, 30)
        yield tally
        aim = tally.requests + 200
        await eventually(lambda: tally.requests > aim, 30)
    finally:
        await asyncio.to_thread(work.__exit__, None, None, None)  # the instance has to go on meanwhile
    assert tally.failed == 0, tally.describe()


async def test_a_haproxy_whose_file_was_replaced_is_renewed_and_nobody_notices(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    async with serving() as one, running_proxy(tmp_path, shop(one.port), str(installation.path)) as proxy:
        one.may_answer.set()
        before, master = await proxy.haproxy.worker(), await proxy.pid()
        assert before.version == installation.version
        async with hammered(proxy) as tally:
            other = installation.upgrade()
            assert (await proxy.haproxy.worker()).version == before.version
            renewed = await proxy.haproxy.renew()
        print(f"\nHAProxy {before.version} became {renewed.version}: {tally.describe()}")
        assert (renewed.version, await proxy.pid()) == (other, master)
        assert renewed.pid != before.pid
        for pid in (master, renewed.pid):
            assert Path(f"/proc/{pid}/exe").samefile(installation.path)
        await proxy.haproxy.apply(shop(one.port))
        assert (await get(proxy, "shop.localhost")).text == "ok"


async def test_a_link_to_haproxy_that_was_switched_is_followed_as_often_as_asked(tmp_path: Path) -> None:
    one_file, link = Installation(tmp_path), tmp_path / "haproxy-link"
    link.symlink_to(one_file.path)
    async with serving() as one, running_proxy(tmp_path, shop(one.port), str(link)) as proxy:
        one.may_answer.set()
        workers = {(await proxy.haproxy.worker()).pid}
        async with hammered(proxy) as tally:
            for target in (find_executable("haproxy"), str(one_file.path)) * 2:
                link.unlink()
                link.symlink_to(target)
                renewed = await proxy.haproxy.renew()
                assert Path(f"/proc/{renewed.pid}/exe").samefile(target)
                workers.add(renewed.pid)
        print(f"\n4 renewals of HAProxy: {tally.describe()}")
        assert len(workers) == 5


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (b"\x7fELF, half of it", "cannot be checked"),
        (b"#!/bin/sh\necho 'it finds no library' >&2\nexit 127\n", "it finds no library"),
    ],
)
async def test_a_haproxy_that_cannot_run_is_not_renewed_to(tmp_path: Path, program: bytes, said: str) -> None:
    installation = Installation(tmp_path)
    async with serving() as one, running_proxy(tmp_path, shop(one.port), str(installation.path)) as proxy:
        one.may_answer.set()
        before = await proxy.haproxy.worker()
        installation.install(program)
        with pytest.raises(ProxyFailed, match=said):
            await proxy.haproxy.renew()
        assert (await proxy.haproxy.worker()).pid == before.pid
        assert (await get(proxy, "shop.localhost")).text == "ok"


async def test_a_haproxy_that_was_started_from_another_path_is_said_not_to_be_the_one_installed(
    tmp_path: Path,
) -> None:
    installation = Installation(tmp_path)
    other = installation.upgrade()
    async with running_proxy(tmp_path) as proxy:
        proxy.haproxy.executable = str(installation.path)
        with pytest.raises(ProxyFailed, match=f"runs on.*which is {re.escape(other)}.*SIGTERM"):
            await proxy.haproxy.renew()
