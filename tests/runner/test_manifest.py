"""How a pushed tree says it is to be run: the first file that does decides, and whatever does not hold is named."""

import json
from pathlib import Path

import pytest

from balancer.domain.manifest import WEB, Manifest, ProcessType, Source
from balancer.errors import InvalidManifest
from balancer.runner.manifest import read_manifest
from trees import Tree, read, written

WORKER = ProcessType("worker")
INDEX: Tree = {"index.html": "<h1>Hello</h1>"}


def test_a_procfile_names_the_command_that_serves(tmp_path: Path) -> None:
    found = read(tmp_path, {"Procfile": "# what runs\n\nweb:  python3 app.py --port $PORT  \nworker: sleep 1\n"})
    assert found == Manifest(source=Source.PROCFILE, processes={WEB: "python3 app.py --port $PORT", WORKER: "sleep 1"})


def test_a_procfile_may_name_a_command_for_before_the_switch(tmp_path: Path) -> None:
    found = read(tmp_path, {"Procfile": "release: python3 migrate.py\nweb: python3 app.py\n"})
    assert (found.processes.get(WEB), found.release) == ("python3 app.py", "python3 migrate.py")


@pytest.mark.parametrize(
    "procfile",
    [
        b"web: node app.js\r\nworker: x\r\n",
        b"\xef\xbb\xbfweb: node app.js\n",
        b"web: node app.js",
        b"web:node app.js\n",
    ],
)
def test_a_procfile_from_any_editor_is_read(procfile: bytes, tmp_path: Path) -> None:
    assert read(tmp_path, {"Procfile": procfile}).processes.get(WEB) == "node app.js"


def test_a_procfile_may_serve_a_directory(tmp_path: Path) -> None:
    found = read(tmp_path, {"Procfile": "static: public\n", "public/index.html": "hello"})
    assert (found.processes.get(WEB), found.static) == (None, "public")


def test_a_node_app_with_a_procfile_keeps_the_domains_of_its_package(tmp_path: Path) -> None:
    found = read(tmp_path, {"Procfile": "web: node app.js\n", "package.json": '{"domains": ["shop.example"]}'})
    assert (found.processes.get(WEB), found.domains) == ("node app.js", ("shop.example",))


@pytest.mark.parametrize("main", ["hello.js", "hello", "lib"])
def test_an_app_of_the_ancestor_starts_from_its_package(main: str, tmp_path: Path) -> None:
    package = {"name": "hello", "main": main, "domains": ["a.example", "b.example", "a.example"]}
    tree = {"package.json": json.dumps(package), "hello.js": "", "lib/index.js": ""}
    found = read(tmp_path, tree)
    assert (found.source, found.processes.get(WEB)) == (Source.PACKAGE, f"node {main}")
    assert found.domains == ("a.example", "b.example")


def test_a_main_with_odd_characters_is_one_word_of_the_command(tmp_path: Path) -> None:
    found = read(tmp_path, {"package.json": '{"main": "my app;x.js"}', "my app;x.js": ""})
    assert found.processes.get(WEB) == "node 'my app;x.js'"


def test_a_package_with_a_start_script_is_started_by_npm(tmp_path: Path) -> None:
    assert read(tmp_path, {"package.json": '{"scripts": {"start": "node ."}}'}).processes.get(WEB) == "npm start"


def test_a_tree_with_only_a_page_is_a_static_site(tmp_path: Path) -> None:
    assert read(tmp_path, INDEX) == Manifest(source=Source.STATIC, static=".")


def test_our_own_file_may_leave_the_command_to_a_procfile(tmp_path: Path) -> None:
    tree = {"balancer.toml": "instances = 2\n", "Procfile": "web: python3 app.py\nrelease: ./migrate\nworker: x\n"}
    found = read(tmp_path, tree)
    assert (found.source, found.processes, found.release, found.formation) == (
        Source.MANIFEST,
        {WEB: "python3 app.py", WORKER: "x"},
        "./migrate",
        {WEB: 2},
    )


def test_our_own_file_wins_over_a_procfile(tmp_path: Path) -> None:
    tree = {"balancer.toml": 'static = "public"\n', "Procfile": "web: x\n", "public/": ""}
    found = read(tmp_path, tree)
    assert (found.processes.get(WEB), found.static) == (None, "public")


def test_the_first_file_decides(tmp_path: Path) -> None:
    tree = {"index.html": "", "package.json": '{"main": "a.js"}', "a.js": "", "requirements.txt": "", "app.py": ""}
    directory = written(tmp_path, {**tree, "balancer.toml": 'web = "y"\n', "Procfile": "web: x\n", ".static": ""})
    found = []
    for name in ("balancer.toml", "Procfile", ".static", "package.json", "app.py", "index.html"):
        found.append(read_manifest(directory).source)
        (directory / name).unlink()
    first, second, static = Source.MANIFEST, Source.PROCFILE, Source.STATIC
    assert found == [first, second, static, Source.PACKAGE, Source.PYTHON, static]


