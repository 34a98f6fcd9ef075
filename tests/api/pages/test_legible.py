import pytest

from balancer.api.pages.legible import legible


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("\x1b[31mred\x1b[0m and \x1b[1;38;5;200mpink\x1b[m", "red and pink"),
        ("\x1b[2K\x1b[1Gagain", "again"),
        ("\x1b]0;a title\x07text \x1b]8;;http://x\x1b\\link", "text link"),
        ("bell\x07, nothing\x00, a lone \x1b", "bell␇, nothing␀, a lone ␛"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("ünï 中文 🚀", "ünï 中文 🚀"),
    ],
)
def test_colours_are_left_out_and_nothing_else_is_hidden(printed: str, shown: str) -> None:
    assert legible(printed) == shown
