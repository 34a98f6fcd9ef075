"""The hard stop: a canary whose first answers fail one after the other is stopped, before any statistics.

Invariants:
    * It stops only what has certainly given five 5xx in a row among its first 20 answers, in whichever order the
      answers between two samples came.
    * Where every answer is seen by itself, it stops whenever that has happened.
    * What comes after the first 20 answers changes nothing.

HAProxy counts answers and 5xx of a server; read every second they tell how many of each came in between, not in which
order. Of ten answers of which nine failed, five failed in a row wherever the good one stood; of ten of which eight
failed, perhaps not. Then this says no, and the guardrails judge. The rollout reads it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

# 5: where one request in 20 fails on a sound canary, five in a row among 20 happen once in 210,000 canaries.
IN_A_ROW = 5
# 20: a release that cannot serve shows it at once; what comes later is told from a burst by the guardrails only.
FIRST_ANSWERS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What came between two samples: the second's counters less the first's."""

    failed: int
    """Answers of 500 and above."""
    other: int

    def __post_init__(self) -> None:
        if min(self.failed, self.other) < 0:
            raise ValueError(
                f"{self.failed} failed and {self.other} other answers: counters that began anew are no sample"
            )

    def __add__(self, other: "Answers") -> "Answers":
        """Return both together."""
        return Answers(failed=self.failed + other.failed, other=self.other + other.other)


def five_in_a_row(samples: Iterable[Answers]) -> bool:
    """Return whether five of the first 20 answers certainly failed in a row; `samples` from the first answer on.

    It keeps the fewest failures that can stand at the end of what has come, if no five stood together before: good
    answers part the failures best one after each four, and as late as they can.
    """
    before, at_the_end = 0, 0
    for sample in samples:
        room = FIRST_ANSWERS - before
        # Beyond the 20th may be any of them: failures, as far as there are any.
        good = min(sample.other, room)
        failed = min(sample.failed, room - good)
        if good:
            apart = (IN_A_ROW - 1 - at_the_end) + (IN_A_ROW - 1) * (good - 1)
            at_the_end = max(0, failed - apart)
        else:
            at_the_end += failed
        if at_the_end >= IN_A_ROW:
            return True
        before += good + failed
    return False
