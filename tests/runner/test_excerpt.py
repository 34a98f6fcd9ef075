"""What is told of an output: its first lines and its last, and how many lie between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.runner.excerpt import Excerpt


def excerpt(*chunks: bytes) -> list[str]:
    """Return what is told of an output, without its indent."""
    told: list[str] = []
    made = Excerpt(told.append)
    for chunk in chunks:
        made.add(chunk)
    made.end()
    return [line.removeprefix("       ") for line in told]


@given(st.binary(max_size=2000), st.integers(min_value=1, max_value=50))
def test_a_short_output_is_told_whole_however_it_comes(output: bytes, size: int) -> None:
    chunks = [output[start : start + size] for start in range(0, len(output), size)]
    lines = output.decode(errors="replace").removesuffix("\n").split("\n") if output else []
    assert excerpt(*chunks) == [line.rstrip("\r") for line in lines]


def test_a_long_output_is_told_in_part_with_the_number_of_lines_between() -> None:
    lines = [b"%d\n" % number for number in range(200_000)]
    told = excerpt(*(b"".join(lines[start : start + 1000]) for start in range(0, len(lines), 1000)))
    assert told[:10_000] == [str(number) for number in range(10_000)]
    assert told[10_000] == "… 189800 lines left out …"
    assert told[10_001:] == [str(number) for number in range(199_800, 200_000)]


@pytest.mark.parametrize("line", [b"x" * 900 + b"\n", b"x" * 3_000_000])
def test_what_is_told_has_a_bound_also_where_lines_are_long(line: bytes) -> None:
    told = excerpt(*[line] * 5000) if line.endswith(b"\n") else excerpt(line)
    assert sum(map(len, told)) < 1_300_000


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        (b"MemoryError\n", True),
        (b"FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n", True),
        (b"terminate called after throwing an instance of 'std::bad_alloc'\n", True),
        (b"sh: Cannot allocate memory", True),
        (b"we never forget a memory\n", False),
    ],
)
def test_it_tells_whether_memory_ran_out(line: bytes, lacks: bool) -> None:
    made = Excerpt(lambda line: None)
    made.add(line)
    made.end()
    assert made.lacks_memory == lacks