def test_a_package_that_only_builds_leaves_the_start_to_the_next_file(tmp_path: Path) -> None:
    package = {"package.json": '{"scripts": {"build": "vite build"}}'}
    assert read(tmp_path, {**package, "app.py": "", "requirements.txt": ""}).source is Source.PYTHON
    (tmp_path / "app.py").unlink()
    assert read(tmp_path, {**package, **INDEX}).source is Source.STATIC


def test_an_empty_mark_makes_the_tree_a_static_site(tmp_path: Path) -> None:
    assert read(tmp_path, {".static": "", "package.json": '{"main": "a.js"}'}).static == "."


WRONG: dict[str, tuple[Tree, str]] = {
    "nothing that says how": ({"README": "hello"}, "nothing here says how to run the app: add a Procfile"),
    "a Procfile without web": ({"Procfile": "worker: x\n"}, r"no `web` process \(it has worker\); add a line such as"),
    "an empty Procfile": ({"Procfile": "\n"}, "the Procfile has no `web` process; add"),
    "a Procfile with a line that is none": (
        {"Procfile": "web: x\npython3 app.py\n"},
        "Procfile, line 2: write `NAME: COMMAND`",
    ),
    "a Procfile with an empty command": ({"Procfile": "web:\n"}, "Procfile, line 1: write `NAME: COMMAND`"),
    "a Procfile with web and static": ({"Procfile": "web: x\nstatic: .\n"}, "Procfile must say one way to run the app"),
    "both web and static": ({"balancer.toml": 'web = "x"\nstatic = "."'}, "one way to run the app"),
    "neither web nor static": ({"balancer.toml": "instances = 2"}, "one way to run the app"),
    "a key with a slip": ({"balancer.toml": 'wbe = "x"'}, "nothing is called 'wbe'; did you mean 'web'?"),
    "a key of another kind": (
        {"balancer.toml": "xyzzy = 1"},
        "'xyzzy'; there are web, processes, static,",
    ),
    "what is no TOML": ({"balancer.toml": "web = "}, "balancer.toml does not parse: "),
    "a command that is no text": ({"balancer.toml": "web = 1"}, "web = 1 must be a text"),
    "an empty command": ({"balancer.toml": 'web = " "'}, 'web = " " must be a text'),
    "a directory outside": ({"balancer.toml": 'static = "../x"'}, "leaves the tree"),
    "domains that are no list": ({"balancer.toml": 'web = "x"\ndomains = 5'}, "must be a list of host names"),
    "domains that are no texts": ({"balancer.toml": 'web = "x"\ndomains = [5]'}, "must be a list of host names"),
    "a domain that is none": ({"balancer.toml": 'web = "x"\ndomains = ["A b"]'}, "balancer.toml: 'A b' is no domain"),
    "a number that is a text": ({"balancer.toml": 'web = "x"\ninstances = "2"'}, 'instances = "2" must be'),
    "a number that is a truth": ({"balancer.toml": 'web = "x"\ninstances = true'}, "instances = true must be"),
    "half an instance": ({"balancer.toml": 'web = "x"\ninstances = 1.5'}, "instances = 1.5 must be a whole number"),
    "instances that are no number": ({"balancer.toml": 'web = "x"\ninstances = nan'}, "must be a whole number"),
    "endless instances": ({"balancer.toml": 'web = "x"\ninstances = inf'}, "must be a whole number"),
    "no instances": ({"balancer.toml": 'web = "x"\ninstances = 0'}, "from 1 to 100"),
    "an endless wait": ({"balancer.toml": 'web = "x"\nhealth_timeout_seconds = inf'}, "from 1 to 3600"),
    "a health path that is none": ({"balancer.toml": 'web = "x"\nhealth_path = "up"'}, "must begin with /"),
    "a package without main": ({"package.json": '{"name": "x"}'}, "neither `main` nor `scripts.start`"),
    "a package whose main is missing": (
        {"package.json": '{"main": "app.js"}'},
        "'app.js', which the tree lacks",
    ),
    "a package whose main is no text": ({"package.json": '{"main": 5}'}, "neither `main` nor"),
    "a package that is no JSON": ({"package.json": "{"}, "package.json does not parse"),
    "a package that is a list": ({"package.json": "[]"}, "package.json must hold an object"),
    "our own file that is a deep well": ({"balancer.toml": "web = " + "[" * 100_000}, "balancer.toml does not parse"),
    "a package that is a deep well": ({"package.json": "[" * 100_000}, "package.json does not parse"),
    "a package with wrong domains": (
        {"package.json": '{"main": "a.js", "domains": {}}', "a.js": ""},
        "`domains` must be a list",
    ),
    "a file that is no text": ({"Procfile": b"web: \xff\xfe\n"}, "Procfile cannot be read as text"),
    "a file that is huge": ({"Procfile": "#" * 1_000_001}, "Procfile is larger than"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_hold_is_refused_and_named(what: str, tmp_path: Path) -> None:
    tree, why = WRONG[what]
    with pytest.raises(InvalidManifest, match=why):
        read(tmp_path, tree)
