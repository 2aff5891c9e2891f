"""Small test-suites in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

import placeaudit

ROOT = Path(placeaudit.__file__).parent.parent


class Project:
    """A directory with a test file, and pytest run in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: str, name: str = "test_it.py") -> Path:
        file = self.path / name
        file.write_text(text, encoding="utf-8")
        return file

    def pytest(self, *args: str, **ini: str) -> subprocess.CompletedProcess[str]:
        # Named here where the installed package does not announce it (an old editable install).
        announced = any(e.name == "placeaudit" for e in entry_points(group="pytest11"))
        named = ["-p", "placeaudit.testing.pytest_plugin"]
        if announced or "no:placeaudit" in args:
            named = []
        lines = "".join(f"{key} = {value}\n" for key, value in ini.items())
        self.write(f"[pytest]\n{lines}", "pytest.ini")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PLACEAUDIT", "PYTEST"))}
        paths = [str(ROOT), kept.get("PYTHONPATH", "")]
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *named, *args],
            cwd=self.path,
            env=kept | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


@pytest.fixture
def project(tmp_path: Path) -> Any:
    return Project(tmp_path)
