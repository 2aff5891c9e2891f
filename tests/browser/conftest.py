"""Chromium without a window; the tests skip where it is not installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--virtual-time-budget=10000",
    # Nothing outside the file may be reached.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


@pytest.fixture
def dom(tmp_path: Path) -> Callable[..., str]:
    """The page's elements after its scripts have run: ``dom(file, "#q=item", *flags)``."""
    chromium = next(filter(None, map(shutil.which, _NAMES)), None)
    if chromium is None:
        pytest.skip("no Chromium here")

    def load(page: Path, fragment: str = "", *flags: str) -> str:
        return subprocess.run(
            [
                chromium,
                *_FLAGS,
                *flags,
                f"--user-data-dir={tmp_path / 'profile'}",
                "--dump-dom",
                page.absolute().as_uri() + fragment,
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout

    return load
