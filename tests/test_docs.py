"""The documentation is whole: what there is stands on its page, and what stands there is.

Invariants:
    * Every command and option, setting, error, route, message of the log and dependency is in the reference.
    * The example of the settings is what the platform does without settings.
    * Every relative link leads somewhere, and every page is linked.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

import pytest
from typer.main import get_command

import balancer
from balancer import config, errors
from balancer.api.app import build
from balancer.api.pages import dashboard, sign_in
from balancer.api.platform import Platform
from balancer.cli import gathered
from balancer.config import Settings

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SOURCES = sorted(Path(balancer.__file__).parent.rglob("*.py"))
_LEVELS = {"info": "INFO", "warning": "WARNING", "error": "ERROR"}
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the platform's own log, as one place writes it."""

    name: str
    level: str
    facts: frozenset[str]


def rows(page: str, first: str) -> dict[str, str]:
    """Return the rows of a page's tables whose first cell is code that `first` matches: name → whole row."""
    row = re.compile(rf"^\| (?:– )?`({first})`.*$", re.MULTILINE)
    return {found[1]: found[0] for found in row.finditer((REFERENCE / page).read_text())}


def sections(page: str) -> dict[str, str]:
    """Return the sections of a page: head → text."""
    parts = re.split(r"^## (.+)$", (REFERENCE / page).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def every_command(command: Any, path: str = "balancer") -> Iterator[tuple[str, Any]]:
    """Give each command that does something, and the root for its options; hidden ones too."""
    if path == "balancer" or not hasattr(command, "commands"):
        yield path, command
    for name, each in getattr(command, "commands", {}).items():
        yield from every_command(each, f"{path} {name}")


COMMANDS = dict(every_command(get_command(gathered())))


def test_the_page_of_the_commands_has_each_of_them_and_no_other() -> None:
    assert sorted(sections("commands.md")) == sorted(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_is_documented_with_its_options_and_arguments(path: str) -> None:
    text = sections("commands.md")[path]
    parameters = COMMANDS[path].params
    options = {name for each in parameters if each.param_type_name == "option" for name in each.opts}
    documented = {
        name for line in text.splitlines() if line.startswith("| `") for name in re.findall(r"`(-[\w-]*)", line)
    }
    assert documented == options
    for each in parameters:
        if each.param_type_name == "argument":
            assert each.name.upper() in text


def test_every_setting_has_its_row_with_its_variable_and_flag() -> None:
    names = [field.name for field in fields(Settings)]
    flags = {name for each in COMMANDS["balancer serve"].params for name in each.opts}
    documented = rows("settings.md", r"\w+")
    assert list(documented) == names
    for name, row in documented.items():
        flag = f"--{name.replace('_', '-')}"
        assert f"`BALANCER_{name.upper()}`" in row
        assert (f"`{flag}`" in row) == (flag in flags)


def test_the_example_of_the_settings_has_every_key_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_DATA_HOME", "BALANCER_CONFIG", *(f"BALANCER_{field.name.upper()}" for field in fields(Settings))):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    example = REFERENCE / "config.example.toml"
    assert list(tomllib.loads(example.read_text())) == [field.name for field in fields(Settings)]
    assert config.load({}, file=example) == config.load({})


def test_every_error_has_its_row_with_status_and_exit_code() -> None:
    documented = rows("errors.md", r"[a-z-]+")
    assert list(documented) == [error.code() for error in errors.tree()]
    for error in errors.tree():
        assert f"`{error.code()}` | {error.status} | {error.exit_code} |" in documented[error.code()]


def test_every_route_of_the_api_has_its_row() -> None:
    paths = build(cast("Platform", None)).openapi()["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert set(rows("api.md", r"[A-Z]+ /[^`]*")) == routes


def test_every_page_of_the_dashboard_has_its_row() -> None:
    routes = {getattr(route, "path", "") for each in (*dashboard.PAGES, sign_in) for route in each.router.routes}
    assert set(rows("dashboard.md", r"/[^`]*")) == routes


def messages() -> Iterator[Message]:
    """Give every message that the source writes with `log.info("…", fact=…)` and its sisters."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name("log"), attr=method),
                    args=[ast.Constant(str(name))],
                    keywords=keywords,
                ) if method in _LEVELS:
                    yield Message(name, _LEVELS[method], frozenset(str(keyword.arg) for keyword in keywords))


def test_every_message_of_the_log_has_its_row_with_level_and_facts() -> None:
    written = list(messages())
    documented = rows("log.md", r"[a-z_]+(?:\.[a-z_]+)+")
    assert set(documented) == {message.name for message in written}
    for message in written:
        _, _, level, facts, *_ = (cell.strip() for cell in documented[message.name].split("|"))
        assert (level, frozenset(re.findall(r"`(\w+)`", facts))) == (message.level, message.facts), message.name


def test_every_dependency_has_its_reason_in_the_readme() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    table = re.findall(r"^\| `([\w-]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sorted(table) == sorted(re.split(r"[<>=~!\[ ]", each)[0] for each in wanted)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's heads, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Give where each relative link of a page leads: the file, and the anchor in it."""
    for target in _LINK.findall(page.read_text()):
        if not re.match(r"[a-z]+:", target):
            file, _, anchor = target.partition("#")
            yield (page.parent / file).resolve() if file else page, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for file, anchor in links(page):
        assert file.is_relative_to(ROOT)
        assert file.is_file(), f"{page.name} links {file}"
        assert not anchor or anchor in anchors(file), f"{page.name} links #{anchor} of {file.name}"


def test_every_page_is_linked_from_another_one() -> None:
    linked = {file for page in PAGES for file, _ in links(page) if file != page}
    assert [page.name for page in PAGES if page not in linked and page.name != "README.md"] == []


def test_pictures_are_shown_and_small() -> None:
    pictures = list((ROOT / "docs" / "images").glob("*.png"))
    pages = "".join(page.read_text() for page in (ROOT / "docs").rglob("*.md"))
    assert [each.name for each in pictures if f"images/{each.name}" not in pages] == []
    # 950 kB: who clones the repository gets them, too.
    assert sum(each.stat().st_size for each in pictures) < 950_000
