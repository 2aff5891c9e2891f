"""declearn's own vectors and optimizer plug-ins: what is said of them, that it is undone."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import placeaudit

pytest.importorskip("torch")
pytest.importorskip("declearn", reason="declearn, an optional extra, is not installed")


@pytest.fixture
def declearn() -> Any:
    """The parts that the tests use, imported before any trace."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = importlib.import_module("declearn.model.torch")
        optimizer = importlib.import_module("declearn.optimizer")
    return SimpleNamespace(TorchVector=model.TorchVector, optimizer=optimizer)


def test_the_left_operand_decides_in_both_orders(declearn: Any) -> None:
    import torch

    with placeaudit.simulate("cuda"), placeaudit.trace() as run:
        host = declearn.TorchVector({"w": torch.ones(64, 4)})
        device = declearn.TorchVector({"w": torch.ones(64, 4, device="cuda")})
        for _ in range(6):
            sums = host + device, device - host, device.minimum(host)
            placeaudit.step()
    assert [vector.coefs["w"].device.type for vector in sums] == ["cpu", "cuda", "cuda"]
    found = [finding for finding in run.findings if finding.rule == "PA302"]
    # One line: a finding for each expression.
    assert sorted((f.src, f.dst, f.count, f.bytes) for f in found) == [
        ("cpu", "cuda:0", 6, 6 * 1024),
        ("cpu", "cuda:0", 6, 6 * 1024),
        ("cuda:0", "cpu", 6, 6 * 1024),
    ]
    assert {f.severity.value for f in run.findings} == {"warning"}
    assert {f.rule for f in run.findings} == {"PA302"}
    assert {Path(f.file).name for f in found} == {"test_vectors.py"}


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_state_of_a_plugin(declearn: Any, where: str) -> None:
    import torch

    with placeaudit.simulate("cuda"), placeaudit.trace() as run:
        momentum = declearn.optimizer.modules.MomentumModule(beta=0.5)
        optimizer = declearn.optimizer.Optimizer(lrate=1.0, modules=[momentum])
        momentum.set_state({"velocity": declearn.TorchVector({"w": torch.ones(64, 4).to(where)})})
        gradients = declearn.TorchVector({"w": torch.ones(64, 4, device="cuda")})
        for _ in range(6):
            optimizer.compute_updates_from_gradients(None, gradients)
            placeaudit.step()
    assert momentum.velocity.coefs["w"].device.type == where
    strays = {f.rule: f.message for f in run.findings if f.severity.value != "info"}
    if where == "cuda":
        assert strays == {}
        return
    assert set(strays) == {"PA301", "PA302"}
    assert "MomentumModule keeps `velocity`" in strays["PA301"]
    assert strays["PA302"].startswith("MomentumModule: `add` of TorchVector")
    assert "(its state `velocity`)" in strays["PA302"]


def test_methods_are_put_back(declearn: Any) -> None:
    modules = declearn.optimizer.modules
    classes = (
        declearn.TorchVector, modules.MomentumModule, modules.ScaffoldClientModule,
        declearn.optimizer.Optimizer,
    )  # fmt: skip
    before = [dict(vars(cls)) for cls in classes]
    with placeaudit.trace():
        assert all(dict(vars(cls)) != was for cls, was in zip(classes, before, strict=True))
    assert [dict(vars(cls)) for cls in classes] == before
