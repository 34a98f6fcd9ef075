"""What programs print for a terminal, as a page shows it: without its colours, nothing hidden."""

import re

# ECMA-48: control sequences (colours, the cursor), and what sets titles and links, up to its end.
_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
# Other control characters as the signs that Unicode has for them, tabs and ends of lines excepted.
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {0x7F: 0x2421}


def legible(text: str) -> str:
    """Return the text without control sequences; other control characters as signs, such as ␀."""
    return _SEQUENCE.sub("", text).translate(_PICTURES)
