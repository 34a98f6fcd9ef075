"""Stand-ins for the clock, the proxy and who is told, for tests of Balancer and of what is built on it.

Invariants:
    * Time goes only when it is told to.
    * The proxy keeps its promises to the services: what `apply` was given it does, or it raises and changes nothing.

There are no others: everything else is tested as it is.
"""

from datetime import UTC, datetime, timedelta

from balancer.domain.hard_stop import Answers
from balancer.domain.notice import Notice
from balancer.domain.routing import RouteTable
from balancer.domain.traffic import Traffic
from balancer.errors import ProxyFailed


class FakeClock:
    """A Clock that stands still until it is told to advance."""

    def __init__(self, now: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)) -> None:
        self.now = now
        self._set_by = 0.0

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now

    def advance(self, seconds: float) -> datetime:
        """Go on (or back), and return the new time."""
        self.now += timedelta(seconds=seconds)
        return self.now

    def set(self, seconds: float) -> datetime:
        """Be set forward (or back), while no time goes by, and return the new time."""
        self._set_by += seconds
        return self.advance(seconds)

    def ticks(self) -> float:
        """Return seconds that go on as often as it is told to advance, whatever it is set to."""
        return self.now.timestamp() - self._set_by


class FakeTeller:
    """A Teller that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Notice] = []
        """Notices, the oldest first; of those with the same key only the first."""

    async def tell(self, notice: Notice) -> None:
        """Remember a notice."""
        self.kept(notice, 0)

    def kept(self, notice: Notice, _dropped: int) -> None:
        """Remember one that a registry has kept, whose `on_told` this is to be."""
        if notice.key is None or all(each.key != notice.key for each in self.told):
            self.told.append(notice)


class FakeProxy:
    """A Proxy that takes no requests and remembers what it was told."""

    def __init__(self) -> None:
        self.table = RouteTable()
        """What it does."""
        self.in_flight: set[str] = set()
        """Names of the instances that shall seem to have requests in flight."""
        self.reachable: set[str] = set()
        """Names of those that old connections shall seem to lead to."""
        self.answered: dict[str, Answers] = {}
        """What each backend shall seem to have answered."""
        self.refuses = False
        """Whether it shall refuse what it is told."""

    async def apply(self, table: RouteTable) -> None:
        """Do what `table` says. Raises ProxyFailed where it shall."""
        if self.refuses:
            raise ProxyFailed("the fake proxy refuses, as it was told to; set `refuses` to False")
        self.table = table

    async def traffic(self) -> Traffic:
        """Return what shall seem to go on."""
        return Traffic(busy=frozenset(self.in_flight), reachable=frozenset(self.reachable))

    async def answers(self) -> dict[str, Answers]:
        """Return what shall seem to have been answered."""
        return dict(self.answered)
