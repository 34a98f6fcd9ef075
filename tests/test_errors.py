"""The tree of errors is the one that its module draws, with the statuses and exit codes that stand there."""

import re

import pytest

from balancer import errors
from balancer.errors import AppNotFound, BalancerError, Conflict, NotFound, from_code, tree

# One node of the drawing: its depth, its name, and at the roots of branches the status and the exit code.
_NODE = re.compile(r"^    ((?:[│├└─ ]{4})*)(\w+)(?: +(\d+)(?: +(\d+))?| +status  exit code)?$", re.MULTILINE)


def drawn() -> list[tuple[str, str, int, int]]:
    """Return (error, the error above it, status, exit code) for each node of the drawing, in its order."""
    nodes: list[tuple[str, str, int, int]] = []
    above: list[tuple[str, int, int]] = []
    for branch, name, status, exit_code in _NODE.findall(errors.__doc__ or ""):
        depth = len(branch) // 4
        del above[depth:]
        parent, status_above, exit_code_above = above[-1] if above else ("Exception", 500, 1)
        node = (name, int(status or status_above), int(exit_code or exit_code_above))
        nodes.append((name, parent, *node[1:]))
        above.append(node)
    return nodes


def test_the_drawing_is_what_there_is() -> None:
    there = [(each.__name__, (each.__base__ or object).__name__, each.status, each.exit_code) for each in tree()]
    assert drawn() == there
    assert len(there) > 25


@pytest.mark.parametrize("error", tree())
def test_every_error_says_what_it_means(error: type[BalancerError]) -> None:
    assert error.__doc__
    assert 400 <= error.status < 600
    assert 1 <= error.exit_code < 64


def test_a_code_is_the_name_in_kebab_case_and_no_two_are_the_same() -> None:
    assert AppNotFound.code() == "app-not-found"
    assert len({error.code() for error in tree()}) == len(tree())


@pytest.mark.parametrize("error", tree())
def test_a_code_gives_the_error_again_with_its_message(error: type[BalancerError]) -> None:
    again = from_code(error.code(), "what was said")
    assert type(again) is error
    assert str(again) == "what was said"


def test_a_code_of_a_newer_daemon_gives_an_error_all_the_same() -> None:
    again = from_code("moon-in-the-way", "wait a while")
    assert type(again) is BalancerError
    assert (str(again), again.exit_code) == ("wait a while", 1)


def test_the_tree_below_an_error_begins_with_it() -> None:
    assert tree(Conflict)[0] is Conflict
    assert AppNotFound in tree(NotFound)
    assert AppNotFound not in tree(Conflict)
