"""What people are told to type can be typed: in the documentation, on the pages of the dashboard, in messages.

Invariants:
    * Every command, option and argument that a page, a picture of a terminal or a message names is there.
    * Where a whole line is given, nothing that the command needs is missing from it.
"""

import ast
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.exceptions import Exit, TyperException
from typer.main import get_command

import balancer
from balancer.cli import gathered
from test_docs import every_command

ROOT = Path(__file__).parents[1]
SOURCE = Path(balancer.__file__).parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
TEMPLATES = sorted((SOURCE / "api" / "pages" / "templates").glob("*.html"))
MODULES = sorted(SOURCE.rglob("*.py"))
_ROOT_COMMAND: Any = get_command(gathered())
_NAMES = {path.removeprefix("balancer ") for path, _ in every_command(_ROOT_COMMAND)}
# What ends a command but the shell's own signs: a continued line, the remark beside it, what may be left out.
_END = re.compile(r"\s\d?>|\s\\$|\s{2,}|[…\[]")
_SIGNS = "();<>|&"
_TYPED = re.compile(r"^\s{4}(?:\$ |sudo )?(?:\w+=\S+ )*(balancer [a-z-].*)$", re.MULTILINE)
_EXAMPLE = re.compile(r"\[bold\](balancer .*?)\[/\]", re.DOTALL)
_NAMED = re.compile(r"`(balancer [a-z-][^`]*)`")
# In a template what is filled in comes first: a value, one of two words, a piece that is joined.
_FILLED = ((re.compile(r'\{\{ "(\w+)" if .*?\}\}'), r"\1"), (re.compile(r'\{\{.*?\}\}|" ~ [^"]*? ~ "'), "x"))
_SHOWN = re.compile(r'(?:<code>|[("])(balancer [a-z-][^<"\\]*)')


def fault(line: str, *, whole: bool) -> str | None:
    """Return what the command line says against a command; one that is not given whole may lack what it needs."""
    end = _END.search(line)
    shell = shlex.shlex(line[: end.start()] if end else line, posix=True, punctuation_chars=_SIGNS)
    shell.whitespace_split = True
    words = list(itertools.takewhile(lambda word: not set(word) <= set(_SIGNS), shell))[1:]
    try:
        _parse(_ROOT_COMMAND, words)
    except Exit:
        return None  # it shows help or the version
    except TyperException as wrong:
        # By its name: Typer keeps the classes of its parser to itself.
        kind = type(wrong).__name__
        if kind in ("BadParameter", "NoArgsIsHelpError") or (kind == "MissingParameter" and not whole):
            return None  # a value that stands for another one, `N` for a number; the name of a group; or left out
        return f"{line}: {wrong}"
    return None


def _parse(command: Any, words: list[str]) -> None:
    context = command.make_context("balancer", list(words))
    if hasattr(command, "commands") and context._protected_args:
        _, below, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        _parse(below, rest)


def shown(template: Path) -> Iterator[str]:
    """Give the commands on a page; a value that is filled in is `x`."""
    text = template.read_text()
    for filled, instead in _FILLED:
        text = filled.sub(instead, text)
    yield from _SHOWN.findall(text)


def told(module: Path) -> Iterator[str]:
    """Give the commands in the messages of a module, what is filled in as `x`, and the examples of its help."""
    tree = ast.parse(module.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(each.value) if isinstance(each, ast.Constant) else "x" for each in node.values)
            # Which command it is may be filled in, too: `balancer {word} status {app}`.
            yield from (each for each in _NAMED.findall(text) if not each.startswith("balancer x"))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (_EXAMPLE if id(node) in docstrings else _NAMED).findall(node.value)


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_of_the_documentation_says_to_type_is_understood(page: Path) -> None:
    text = page.read_text()
    synopses = page.name == "commands.md"  # their options stand in a table
    found = [fault(line, whole=not synopses) for line in _TYPED.findall(text)]
    named = [fault(" ".join(line.split()), whole=False) for line in _NAMED.findall(text)]
    assert [each for each in (*found, *named) if each] == []


def test_what_a_page_of_the_dashboard_says_to_type_is_understood() -> None:
    found = [(page.name, fault(line, whole=True)) for page in TEMPLATES for line in shown(page)]
    assert [each for each in found if each[1]] == []


def test_what_a_message_or_an_example_says_to_type_is_understood() -> None:
    lines = [(str(module.relative_to(SOURCE)), line) for module in MODULES for line in told(module)]
    found = [
        (where, fault(line, whole="…" not in line and line.removeprefix("balancer ") not in _NAMES))
        for where, line in lines
    ]
    assert [each for each in found if each[1]] == []
