"""Several headers in one rule; that apps get them apart is tested in tests/contract."""

from balancer.proxy.lines import in_lines


def test_one_header_is_its_name_and_its_value() -> None:
    assert in_lines({"X-A": "%[src]"}) == 'X-A "%[src]"'


def test_others_are_lines_of_the_value() -> None:
    assert in_lines({"X-A": "1", "X-B": "%[src]", "X-C": "3"}) == r'X-A "1\r\nX-B: %[src]\r\nX-C: 3"'
