"""How many connections HAProxy is given: as many as it can carry beside its checks."""

import resource

import pytest

from balancer.errors import HostUnfit
from balancer.proxy import capacity


@pytest.mark.parametrize(
    ("descriptors", "connections"),
    [(256, 100), (1024, 312), (20_000, 7_500), (50_000, 20_000), (1_000_000, 20_000), (-1, 20_000)],
)
def test_descriptors_are_kept_for_the_checks_of_thousands_of_servers(
    descriptors: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, descriptors))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert capacity.connections() == connections


def test_too_few_descriptors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (255, 255))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    with pytest.raises(HostUnfit, match="255 file descriptors are too few"):
        capacity.connections()
