"""The directories of releases."""

from pathlib import Path

from balancer.runner.workspace import Workspace
from values import instance, release


def test_two_releases_never_share_a_directory(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    releases = [release(1), release(2), release(11), release(1, app="shop-1")]
    trees = [workspace.create(each) for each in releases]
    assert len(set(trees)) == 4
    assert not [1 for one in trees for other in trees if one is not other and one.is_relative_to(other)]


def test_the_tree_of_a_new_release_is_empty_whatever_lay_there(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    (workspace.create(release(1)) / "half").write_text("x")
    workspace.build_log(release(1)).write_text("x")
    tree = workspace.create(release(1))
    assert list(tree.iterdir()) == []
    assert not workspace.build_log(release(1)).exists()


def test_what_a_failed_or_pruned_release_leaves_is_its_log(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    tree = workspace.create(release(1))
    (tree / "app.py").write_text("x")
    workspace.build_log(release(1)).write_text("it broke")
    assert workspace.has_tree(release(1))
    workspace.discard_tree(release(1))
    assert not workspace.has_tree(release(1))
    assert workspace.build_log(release(1)).read_text() == "it broke"
    workspace.discard_tree(release(1))


def test_logs_are_beside_the_tree_and_not_in_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    tree = workspace.create(release(3))
    for log in (workspace.build_log(release(3)), workspace.instance_log(release(3), instance(7, 3))):
        assert log.parent.is_dir()
        assert not log.is_relative_to(tree)


def test_an_instance_that_is_started_again_goes_on_in_the_same_file(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    first, again, second = instance(7, 3, index=1), instance(9, 3, index=1), instance(8, 3, index=2)
    assert workspace.instance_log(release(3), first) == workspace.instance_log(release(3), again)
    assert workspace.instance_log(release(3), first) != workspace.instance_log(release(3), second)
