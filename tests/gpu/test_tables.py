"""The tables of copies, waits and errors on a real device: prints where simulation differs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("cuda")


def _compare() -> Any:
    spec = importlib.util.spec_from_file_location("compare", Path(__file__).with_name("compare.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_simulation_and_device_agree(capsys: pytest.CaptureFixture[str]) -> None:
    found = _compare().differences(real=True)
    with capsys.disabled():
        for difference in found:
            sys.stderr.write(f"{difference}\n")
    assert found == []
