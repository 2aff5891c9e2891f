"""The comparison of tests/gpu, held against the simulated device: the tables are its own."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

GPU = Path(__file__).parents[2] / "gpu"

pytestmark = pytest.mark.usefixtures("cuda")


def _compare() -> Any:
    spec = importlib.util.spec_from_file_location("compare", GPU / "compare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_simulated_device_is_what_the_tables_say() -> None:
    assert _compare().differences(real=False) == []
