"""Makes ``tests.analyze.builder`` importable however pytest is started; runs commands quickly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

HERE = Path(__file__).parent
# Works from a checkout that is not installed, too.
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}


class Commands:
    """``placeaudit`` commands in processes that have imported torch already."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None

    def run(self, *arguments: object, cwd: Path) -> None:
        """Run one; fails with its errors."""
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, HERE / "trace_server.py"],
                env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        log = cwd / "log"
        order = {"arguments": [str(word) for word in arguments], "cwd": str(cwd), "log": str(log)}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        status = self._server.stdout.readline().strip()
        assert status == "0", f"status {status}: {log.read_text(encoding='utf-8')}"

    def end(self) -> None:
        """No more commands."""
        if self._server is not None:
            self._server.communicate()


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    found = Commands()
    yield found
    found.end()
