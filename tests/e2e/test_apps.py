"""Apps of several kinds, as they are pushed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from browsing import Browser
from running import Running, app_files, running
from waiting import until

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("apps")) as started:
        yield started


def tree(directory: Path) -> dict[str, str]:
    return {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.skipif(shutil.which("node") is None, reason="this machine has no node")
def test_an_app_of_the_ancestor_starts_by_its_main_and_answers_on_its_domains(platform: Running) -> None:
    repository = platform.create("hello")
    repository.commit(tree(EXAMPLES / "ancestor" / "master"))
    pushed = repository.push("master")
    assert "http://hello.example:" in pushed.stderr
    for host in ("hello.example", "hello.localhost", "HELLO.example."):
        assert Browser(platform.port, host).get().body == "hello from master\n"


@pytest.mark.skipif(shutil.which("npm") is None, reason="this machine has no npm")
def test_a_package_with_a_start_script_is_started_by_npm(platform: Running) -> None:
    repository = platform.create("starts")
    server = "require('http').createServer((_, r) => r.end(process.argv[2])).listen(process.env.PORT, '127.0.0.1')\n"
    package = '{"name": "x", "main": "other.js", "scripts": {"start": "node server.js by-npm"}}'
    repository.commit({"package.json": package, "server.js": server})
    pushed = repository.push("master")
    assert "by package.json: npm start" in pushed.stderr
    assert Browser(platform.port, "starts.localhost").get().body == "by-npm"


def test_a_domain_belongs_to_one_app(platform: Running) -> None:
    files = {"index.html": "mine", "balancer.toml": 'static = "."\ndomains = ["taken.example"]\n'}
    first = platform.create("first")
    first.commit(files)
    first.push("master")
    second = platform.create("second")
    second.commit(files)
    refused = second.push("master", check=False)
    assert refused.returncode != 0
    assert "taken.example belongs to the app 'first'" in refused.stderr
    assert Browser(platform.port, "second.localhost").get().status == 503


def test_a_folder_with_only_an_index_is_a_static_site(platform: Running) -> None:
    repository = platform.create("pages")
    repository.commit({"index.html": "<h1>Here</h1>", "about/index.html": "<h1>About</h1>", ".env": "SECRET=1"})
    repository.push("master")
    browser = Browser(platform.port, "pages.localhost")
    assert browser.get().body == "<h1>Here</h1>"
    assert browser.get("/about/").body == "<h1>About</h1>"
    assert browser.get("/.env").status == 404
    assert browser.get("/none").status == 404


def test_a_tree_marked_static_is_served_as_it_is_whatever_else_is_in_it(platform: Running) -> None:
    repository = platform.create("marked")
    package = '{"name": "x", "scripts": {"start": "exit 1"}}'
    repository.commit({".static": "", "index.html": "<h1>Marked</h1>", "package.json": package})
    repository.push("master")
    browser = Browser(platform.port, "marked.localhost")
    assert browser.get().body == "<h1>Marked</h1>"
    assert browser.get("/.static").status == 404


def test_a_procfile_may_name_a_directory_to_serve(platform: Running) -> None:
    repository = platform.create("folder")
    files = {"Procfile": "static: public\n", "public/index.html": "<h1>Public</h1>", "secret.html": "secret"}
    repository.commit(files)
    repository.push("master")
    browser = Browser(platform.port, "folder.localhost")
    assert browser.get().body == "<h1>Public</h1>"
    assert browser.get("/secret.html").status == 404
    assert browser.get("/../secret.html").status == 404


def test_a_python_app_with_requirements_gets_an_environment_of_its_own(platform: Running) -> None:
    repository = platform.create("snake")
    source = (EXAMPLES / "shop" / "master" / "app.py").read_text()
    page = 'import sys\nPAGE = "in a venv" if sys.prefix != sys.base_prefix else "not in a venv"\n'
    repository.commit({"Procfile": "web: python app.py\n", "app.py": source, "page.py": page, "requirements.txt": ""})
    pushed = repository.push("master")
    assert "Installing requirements.txt" in pushed.stderr
    assert Browser(platform.port, "snake.localhost").get().body == "in a venv"


def test_apps_whose_names_begin_alike_do_not_touch(platform: Running) -> None:
    for name in ("blog", "blog2"):
        repository = platform.create(name)
        repository.commit({"index.html": f"this is {name}"})
        repository.push("master")
    assert Browser(platform.port, "blog.localhost").get().body == "this is blog"
    assert Browser(platform.port, "blog2.localhost").get().body == "this is blog2"


def test_several_instances_serve_together_and_are_live_all_or_none(platform: Running) -> None:
    repository = platform.create("many")
    files = {**app_files("one"), "balancer.toml": "web = 'python3 app.py'\ninstances = 3\n"}
    files["app.py"] = files["app.py"].replace("VERSION +", "str(os.getpid()) +")
    repository.commit(files)
    repository.push("master")
    assert len(platform.client.instances("many")) == 3
    assert len({Browser(platform.port, "many.localhost").get().body for _ in range(30)}) == 3
    only_one = "import os\ntry: os.mkdir('taken')\nexcept FileExistsError: raise SystemExit(4)\n"
    repository.commit({**files, "app.py": only_one + files["app.py"]})
    refused = repository.push("master", check=False)
    assert refused.returncode != 0
    assert "exited with status 4 before it was healthy" in refused.stderr
    until(lambda: [instance.release for instance in platform.client.instances("many")] == [1, 1, 1], 30)


def test_what_an_app_prints_is_in_its_log(platform: Running) -> None:
    repository = platform.create("chatty")
    repository.commit(tree(EXAMPLES / "shop" / "master"))
    repository.push("master")
    Browser(platform.port, "chatty.localhost").get("/nowhere")
    shown = platform.command("logs", "chatty")
    assert shown.returncode == 0
    assert "master.1 web.1 | GET /nowhere" in shown.stdout
