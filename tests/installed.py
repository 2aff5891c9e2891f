"""What of the optional packages is installed, found out without importing it.

A framework that a test only needs in a process of its own must not get into pytest's: it would be
simulated and recorded there by every other test.
"""

from __future__ import annotations

import importlib.util

import pytest

__all__ = ["need"]


def need(package: str) -> None:
    """Skip the test, or at import the module, where ``package`` is not installed."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)
