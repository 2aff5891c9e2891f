"""The tests of the simulated device, run on a real one: what they hold must be true of both.

Each simulation test file lists in ``SIMULATION_ONLY`` what only makes sense there; what needs a
second device is skipped where there is one.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

SIMULATED = Path(__file__).parents[1] / "simulate" / "torch_cuda"
FILES = (
    "test_kernels",
    "test_copies",
    "test_layers",
    "test_nested",
    "test_reads",
    "test_surface",
    "test_waits",
)


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"gpu_{name}", SIMULATED / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _needs_second_device(test: Any) -> bool:
    names = {*test.__code__.co_consts}
    return any(isinstance(text, str) and text.startswith("cuda:1") for text in names)


def _collect() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file in FILES:
        module = _load(file)
        left_out: frozenset[str] = getattr(module, "SIMULATION_ONLY", frozenset())
        for name, test in vars(module).items():
            if not name.startswith("test_") or name in left_out:
                continue
            marked = pytest.mark.usefixtures("cuda")(test)
            if _needs_second_device(test):
                marked = pytest.mark.skipif(
                    torch.cuda.device_count() < 2,
                    reason="needs a second device",
                )(marked)
            found[f"{name}__{file.removeprefix('test_')}"] = marked
    return found


globals().update(_collect())
