"""A Python project without a Procfile."""

from pathlib import Path

import pytest

from balancer.domain.manifest import WEB, Source
from balancer.errors import InvalidManifest
from trees import Tree, read


@pytest.mark.parametrize("project", ["requirements.txt", "pyproject.toml"])
@pytest.mark.parametrize("entry", ["app.py", "main.py"])
def test_its_entry_is_run(project: str, entry: str, tmp_path: Path) -> None:
    found = read(tmp_path, {project: "", entry: ""})
    assert (found.source, dict(found.processes)) == (Source.PYTHON, {WEB: f"python {entry}"})


def test_of_two_entries_the_app_is_run(tmp_path: Path) -> None:
    assert read(tmp_path, {"pyproject.toml": "", "main.py": "", "app.py": ""}).processes == {WEB: "python app.py"}


@pytest.mark.parametrize("tree", [{"app.py": ""}, {"requirements.txt": ""}, {"pyproject.toml": "", "other.py": ""}])
def test_half_of_it_is_not_enough(tree: Tree, tmp_path: Path) -> None:
    with pytest.raises(InvalidManifest, match=r"an app\.py beside requirements\.txt"):
        read(tmp_path, tree)
