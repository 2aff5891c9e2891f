"""Vector arithmetic: what is recorded of it, that it changes nothing, that it is undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import placeaudit
from placeaudit.errors import UsageError
from placeaudit.record.vectors import REGISTRY
from placeaudit.store.reader import read_run

torch = pytest.importorskip("torch")


class Weights:
    def __init__(self, *tensors: Any) -> None:
        self.coefs = dict(enumerate(tensors))

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, Weights):
            return NotImplemented
        return Weights(*(v + other.coefs[k].to(v.device) for k, v in self.coefs.items()))

    def __rsub__(self, other: Any) -> Any:
        return Weights(*(other - v for v in self.coefs.values()))

    def __imul__(self, other: Any) -> Any:
        if other is None:
            raise ValueError("nothing to multiply by")
        for k, v in self.coefs.items():
            v *= other.coefs[k].to(v.device)  # noqa: PLW2901 - in place
        return self


class Child(Weights):
    """Inherits the arithmetic."""


@pytest.fixture(autouse=True)
def _registered() -> Any:
    placeaudit.register_vector(Weights)
    yield
    REGISTRY.forget(Weights)


def rows(path: Path) -> list[dict[str, Any]]:
    (process,) = read_run(path).processes
    strings = process.tables["strings"].column("text").to_pylist()
    texts = {"cls", "operation", "left", "right", "result", "plugin", "left_state"}
    return [
        {k: strings[v] if k in texts and v >= 0 else v for k, v in row.items()}
        for row in process.tables["vectors"].to_pylist()
    ]


def test_operands_their_order_bytes_and_result(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with placeaudit.simulate("cuda:2"), placeaudit.trace(run):
        host, device = Weights(torch.ones(8)), Child(torch.ones(8, device="cuda"))
        two = Weights(torch.ones(8, device="cuda:1"))
        values = (host + device).coefs[0].tolist(), (device + host).coefs[0].device.type
        device += two
        two *= host
        torch.ones(8) - host
        host + Weights(torch.ones(8))
        Weights(torch.tensor(1.0)) + device  # a number on the host
    assert values == ([2.0] * 8, "cuda")
    keys = "cls", "operation", "left", "right", "result", "left_bytes", "right_bytes", "apart"
    assert [tuple(row[key] for key in keys) for row in rows(run)] == [
        ("Weights", "add", "cpu", "cuda:0", "cpu", 32, 32, 1),
        ("Child", "add", "cuda:0", "cpu", "cuda:0", 32, 32, 1),
        ("Child", "add", "cuda:0", "cuda:1", "cuda:0", 32, 32, 1),
        ("Weights", "imul", "cuda:1", "cpu", "cuda:1", 32, 32, 1),
        ("Tensor", "sub", "cpu", "cpu", "cpu", 0, 0, 0),
        ("Weights", "add", "cpu", "cpu", "cpu", 0, 0, 0),
        ("Weights", "add", "cpu", "cuda:0", "cpu", 4, 32, 1),
    ]


def test_errors_and_refusals_are_the_programs_own(tmp_path: Path) -> None:
    with placeaudit.simulate("cuda"), placeaudit.trace(tmp_path / "run"):
        vector = Weights(torch.ones(2))
        with pytest.raises(ValueError, match="nothing to multiply by"):
            vector *= None
        with pytest.raises(TypeError, match="unsupported operand"):
            vector + "text"
        assert (vector + vector).coefs[0].tolist() == [2.0, 2.0]
    assert [row["operation"] for row in rows(tmp_path / "run")] == ["add"]


def test_methods_are_put_back(tmp_path: Path) -> None:
    before = dict(vars(Weights)), dict(vars(Child))
    with placeaudit.trace(tmp_path / "run"):
        assert vars(Weights)["__add__"] is not before[0]["__add__"]
        assert Weights.__add__.__name__ == "__add__"
        kept = Weights.__add__
    assert (dict(vars(Weights)), dict(vars(Child))) == before
    assert kept(Weights(torch.ones(1)), Weights(torch.ones(1))).coefs[0].item() == 2.0


def test_tensors_that_cannot_be_listed_become_a_note(tmp_path: Path) -> None:
    def broken(vector: Any) -> Any:
        raise RuntimeError("no tensors here")

    placeaudit.register_vector(Weights, ["__add__"], broken)
    with placeaudit.simulate("cuda"), placeaudit.trace(tmp_path / "run"):
        vector = Weights(torch.ones(2))
        assert (vector + vector + vector).coefs[0].tolist() == [3.0, 3.0]
    (process,) = read_run(tmp_path / "run").processes
    notes = [text for text in process.tables["notes"].column("text").to_pylist() if "vec" in text]
    assert len(notes) == 1
    assert "no tensors here" in notes[0]


@pytest.mark.parametrize(
    ("cls", "operations", "message"),
    [
        (3, None, "takes a class, not 3"),
        (Weights, ["__add__", "dot"], "Weights has no method dot"),
        (type("Empty", (), {}), None, "Empty has none of __add__"),
    ],
)
def test_what_cannot_be_registered(cls: Any, operations: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        placeaudit.register_vector(cls, operations)
