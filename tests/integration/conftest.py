"""Real processes: a program run by Python and by ``placeaudit trace``, side by side."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import placeaudit

#: Works where the package is installed and where it is not.
ROOT = Path(placeaudit.__file__).parent.parent


@dataclass(frozen=True)
class Sandbox:
    """A directory in which programs are written and run."""

    path: Path

    def write(self, name: str, text: str) -> Path:
        """Make a file and the directories above it."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def start(self, *args: object) -> subprocess.Popen[str]:
        """Start ``python ARGS`` here."""
        return subprocess.Popen(
            [sys.executable, *map(str, args)],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def python(self, *args: object) -> subprocess.CompletedProcess[str]:
        """Run ``python ARGS`` here, to its end."""
        process = self.start(*args)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def placeaudit(self, *args: object) -> subprocess.CompletedProcess[str]:
        """Run ``placeaudit ARGS`` here, to its end."""
        return self.python("-m", "placeaudit", *args)

    @property
    def environment(self) -> dict[str, str]:
        """Ours, with the package importable and none of its own variables."""
        kept = {key: value for key, value in os.environ.items() if "PLACEAUDIT" not in key}
        paths = [str(ROOT), kept.get("PYTHONPATH", "")]
        return kept | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


@pytest.fixture
def both(sandbox: Sandbox) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program plainly and traced (quietly): output and exit code must be the same."""

    def run(*args: object) -> subprocess.CompletedProcess[str]:
        plain = sandbox.python(*args)
        traced = sandbox.placeaudit("trace", "-q", *args)
        assert traced.stdout == plain.stdout
        assert traced.stderr == plain.stderr
        assert traced.returncode == plain.returncode
        return traced

    return run
