"""The tree of a commit as files, by real git."""

from pathlib import Path

import pytest

from balancer.domain.app import Commit
from balancer.errors import BuildFailed
from balancer.runner.checkout import write_tree
from running import Repository

pytestmark = pytest.mark.anyio
IDENTITY = ("-c", "user.name=T", "-c", "user.email=t@example.com")


@pytest.fixture
def work(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "work", "nowhere")


async def written(work: Repository, out: Path) -> Path:
    """Write out what the repository has at HEAD."""
    out.mkdir()
    await write_tree(work.directory / ".git", Commit(work.git("rev-parse", "HEAD").stdout.strip()), out)
    return out


def commit_link(work: Repository, name: str, target: str) -> None:
    path = work.directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    work.git("add", "--all")
    work.git(*IDENTITY, "commit", "--quiet", "--message", "a link")


def commit_gitlink(work: Repository, path: str, gitmodules: str | None) -> None:
    if gitmodules is not None:
        (work.directory / ".gitmodules").write_text(gitmodules)
        work.git("add", ".gitmodules")
    work.git("update-index", "--add", "--cacheinfo", f"160000,{'c0ffee' + '0' * 34},{path}")
    work.git(*IDENTITY, "commit", "--quiet", "--message", "a submodule")


async def test_files_that_an_archive_would_leave_out_are_there(work: Repository, tmp_path: Path) -> None:
    work.commit({".gitattributes": "docs export-ignore\n*.py export-subst\n", "docs/a": "1", "a.py": "$Format:%H$"})
    out = await written(work, tmp_path / "out")
    assert (out / "docs" / "a").read_text() == "1"
    assert (out / "a.py").read_text() == "$Format:%H$"


async def test_line_ends_stay_as_they_are(work: Repository, tmp_path: Path) -> None:
    work.directory.joinpath("Procfile").write_bytes(b"web: x\r\n")
    work.git("add", "--all")
    work.git(*IDENTITY, "commit", "--quiet", "--message", "crlf")
    assert (await written(work, tmp_path / "out") / "Procfile").read_bytes() == b"web: x\r\n"


async def test_a_link_inside_the_tree_stays_one(work: Repository, tmp_path: Path) -> None:
    work.commit({"lib/real": "1"})
    commit_link(work, "lib/deep/link", "../real")
    commit_link(work, "dangling", "lib/nothing")
    out = await written(work, tmp_path / "out")
    assert (out / "lib" / "deep" / "link").read_text() == "1"


@pytest.mark.parametrize(
    ("name", "target"),
    [("link", "/etc/passwd"), ("a/b/link", "../../../secret"), ("link", ".."), ("link", "/nowhere/at/all")],
)
async def test_a_link_that_leads_out_is_refused_by_name(
    name: str, target: str, work: Repository, tmp_path: Path
) -> None:
    work.commit({"a/b/c": "1"})
    commit_link(work, name, target)
    with pytest.raises(BuildFailed, match=f"^{name} is a symbolic link that leads out of the tree, to {target}"):
        await written(work, tmp_path / "out")


async def test_links_that_lead_out_only_together_are_refused(work: Repository, tmp_path: Path) -> None:
    commit_link(work, "up", "a/..")
    commit_link(work, "a", "b/c")
    (work.directory / "b" / "c").mkdir(parents=True)
    commit_link(work, "b/c/far", "../../../x")
    with pytest.raises(BuildFailed, match=r"^b/c/far is a symbolic link"):
        await written(work, tmp_path / "out")


async def test_a_submodule_that_gitmodules_does_not_name_is_refused(work: Repository, tmp_path: Path) -> None:
    work.commit({"a": "1"})
    commit_gitlink(work, "vendor/lib", None)
    with pytest.raises(BuildFailed, match=r"^vendor/lib is a submodule that \.gitmodules does not name"):
        await written(work, tmp_path / "out")


@pytest.mark.parametrize("url", ["{path}", "file://{path}", "../other", "ext::sh -c touch% {path}/owned"])
async def test_a_submodule_is_fetched_from_nowhere_on_this_machine(url: str, work: Repository, tmp_path: Path) -> None:
    url = url.format(path=work.directory)
    work.commit({"a": "1"})
    commit_gitlink(work, "lib", f'[submodule "lib"]\n\tpath = lib\n\turl = {url}\n')
    with pytest.raises(BuildFailed, match=r"^the submodule lib cannot be fetched: .* is no URL that can be fetched"):
        await written(work, tmp_path / "out")
    assert not (work.directory / "owned").exists()


async def test_a_submodule_that_cannot_be_had_says_from_where_and_shows_no_password(
    work: Repository, tmp_path: Path
) -> None:
    work.commit({"a": "1"})
    url = "http://ada:s3cret@127.0.0.1:9/lib.git"
    commit_gitlink(work, "lib", f'[submodule "lib"]\n\tpath = lib\n\turl = {url}\n')
    with pytest.raises(BuildFailed) as raised:
        await written(work, tmp_path / "out")
    assert str(raised.value).startswith(
        "the submodule lib at c0ffee0 cannot be had from http://ada@127.0.0.1:9/lib.git"
    )
    assert "s3cret" not in str(raised.value)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".gitmodules", "a", "lib"]


async def test_what_is_written_has_no_repository_in_it(work: Repository, tmp_path: Path) -> None:
    work.commit({"a": "1"})
    out = await written(work, tmp_path / "out")
    assert [path.name for path in out.iterdir()] == ["a"]
