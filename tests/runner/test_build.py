"""Builds run the tools of an ecosystem inside one tree."""

import asyncio
import base64
import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from balancer.domain.manifest import Manifest, Source
from balancer.errors import BuildFailed, InvalidManifest
from pushes import Push, pushed
from values import release

pytestmark = pytest.mark.anyio


@pytest.fixture
def push(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Push:
    """A push on a machine without network."""
    return pushed(tmp_path, monkeypatch)


def npm_package(name: str, index: str) -> tuple[bytes, str]:
    """Return a package as npm publishes it, and what a lock says of its bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        described = json.dumps({"name": name, "version": "1.0.0", "main": "index.js"})
        for file, text in {"package/package.json": described, "package/index.js": index}.items():
            entry = tarfile.TarInfo(file)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    content = packed.getvalue()
    return content, "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


@contextlib.contextmanager
def serving(files: dict[str, bytes]) -> Iterator[str]:
    """Serve files over HTTP, and give the address."""

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files.get(self.path)
            self.send_response(200 if content else 404)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def write_json(tree: Path, files: dict[str, dict[str, object]]) -> None:
    """Write files of JSON."""
    for name, content in files.items():
        (tree / name).write_text(json.dumps(content))


async def test_builds_beyond_so_many_wait_and_are_told(push: Push) -> None:
    builder, releases = push.builder(300), [release(8), release(9)]
    for each in releases:
        (push.workspace.create(each) / "requirements.txt").write_text("")
    await asyncio.gather(*(builder.build(each, {}, push.told.append) for each in releases))
    assert push.told.count("-----> Other builds are under way; waiting for one of them to end") == 1


async def test_a_tree_that_needs_nothing_is_built_at_once(push: Push) -> None:
    (push.tree / "Procfile").write_text("web: ./serve\n")
    await push.build()
    assert push.told == []


@pytest.mark.parametrize("package", ['{"main": "a.js"}', '{"dependencies": {}}'])
async def test_a_package_without_dependencies_needs_nothing(package: str, push: Push) -> None:
    (push.tree / "package.json").write_text(package)
    await push.build()
    assert push.told == []


@pytest.mark.parametrize(
    ("file", "text"),
    [(".python-version", "# ours\n2.4\n"), ("pyproject.toml", '[project]\nname = "x"\nrequires-python = "==2.4"\n')],
)
async def test_a_version_of_python_that_the_machine_lacks_is_named_with_those_it_has(
    file: str, text: str, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_PYTHON_DOWNLOADS", raising=False)
    (push.tree / "requirements.txt").touch()
    (push.tree / file).write_text(text)
    with pytest.raises(BuildFailed) as failed:
        await push.build()
    assert f"{file}" in str(failed.value)
    assert "2.4, which this machine does not have (it has 3." in str(failed.value)


def other_python() -> tuple[str, Path] | None:
    """Return a version of Python that this machine has and we are not run by, and where it is."""
    of_pyenv = Path("~/.pyenv/versions").expanduser().glob("*/bin")
    for place in (*map(Path, os.environ["PATH"].split(os.pathsep)), *of_pyenv):
        for program in sorted(place.glob("python3.?*")):
            minor = program.name.removeprefix("python3.")
            if minor.isdecimal() and int(minor) >= 8 and int(minor) != sys.version_info[1]:
                found = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
                if found.stdout.startswith(f"Python 3.{minor}."):
                    return f"3.{minor}", place
    return None


async def test_the_version_of_python_that_is_asked_for_is_taken(push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one than runs the platform, which would be taken anyway."""
    other = other_python()
    if other is None:
        pytest.skip("this machine has one version of Python only")
    version, place = other
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{place}")
    (push.tree / "requirements.txt").touch()
    (push.tree / ".python-version").write_text(f"{version}\n")
    await push.build()
    push.told.clear()
    await push.run("python --version")
    assert push.printed[0].startswith(f"Python {version}.")


@pytest.mark.parametrize("lock", [True, False])
async def test_a_project_is_installed_with_its_lock_or_without(lock: bool, push: Push) -> None:
    (push.tree / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\n')
    if lock:
        uv = Path(sys.executable).parent / "uv"
        subprocess.run([uv, "lock", "--quiet", "--offline"], cwd=push.tree, check=True)
    await push.build()
    assert push.told[0] == f"-----> Installing {'uv.lock' if lock else 'pyproject.toml'}"
    assert (push.tree / ".venv" / "bin" / "python").exists()


async def test_a_pyproject_that_is_only_settings_needs_nothing(push: Push) -> None:
    (push.tree / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    await push.build()
    assert push.told == []


async def test_a_script_and_the_command_of_the_manifest_end_the_build(push: Push) -> None:
    push.release = release(7, manifest=Manifest(source=Source.MANIFEST, static="out", build="mv made out; echo last"))
    script = push.tree / "bin" / "build"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\nmkdir made; echo script\n")
    script.chmod(0o755)
    await push.build()
    assert push.told == ["-----> Running bin/build", "       script", "-----> Running the build command", "       last"]


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
async def test_a_build_script_of_a_package_is_run(push: Push) -> None:
    (push.tree / "package.json").write_text('{"scripts": {"build": "echo built > out"}}')
    await push.build()
    assert (push.tree / "out").read_text() == "built\n"


async def test_requirements_are_installed_inside_the_tree(push: Push) -> None:
    with zipfile.ZipFile(push.tree / "hello-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("hello.py", "GREETING = 'hello'\n")
        wheel.writestr("hello-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n")
        wheel.writestr("hello-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("hello-1.0.dist-info/RECORD", "hello.py,,\nhello-1.0.dist-info/RECORD,,\n")
    (push.tree / "requirements.txt").write_text("./hello-1.0-py3-none-any.whl\n")
    await push.build()
    assert [line for line in push.told if line.startswith("-")] == [
        "-----> Making a virtual environment",
        "-----> Installing requirements.txt",
    ]
    push.told.clear()
    await push.run("python -c 'import hello; print(hello.GREETING)'; command -v python")
    assert push.printed == ["hello", str(push.tree / ".venv" / "bin" / "python")]
    assert (push.caches / "uv").is_dir()


async def test_requirements_that_cannot_be_had_fail_the_build(push: Push) -> None:
    (push.tree / "requirements.txt").write_text("./not-there-1.0-py3-none-any.whl\n")
    with pytest.raises(BuildFailed, match=r"Installing requirements\.txt failed with status"):
        await push.build()


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
async def test_dependencies_of_a_package_are_installed_inside_the_tree(push: Push) -> None:
    (push.tree / "hello").mkdir()
    (push.tree / "hello" / "package.json").write_text('{"name": "hello", "version": "1.0.0", "main": "index.js"}')
    (push.tree / "hello" / "index.js").write_text("module.exports = 'hello'\n")
    (push.tree / "package.json").write_text('{"main": "a.js", "dependencies": {"hello": "file:./hello"}}')
    await push.build(NODE_ENV="production")
    assert push.told[0] == "-----> Installing package.json"
    push.told.clear()
    await push.run("node -p \"require('hello')\"")
    assert push.printed == ["hello"]


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
async def test_a_lock_of_npm_is_installed_to_the_letter(push: Push) -> None:
    """By `npm ci`, which fails where the lock and package.json disagree."""
    hello, package, entry = {"name": "hello", "version": "1.0.0"}, "package.json", {"hello": "file:./hello"}
    (push.tree / "hello").mkdir()
    (push.tree / "hello" / package).write_text(json.dumps({**hello, "main": "index.js"}))
    (push.tree / "hello" / "index.js").write_text("module.exports = 'hello'\n")
    (push.tree / package).write_text(json.dumps({"name": "x", "dependencies": entry}))
    packages: dict[str, object] = {
        "": {"name": "x", "dependencies": entry},
        "hello": {"version": "1.0.0"},
        "node_modules/hello": {"resolved": "hello", "link": True},
    }
    lock = {"name": "x", "lockfileVersion": 3, "requires": True, "packages": packages}
    (push.tree / "package-lock.json").write_text(json.dumps(lock))
    await push.build(NODE_ENV="production")
    assert [line for line in push.told if line.startswith("-")] == ["-----> Installing package-lock.json"]
    push.told.clear()
    await push.run("node -p \"require('hello')\"")
    assert push.printed == ["hello"]
    (push.tree / package).write_text(json.dumps({"name": "x", "dependencies": {**entry, "other": "file:./other"}}))
    with pytest.raises(BuildFailed, match=r"Installing package-lock\.json failed with status 1"):
        await push.build()


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
async def test_what_npm_has_installed_is_taken_by_the_next_build_and_nobody_is_asked_for_it(
    push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, integrity = npm_package("hello", "module.exports = 'hello'\n")
    with serving({"/hello-1.0.0.tgz": archive}) as site:
        monkeypatch.setenv("npm_config_offline", "false")
        monkeypatch.setenv("npm_config_registry", site)
        packages = {
            "": {"name": "x", "dependencies": {"hello": "1.0.0"}},
            "node_modules/hello": {"version": "1.0.0", "resolved": f"{site}hello-1.0.0.tgz", "integrity": integrity},
        }
        files: dict[str, dict[str, object]] = {
            "package.json": {"name": "x", "dependencies": {"hello": "1.0.0"}},
            "package-lock.json": {"name": "x", "lockfileVersion": 3, "requires": True, "packages": packages},
        }
        write_json(push.tree, files)
        await push.build()
    steps = ("-----> Installing package-lock.json", "-----> Keeping node_modules for the next build")
    assert tuple(line for line in push.told if line.startswith("-")) == steps
    push.release = release(8)
    push.tree = push.workspace.create(push.release)
    write_json(push.tree, files)
    push.told.clear()
    shutil.rmtree(push.caches)
    await push.build()
    assert push.told == ["-----> Taking node_modules from an earlier build: package-lock.json has not changed"]
    push.told.clear()
    await push.run("node -p \"require('hello')\"")
    assert push.printed == ["hello"]


async def test_a_tool_that_the_machine_lacks_is_named(push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    (push.tree / "package-lock.json").write_text("{}")
    monkeypatch.setenv("PATH", str(push.tree))
    with pytest.raises(BuildFailed, match=r"Installing package-lock\.json: npm is not installed on this machine"):
        await push.build()


@pytest.mark.parametrize("static", ["public", "a-file", "out", "loop"])
async def test_a_directory_to_serve_that_the_built_tree_lacks_or_that_leads_out_is_refused(
    static: str, push: Push
) -> None:
    push.release = release(7, manifest=Manifest(source=Source.MANIFEST, static=static))
    (push.tree / "a-file").touch()
    (push.tree / "out").symlink_to("..")
    (push.tree / "loop").symlink_to("loop")
    with pytest.raises(InvalidManifest, match=f"the directory '{static}' is to be served, and"):
        await push.build()


async def test_the_manifest_is_that_of_the_tree(push: Push) -> None:
    builder = push.builder(1)
    with pytest.raises(InvalidManifest, match="nothing here says"):
        builder.manifest(push.tree)
    (push.tree / "index.html").touch()
    assert builder.manifest(push.tree).source is Source.STATIC
