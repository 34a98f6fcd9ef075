"""The server of a static site, as the process that the supervisor starts."""

import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

import reserved
from waiting import until

FILES = {
    "index.html": "<h1>Hello</h1>",
    "about/index.html": "<h1>About</h1>",
    "style.css": "h1 { color: teal }",
    ".env": "SECRET=1",
    ".git/config": "[core]",
    "about/.htpasswd": "secret",
    ".well-known/security.txt": "Contact: mailto:a@example.org",
    "dir/.x/y.txt": "secret",
    "404.html": "<h1>Nothing here</h1>",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a site with FILES; beside its directory lies a secret."""
    root = tmp_path_factory.mktemp("static") / "public"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root.parent / "secret.txt").write_text("secret")
    (port,) = reserved.ports(1)
    environment = {**os.environ, "PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "balancer.runner.static_site", str(root)], env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            until(lambda: process.poll() is not None or _answers(client), 30)
            yield client
    finally:
        process.terminate()
        process.wait(10)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/").status_code == 200
    except httpx.ConnectError:
        return False


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/", "index.html", "text/html"),
        ("/about/", "about/index.html", "text/html"),
        ("/style.css", "style.css", "text/css"),
        ("/.well-known/security.txt", ".well-known/security.txt", "text/plain"),
    ],
)
def test_a_file_is_served_as_what_it_is(path: str, name: str, kind: str, site: httpx.Client) -> None:
    answer = site.get(path)
    assert (answer.status_code, answer.text) == (200, FILES[name])
    assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize("path", ["/.env", "/.git/config", "/about/.htpasswd", "/dir/.x/y.txt", "/%2eenv", "/./.env"])
def test_what_begins_with_a_dot_is_never_served(path: str, site: httpx.Client) -> None:
    answer = site.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text.lower()


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/about/..%2f..%2fsecret.txt", "//etc/passwd"]
)
def test_nothing_outside_the_directory_is_served(path: str, site: httpx.Client) -> None:
    request = site.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=path.encode())
    answer = site.send(request)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_what_is_missing_is_answered_with_the_sites_own_page(site: httpx.Client) -> None:
    answer = site.get("/nothing")
    assert (answer.status_code, answer.text) == (404, FILES["404.html"])


def test_a_page_that_has_not_changed_is_not_sent_again(site: httpx.Client) -> None:
    first = site.get("/style.css")
    again = site.get("/style.css", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_site_is_only_read(site: httpx.Client) -> None:
    assert site.post("/", content=b"x").status_code == 405
