"""Operators that read from the device on their way do so through the dispatcher, as on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.usefixtures("cuda")


@pytest.fixture
def crossings() -> Iterator[list[str]]:
    """Scalar reads and copies between host and device, in order."""
    seen: list[str] = []
    library = torch.library.Library("aten", "IMPL")

    def watch(name: str, word: Callable[..., str]) -> None:
        below = torch.library.get_kernel(f"aten::{name}", "CUDA")

        def kernel(keys: Any, *args: Any) -> Any:
            seen.append(word(*args))
            return below.call_boxed(keys, *args)

        library.impl(name, kernel, "CUDA", with_keyset=True, allow_override=True)

    watch("_local_scalar_dense", lambda _tensor: "read")
    watch(
        "copy_",
        lambda target, source, *_: (
            "within" if target.device == source.device else "h2d" if target.is_cuda else "d2h"
        ),
    )
    yield seen
    library._destroy()


def _weights() -> torch.Tensor:
    return torch.full((2,), 0.5, device="cuda")


CASES: dict[str, tuple[Callable[[], object], list[str]]] = {
    "masked_fill number": (lambda: _ones().masked_fill_(_ones() > 0, 2.0), []),
    "masked_fill device value": (lambda: _ones().masked_fill_(_ones() > 0, _ones()[0]), ["read"]),
    "index_fill": (lambda: _ones().index_fill_(0, _index(), _ones()[0]), ["read"]),
    "fill host": (lambda: torch.zeros(2).fill_(_ones()[0]), ["read"]),
    "where numbers": (lambda: torch.where(_ones() > 0, 1.0, 2.0), []),
    "where host scalar": (lambda: torch.where(_ones() > 0, _ones(), torch.tensor(2.0)), ["h2d"]),
    "multinomial": (lambda: torch.multinomial(_weights(), 1), ["read", "read"]),
    "multinomial with replacement": (
        lambda: torch.multinomial(_weights(), 2, replacement=True),
        [],
    ),
    "normal": (lambda: torch.normal(_ones(), _ones()), ["read"]),
    "normal of one deviation": (lambda: torch.normal(_ones(), 1.0), []),
    "bincount": (lambda: torch.bincount(_index()), ["d2h", "read"]),
    "histc": (lambda: torch.histc(_ones(), 4), ["d2h", "d2h"]),
    "histc with limits": (lambda: torch.histc(_ones(), 4, 0, 2), []),
}


def _ones() -> torch.Tensor:
    return torch.full((2,), 1.0, device="cuda")


def _index() -> torch.Tensor:
    return torch.arange(2, device="cuda")


@pytest.mark.parametrize("name", CASES)
def test_what_a_device_reads_is_seen(name: str, crossings: list[str]) -> None:
    call, expected = CASES[name]
    call()
    assert [word for word in crossings if word != "within"] == expected


def test_deviations_below_zero_are_refused() -> None:
    with pytest.raises(RuntimeError, match=r"expects all elements of std >= 0\.0"):
        torch.normal(0.0, -_ones())


def test_weights_that_are_none_are_refused() -> None:
    with pytest.raises(RuntimeError, match="contains either `inf`, `nan` or element < 0"):
        torch.multinomial(torch.tensor([-1.0, 2.0], device="cuda"), 1)
    with pytest.raises(RuntimeError, match="sum of probabilities <= 0"):
        torch.multinomial(torch.zeros(2, 3, device="cuda"), 1)
