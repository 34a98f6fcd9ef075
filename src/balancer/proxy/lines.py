"""Several headers that one rule adds.

HAProxy writes a value as it is, with line breaks of ours too, and apps are spoken to in HTTP/1.1 only. A rule, and each
header that HAProxy keeps apart, cost more than what is in them: three at once cost 2,100 instructions less. Used by
`short_way` and `forwarded`.
"""

from collections.abc import Mapping


def in_lines(headers: Mapping[str, str]) -> str:
    """Return the name and the value for an `add-header` that adds all of `headers`.

    No value may hold a line break, nor text of a client that could; no later rule finds those after the first.
    """
    name, *_ = headers
    text = r"\r\n".join(f"{each}: {value}" for each, value in headers.items())
    return f'{name} "{text.removeprefix(f"{name}: ")}"'
