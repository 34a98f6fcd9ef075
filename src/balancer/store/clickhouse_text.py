"""Texts in ClickHouse's SQL.

Invariant: whatever a text holds, the literal made of it is that text and nothing else.

Servers of 2018 know no parameters over HTTP, so values are written into the statement, and only by this function or
as integers (`:d`). Used by the modules `clickhouse_*`.
"""

from collections.abc import Iterable

# ClickHouse reads \xHH and the C escapes within quotes. Those two would end or change the literal; a NUL is escaped
# because a statement travels as text. Everything else stands for itself.
_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\0": "\\0"})


def quoted(text: str) -> str:
    """Return the literal of a text. Raises UnicodeEncodeError on half a surrogate pair, which no text has."""
    text.encode()
    return f"'{text.translate(_ESCAPES)}'"


def in_list(texts: Iterable[str]) -> str:
    """Return an array literal of texts; none give an empty array of texts."""
    return f"[{', '.join(map(quoted, texts))}]" if (texts := tuple(texts)) else "emptyArrayString()"


def integers(numbers: Iterable[int]) -> str:
    """Return an array literal of integers; none give an empty array of them."""
    return f"[{', '.join(f'toInt64({n:d})' for n in numbers)}]" if (numbers := tuple(numbers)) else "emptyArrayInt64()"
