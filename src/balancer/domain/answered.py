"""What a branch and its control have answered since somebody began to look, from what the proxy counts of each backend.

Invariants:
    * What a backend had counted before the first look does not count; a worker that begins at 0 loses nothing.
    * What is older than a minute is not of late.

Used by `rollout_figures`, a value a rollout and release; times are ticks.
"""

from collections import deque
from collections.abc import Mapping

from balancer.domain.hard_stop import FIRST_ANSWERS, Answers
from balancer.domain.rollout_decision import LATELY_SECONDS, NO_ANSWERS


class Answered:
    """The answers of two backends, from look to look."""

    def __init__(self, before: Mapping[str, Answers]) -> None:
        """Begin where the proxy has counted `before` of each backend."""
        self.counted = dict(before)
        """What the proxy had counted at the latest look."""
        self.first: list[Answers] = []
        """What the branch has answered from one look to the next, until its first answers are over."""
        self._since: dict[str, Answers] = {}
        self._lately: deque[tuple[float, str, Answers]] = deque()
        """What came from one look to the next, with the ticks of the look."""

    def look(self, counted: Mapping[str, Answers], canary: str, control: str, ticks: float) -> None:
        """Note what both have answered since the latest look."""
        for backend in (canary, control):
            now = counted.get(backend, NO_ANSWERS)
            # Of what was not to be counted when we began, nobody knows what came since.
            new, so_far = _between(self.counted.get(backend, now), now), self.since(backend)
            if backend == canary and so_far.failed + so_far.other < FIRST_ANSWERS:
                self.first.append(new)
            self.counted[backend] = now
            self._since[backend] = so_far + new
            self._lately.append((ticks, backend, new))
        while ticks - self._lately[0][0] > LATELY_SECONDS:
            self._lately.popleft()

    def since(self, backend: str) -> Answers:
        """Return what a backend has answered since the first look."""
        return self._since.get(backend, NO_ANSWERS)

    def lately(self, backend: str) -> Answers:
        """Return what it has answered within the last minute."""
        return sum((new for _, each, new in self._lately if each == backend), NO_ANSWERS)


def _between(before: Answers, now: Answers) -> Answers:
    """Return what came in between; a worker that has just been loaded begins at 0."""
    if now.failed < before.failed or now.other < before.other:
        return now
    return Answers(failed=now.failed - before.failed, other=now.other - before.other)
