"""Roles."""

from balancer.domain.role import Role


def test_an_operator_may_do_what_a_reader_may_and_not_the_other_way_round() -> None:
    assert [[has.may(needs) for needs in (Role.READER, Role.OPERATOR)] for has in (Role.READER, Role.OPERATOR)] == [
        [True, False],
        [True, True],
    ]
