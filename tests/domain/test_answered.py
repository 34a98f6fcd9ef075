"""Answers that the proxy counts, from look to look."""

from balancer.domain.answered import Answered
from balancer.domain.hard_stop import Answers
from balancer.domain.rollout_decision import NO_ANSWERS

ONE, OTHER = "test--shop", "master--shop"


def counted(one: tuple[int, int], other: tuple[int, int]) -> dict[str, Answers]:
    return {name: Answers(failed=n[0], other=n[1]) for name, n in ((ONE, one), (OTHER, other))}


def test_what_was_counted_before_does_not_count_and_what_comes_adds_up() -> None:
    answered = Answered(counted((5, 5), (7, 7)))
    answered.look(counted((6, 5), (7, 9)), ONE, OTHER, 1.0)
    answered.look(counted((6, 8), (8, 9)), ONE, OTHER, 2.0)
    assert answered.since(ONE) == answered.lately(ONE) == Answers(failed=1, other=3)
    assert answered.since(OTHER) == Answers(failed=1, other=2)
    assert answered.first == [Answers(failed=1, other=0), Answers(failed=0, other=3)]


def test_a_worker_that_begins_at_0_loses_nothing() -> None:
    answered = Answered(counted((0, 100), (0, 100)))
    answered.look(counted((2, 3), (0, 101)), ONE, OTHER, 1.0)
    assert answered.since(ONE) == Answers(failed=2, other=3)


def test_a_backend_that_was_not_counted_when_we_began_begins_with_its_first_look() -> None:
    answered = Answered({})
    answered.look(counted((9, 9), (9, 9)), ONE, OTHER, 1.0)
    assert (answered.since(ONE), answered.since(OTHER)) == (NO_ANSWERS, NO_ANSWERS)


def test_of_late_is_the_last_minute() -> None:
    answered = Answered(counted((0, 0), (0, 0)))
    answered.look(counted((9, 0), (0, 0)), ONE, OTHER, 10.0)
    answered.look(counted((9, 1), (0, 0)), ONE, OTHER, 70.0)
    assert answered.lately(ONE) == Answers(failed=9, other=1)
    answered.look(counted((9, 2), (0, 0)), ONE, OTHER, 71.0)
    assert answered.lately(ONE) == Answers(failed=0, other=2)
    assert answered.since(ONE) == Answers(failed=9, other=2)


def test_the_first_answers_are_those_until_twenty_have_come() -> None:
    answered = Answered(counted((0, 0), (0, 0)))
    answered.look(counted((0, 19), (0, 0)), ONE, OTHER, 1.0)
    answered.look(counted((5, 19), (0, 0)), ONE, OTHER, 2.0)
    answered.look(counted((9, 19), (0, 0)), ONE, OTHER, 3.0)
    assert answered.first == [Answers(failed=0, other=19), Answers(failed=5, other=0)]
