"""Launches of real instances: a port that somebody else takes in between is never taken for health."""

import contextlib
import socket
from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest

from balancer.errors import PortStolen
from balancer.runner.ports import Ports
from platforms import InProcess, app_files, in_process, probe_quickly

pytestmark = pytest.mark.anyio


class Thief:
    """Takes the first few ports as soon as they were chosen for an instance."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
        self.stolen: list[int] = []
        self.sockets = contextlib.ExitStack()
        choose = Ports.choose

        def choose_and_steal(ports: Ports, leased: AbstractSet[int]) -> int:
            port = choose(ports, leased)
            if len(self.stolen) < count:
                self.stolen.append(port)
                self.sockets.enter_context(socket.create_server(("127.0.0.1", port)))
            return port

        monkeypatch.setattr(Ports, "choose", choose_and_steal)


@pytest.fixture
async def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcess]:
    """A platform that asks its instances more often, so that these tests are quick."""
    probe_quickly(monkeypatch)
    async with in_process(tmp_path) as made:
        yield made


async def test_another_port_is_tried_and_that_is_told(platform: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    thief = Thief(monkeypatch, 3)
    with thief.sockets:
        release = await platform.push(await platform.create(), app_files("one"))
        assert await platform.page(release) == "one"
        (live,) = await platform.instances(release)
        assert live.label == "web.1"
        assert await platform.registry.leased_ports() == {live.port}
    told = [line for line in platform.told if "another process listens on the port" in line]
    for port, line in zip(thief.stolen, told, strict=True):
        assert f"the port {port} " in line
    assert f"trying {live.port} instead" in told[-1]


async def test_after_three_others_it_is_given_up(platform: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    thief = Thief(monkeypatch, 4)
    with thief.sockets, pytest.raises(PortStolen, match=r"another process listens on the port"):
        await platform.push(await platform.create(), app_files("one"))
    assert len(thief.stolen) == 4
    assert await platform.live() is None
