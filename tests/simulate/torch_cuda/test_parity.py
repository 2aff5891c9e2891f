"""Same seeds on the host and on the simulated device: the same losses, step by step."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

WORKLOADS_FILE = Path(__file__).parents[2] / "benchmarks" / "workloads.py"


def _load() -> ModuleType:
    import sys  # dataclasses look their module up

    spec = importlib.util.spec_from_file_location("benchmark_workloads", WORKLOADS_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


WORKLOADS = _load().WORKLOADS


def _losses(name: str, device: str) -> list[float]:
    torch.manual_seed(7)
    step = WORKLOADS[name].make(device)
    return [step().item() for _ in range(4)]


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("name", ["tiny-mlp", "tiny-cnn", "tiny-lstm", "amp"])
def test_losses_are_equal(name: str) -> None:
    assert _losses(name, "cuda") == _losses(name, "cpu")


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("name", ["tiny-transformer"])
def test_losses_agree_within_1e_5(name: str) -> None:
    assert _losses(name, "cuda") == pytest.approx(_losses(name, "cpu"), abs=1e-5)
