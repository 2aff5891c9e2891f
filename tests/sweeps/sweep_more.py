"""Samples of what ``op_db`` leaves out: sparse, nested and quantised tensors, ``foreach``.

Each is an object with the part of an ``OpInfo``'s face that the sweep looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.testing import make_tensor
from torch.testing._internal.common_methods_invocations import (
    foreach_binary_op_db,
    foreach_other_op_db,
    foreach_pointwise_op_db,
    foreach_reduce_op_db,
    foreach_unary_op_db,
)
from torch.testing._internal.opinfo.core import SampleInput

__all__ = ["more_operators"]

Tensor = torch.Tensor
FLOATS = (torch.float32, torch.float64, torch.complex64)


@dataclass
class Operator:
    """A function of one tensor and the samples to call it with."""

    full_name: str
    op: Callable[..., Any]
    #: Makes the first argument from (device, dtype).
    make: Callable[[str, torch.dtype], Any]
    dtypes: tuple[torch.dtype, ...] = FLOATS
    supports_autograd: bool = True
    inplace_variant: Callable[..., Any] | None = None
    supports_out: bool = False
    test_conjugated_samples: bool = False
    test_neg_view: bool = False
    error_inputs_func: None = None
    dtypesIfCUDA: Sequence[torch.dtype] = field(init=False)  # noqa: N815  # OpInfo's name

    def __post_init__(self) -> None:
        self.dtypesIfCUDA = self.dtypes

    @property
    def name(self) -> str:
        """Without variants, of which there are none."""
        return self.full_name

    def supported_dtypes(self, device: str) -> set[torch.dtype]:
        """As an ``OpInfo``."""
        del device
        return set(self.dtypes)

    def supported_backward_dtypes(self, device: str) -> set[torch.dtype]:
        """As an ``OpInfo``."""
        del device
        return {d for d in self.dtypes if d.is_floating_point or d.is_complex}

    def sample_inputs(
        self, device: str, dtype: torch.dtype, *, requires_grad: bool
    ) -> Iterator[SampleInput]:
        """One sample; both devices get the same elements."""
        first = self.make("cpu", dtype)
        if isinstance(first, Tensor):
            first = first.to(device)
            yield SampleInput(first.requires_grad_() if requires_grad else first)
        else:
            yield SampleInput([item.to(device) for item in first])


def _dense(*shape: int) -> Callable[[str, torch.dtype], Tensor]:
    def make(device: str, dtype: torch.dtype) -> Tensor:
        tensor = make_tensor(shape, dtype=dtype, device=device, low=-0.9, high=0.9)
        return torch.where(make_tensor(shape, dtype=torch.bool, device=device), tensor, 0)

    return make


def _sparse(layout: torch.layout, *shape: int) -> Callable[[str, torch.dtype], Tensor]:
    def make(device: str, dtype: torch.dtype) -> Tensor:
        blocks = (2, 2) if layout in {torch.sparse_bsr, torch.sparse_bsc} else None
        return _dense(*shape)(device, dtype).to_sparse(layout=layout, blocksize=blocks)

    return make


def _uncoalesced(device: str, dtype: torch.dtype) -> Tensor:
    indices = torch.tensor([[0, 1, 1, 0], [2, 0, 0, 1]], device=device)
    values = make_tensor(4, dtype=dtype, device=device)
    return torch.sparse_coo_tensor(indices, values, (4, 6))


def _hybrid(device: str, dtype: torch.dtype) -> Tensor:
    return _dense(4, 6, 3)(device, dtype).to_sparse(2)


def _like(tensor: Tensor, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    dtype = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    made = torch.rand(shape, generator=generator, dtype=dtype)
    return made.to(tensor.device, tensor.dtype)


UNARY = [
    "abs",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "clone",
    "conj_physical",
    "deg2rad",
    "erf",
    "erfinv",
    "expm1",
    "floor",
    "frac",
    "isnan",
    "isinf",
    "log1p",
    "neg",
    "positive",
    "rad2deg",
    "relu",
    "round",
    "sgn",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
]
IN_PLACE = [
    "abs_",
    "asin_",
    "atan_",
    "ceil_",
    "deg2rad_",
    "erf_",
    "expm1_",
    "floor_",
    "log1p_",
    "neg_",
    "rad2deg_",
    "relu_",
    "round_",
    "sin_",
    "sqrt_",
    "tan_",
    "tanh_",
    "trunc_",
    "zero_",
]
LAYOUTS = {
    "coo": torch.sparse_coo,
    "csr": torch.sparse_csr,
    "csc": torch.sparse_csc,
    "bsr": torch.sparse_bsr,
    "bsc": torch.sparse_bsc,
}

#: On every sparse layout.
ON_SPARSE: dict[str, Callable[[Tensor], Any]] = {
    "to_dense": lambda x: x.to_dense(),
    "sum": lambda x: x.sum(),
    "mul by a number": lambda x: x * 2.5,
    "div by a number": lambda x: x / 2,
    "pow": lambda x: x**2,
    "matmul": lambda x: x @ _like(x, x.size(-1), 3),
    "matmul of a vector": lambda x: x @ _like(x, x.size(-1)),
    "rmatmul": lambda x: _like(x, 3, x.size(0)) @ x,
    "addmm": lambda x: torch.addmm(_like(x, x.size(0), 3), x, _like(x, x.size(-1), 3), alpha=2),
    "add itself": lambda x: x + x,
    "sub itself": lambda x: x - 2 * x,
    "mul itself": lambda x: x * x,
    "add to dense": lambda x: _like(x, *x.shape) + x,
    "mul by dense": lambda x: x * _like(x, *x.shape),
    "matmul itself": lambda x: x @ x.transpose(0, 1),
    "transpose": lambda x: x.transpose(0, 1),
    "detach": lambda x: x.detach(),
    "double": lambda x: x.to(torch.complex128 if x.is_complex() else torch.float64),
    "to the host": lambda x: x.cpu().to(x.device),
    "zeros_like": torch.zeros_like,
    "copy_": lambda x: torch.zeros_like(x).copy_(x) if x.layout == torch.sparse_coo else x,
    "numel": lambda x: (x.numel(), x._nnz(), x.shape, x.layout, x.is_sparse, x.is_sparse_csr),
    "print": str,
    "select": lambda x: x.select(0, 1),
    "save": lambda x: torch.equal(x.to_dense(), x.to_dense().clone()),
    "unsqueeze": lambda x: x.unsqueeze(0),
}
ON_COO: dict[str, Callable[[Tensor], Any]] = {
    "coalesce": lambda x: x.coalesce(),
    "indices": lambda x: (x.coalesce().indices(), x.coalesce().values()),
    "sparse sum": lambda x: torch.sparse.sum(x, 0),
    "sparse softmax": lambda x: torch.sparse.softmax(x, 1),
    "sparse log_softmax": lambda x: torch.sparse.log_softmax(x, 1),
    "sparse mm": lambda x: torch.sparse.mm(x, _like(x, x.size(1), 3)),
    "sparse sparse mm": lambda x: torch.sparse.mm(x, x.t()),
    "sparse addmm": lambda x: torch.sparse.addmm(_like(x, x.size(0), 3), x, _like(x, x.size(1), 3)),
    "hspmm": lambda x: torch.hspmm(x, _like(x, x.size(1), 3)),
    "sspaddmm": lambda x: torch.sspaddmm(x.detach(), x.detach(), _like(x, x.size(1), x.size(1))),
    "index_select": lambda x: x.index_select(0, torch.tensor([1, 0], device=x.device)),
    "narrow_copy": lambda x: x.narrow_copy(0, 1, 2),
    "permute": lambda x: x.permute(1, 0),
    "cat": lambda x: torch.cat([x, x]),
    "stack": lambda x: torch.stack([x, x]),
    "norm": lambda x: x.norm(),
    "any": lambda x: x.bool().any(),
    "add_": lambda x: x.clone().add_(x),
    "add_ to dense": lambda x: _like(x, *x.shape).add_(x, alpha=2),
    "mul_": lambda x: x.clone().mul_(3),
    "div_": lambda x: x.clone().div_(3),
    "sub_": lambda x: x.clone().sub_(x),
    "zero_": lambda x: x.detach().clone().zero_(),
    "sparse_resize_": lambda x: x.detach().clone().sparse_resize_((8, 8), 2, 0),
    "sparse_resize_and_clear_": lambda x: x.detach().clone().sparse_resize_and_clear_((2, 2), 1, 1),
    "sparse_mask": lambda x: _like(x, *x.shape).sparse_mask(x.detach().coalesce()),
    "to_sparse_csr": lambda x: x.to_sparse_csr(),
    "to_sparse_csc": lambda x: x.to_sparse_csc(),
    "to_sparse_bsr": lambda x: x.to_sparse_bsr((2, 2)),
    "from parts": lambda x: torch.sparse_coo_tensor(x._indices(), x._values(), x.shape),
    "wrong parts": lambda x: torch.sparse_coo_tensor(x._indices() + 9, x._values(), x.shape),
    "bmm": lambda x: torch.stack([x, x]).bmm(_like(x, 2, x.size(1), 3)),
}


def _of_layouts() -> Iterator[Operator]:
    for layout_name, layout in LAYOUTS.items():
        make = _sparse(layout, 4, 6)
        for name in UNARY:
            yield Operator(f"sparse {layout_name}: {name}", getattr(torch, name), make)
        for name in IN_PLACE:
            yield Operator(
                f"sparse {layout_name}: {name}",
                lambda x, name=name: getattr(x.detach().clone(), name)(),
                make,
            )
        for name, function in ON_SPARSE.items():
            yield Operator(f"sparse {layout_name}: {name}", function, make)
    shapes = {"coo": _sparse(torch.sparse_coo, 4, 6), "uncoalesced": _uncoalesced}
    shapes["hybrid"] = _hybrid
    for shape, make in shapes.items():
        for name, function in ON_COO.items():
            yield Operator(f"sparse {shape}: {name}", function, make)
        if shape != "coo":
            for name, function in ON_SPARSE.items():
                yield Operator(f"sparse {shape}: {name}", function, make)


def _rows(device: str, dtype: torch.dtype) -> list[Tensor]:
    return [make_tensor((n, 4), dtype=dtype, device=device) for n in (2, 5, 3)]


def _nested(rows: list[Tensor]) -> Tensor:
    return torch.nested.nested_tensor(rows, requires_grad=False)


NESTED: dict[str, Callable[[Tensor], Any]] = {
    "to_padded_tensor": lambda x: torch.nested.to_padded_tensor(x, 0.0),
    "unbind": lambda x: x.unbind(),
    "add": lambda x: x + x,
    "mul": lambda x: x * 2,
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
    "tanh": torch.tanh,
    "neg": torch.neg,
    "linear": lambda x: torch.nn.functional.linear(x, _like(x, 5, 4), _like(x, 5)),
    "softmax": lambda x: torch.softmax(x, -1),
    "layer_norm": lambda x: torch.nn.functional.layer_norm(x, (4,)),
    "dropout": lambda x: torch.nn.functional.dropout(x, 0.5),
    "clone": lambda x: x.clone(),
    "detach": lambda x: x.detach(),
    "transpose": lambda x: x.transpose(1, 2).contiguous(),
    "bmm": lambda x: x.bmm(x.transpose(1, 2)),
    "matmul": lambda x: torch.matmul(x, x.transpose(1, 2)),
    "select": lambda x: x.select(0, 1),
    "sum": lambda x: x.sum(-1, keepdim=True),
    "to the host": lambda x: x.cpu().to(x.device),
    "double": lambda x: x.double(),
    "chunk": lambda x: x.chunk(2, -1),
    "cos": torch.cos,
    "mul_": lambda x: x.clone().mul_(2),
    "fill_": lambda x: x.clone().fill_(2),
    "print": str,
}


def _of_nested() -> Iterator[Operator]:
    for name, function in NESTED.items():
        yield Operator(
            f"nested: {name}",
            lambda rows, function=function: function(_nested(rows)),
            _rows,
            (torch.float32, torch.float64),
            supports_autograd=False,
        )


def _quantized(x: Tensor) -> Tensor:
    return torch.quantize_per_tensor(x, 0.1, 3, torch.qint8)


QUANTIZED: dict[str, Callable[[Tensor], Any]] = {
    "quantize_per_tensor": _quantized,
    "dequantize": lambda x: _quantized(x).dequantize(),
    "int_repr": lambda x: _quantized(x).int_repr(),
    "fake_quantize_per_tensor_affine": lambda x: torch.fake_quantize_per_tensor_affine(
        x, 0.1, 3, -128, 127
    ),
    "fake_quantize_per_channel_affine": lambda x: torch.fake_quantize_per_channel_affine(
        x,
        _like(x, x.size(0)),
        torch.zeros(x.size(0), dtype=torch.int32, device=x.device),
        0,
        -128,
        127,
    ),
    "quantize_per_channel": lambda x: torch.quantize_per_channel(
        x, _like(x, x.size(0)) + 0.1, torch.zeros(x.size(0), device=x.device), 0, torch.qint8
    ),
}


def _of_quantized() -> Iterator[Operator]:
    for name, function in QUANTIZED.items():
        yield Operator(f"quantised: {name}", function, _dense(4, 6), (torch.float32,))


def _foreach() -> Iterator[Any]:
    groups = (
        foreach_unary_op_db,
        foreach_binary_op_db,
        foreach_pointwise_op_db,
        foreach_reduce_op_db,
        foreach_other_op_db,
    )
    for group in groups:
        yield from group


def more_operators() -> list[Any]:
    """All of them, in a fixed order."""
    return [*_of_layouts(), *_of_nested(), *_of_quantized(), *_foreach()]
