"""Tests that need a real NVIDIA device; elsewhere each says why it is skipped.

Run them with ``make test-gpu`` on a machine that has one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


def _has_device() -> bool:
    return torch.cuda.is_available() and torch.version.cuda is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = "no NVIDIA device that torch can use is on this machine"
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.gpu)
            if not _has_device():
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def cuda() -> Iterator[None]:
    """Under this folder the device is the real one."""
    torch.cuda.synchronize()
    yield
    torch.cuda.synchronize()
