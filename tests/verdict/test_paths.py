from __future__ import annotations

from pathlib import Path

import pytest

from placeaudit.verdict.paths import ProjectPaths


@pytest.mark.parametrize("marker", [".git", "pyproject.toml"])
def test_from_the_nearest_root(tmp_path: Path, marker: str) -> None:
    (tmp_path / "repo/src").mkdir(parents=True)
    (tmp_path / "repo" / marker).touch()
    file = str(tmp_path / "repo/src/train.py")
    assert ProjectPaths().of(file) == "src/train.py"
    assert ProjectPaths().of(file, str(tmp_path / "repo/src")) == "src/train.py"


def test_git_goes_before_a_package_inside(tmp_path: Path) -> None:
    (tmp_path / "repo/package").mkdir(parents=True)
    (tmp_path / "repo/.git").mkdir()
    (tmp_path / "repo/package/pyproject.toml").touch()
    assert ProjectPaths().of(str(tmp_path / "repo/package/a.py")) == "package/a.py"


def test_from_another_machine() -> None:
    paths = ProjectPaths()
    assert paths.of("/nowhere/app/src/train.py", "/nowhere/app") == "src/train.py"
    assert paths.of("/nowhere/else/train.py", "/nowhere/app") == "/nowhere/else/train.py"


def test_what_has_no_place_of_its_own() -> None:
    paths = ProjectPaths()
    installed = "/nowhere/.venv/lib/python3.11/site-packages/lib/train.py"
    assert paths.of(installed, "/nowhere") == "lib/train.py"
    assert paths.of("<stdin>", "/nowhere") == "<stdin>"
    assert paths.of("", "/nowhere") == ""
