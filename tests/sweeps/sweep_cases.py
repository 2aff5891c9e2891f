"""What is called for each of PyTorch's operator samples: forward, gradients, ``out=``, in place.

A case is a name and a function that makes one call on one side; :mod:`sweep_compare` runs it on
both sides and compares.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from sweep_compare import DEVICE, HOST, Side, leaves
from torch.testing._internal.common_utils import noncontiguous_like

__all__ = ["Case", "cases_of", "error_cases", "samples_of"]

Tensor = torch.Tensor
#: Name, and the call on one side: its results, its inputs afterwards, further things to compare.
Case = tuple[str, Callable[[Side], tuple[Any, ...]]]


class _Sample:
    """One of PyTorch's samples: an operator's arguments."""

    def __init__(self, sample: Any, model: Any) -> None:
        self.input = sample.input
        self.args = sample.args
        self.kwargs = sample.kwargs
        self.finish = sample.output_process_fn_grad
        #: The same as PyTorch makes it for the device.
        self._model = (model.input, model.args, model.kwargs)

    def on(self, side: Side, *, gradients: bool = False) -> tuple[Any, tuple[Any, ...], Any]:
        """Fresh arguments there."""
        host = (self.input, self.args, self.kwargs)
        first, args, kwargs = side.place(host, self._model, gradients=gradients)
        return first, args, kwargs

    def changed(self, change: Callable[[Tensor], Tensor]) -> _Sample:
        """The same sample with every tensor of the first argument changed."""
        other = object.__new__(_Sample)
        other.input = _mapped(self.input, change)
        other.args, other.kwargs, other.finish = self.args, self.kwargs, self.finish
        other._model = self._model
        return other


def _mapped(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, (list, tuple)) and not hasattr(tree, "_fields"):
        return type(tree)(_mapped(item, change) for item in tree)
    return tree


def _forward(function: Callable[..., Any], sample: _Sample) -> Case:
    def call(side: Side) -> tuple[Any, ...]:
        first, args, kwargs = sample.on(side)
        return function(first, *args, **kwargs), (first, args, kwargs)

    return "forward", call


def _differentiable(tree: Any) -> list[Tensor]:
    return [item for item in leaves(tree) if isinstance(item, Tensor) and item.requires_grad]


def _gradient(function: Callable[..., Any], sample: _Sample) -> Case:
    def call(side: Side) -> tuple[Any, ...]:
        arguments = sample.on(side, gradients=True)
        first, args, kwargs = arguments
        results = sample.finish(function(first, *args, **kwargs))
        outputs = _differentiable(results)
        inputs = _differentiable(arguments)
        if not outputs or not inputs:
            return results, ()
        directions = [side.move(_direction(item)) for item in outputs]
        gradients = torch.autograd.grad(outputs, inputs, directions, allow_unused=True)
        shown = [item.detach() for item in leaves(results) if isinstance(item, Tensor)]
        return [shown, list(gradients)], ()

    return "gradient", call


def _direction(output: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    if output.layout != torch.strided:
        return torch.ones_like(output.detach()).cpu()
    real = torch.float64 if output.dtype in {torch.float64, torch.complex128} else torch.float32
    shape = output.shape
    direction = torch.rand(shape, generator=generator, dtype=real)
    return direction.to(output.dtype)


def _in_place(function: Callable[..., Any], sample: _Sample, *, through_view: bool) -> Case:
    def call(side: Side) -> tuple[Any, ...]:
        first, args, kwargs = sample.on(side)
        base = first
        if through_view:
            base = torch.zeros((*first.shape, 2), dtype=first.dtype, device=side.device)
            base.select(-1, 1).copy_(first)
            first = base.select(-1, 1)
        result = function(first, *args, **kwargs)
        return result, (base, args, kwargs), result is first, base._version

    return "in place on a view" if through_view else "in place", call


def _outs_like(results: Any, make: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(results, Tensor):
        return make(results)
    return tuple(make(item) for item in results)


def _spaced(like: Tensor) -> Tensor:
    wide = torch.zeros((*like.shape, 2), dtype=like.dtype, device=like.device)
    return wide.select(-1, 0)


def _other_dtype(like: Tensor) -> Tensor:
    dtype = torch.int32 if like.dtype != torch.int32 else torch.float32
    return torch.zeros(like.shape, dtype=dtype, device=like.device)


def _wider(like: Tensor) -> Tensor:
    dtype = torch.complex128 if like.is_complex() else torch.float64
    return torch.zeros(like.shape, dtype=dtype, device=like.device)


def _part(like: Tensor) -> Tensor:
    return torch.zeros(2 * like.numel() + 3, dtype=like.dtype, device=like.device)[1:3]


#: Ways to give a result its place, by name.
OUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "out": lambda like: torch.zeros_like(like, memory_format=torch.contiguous_format),
    "out, empty": lambda like: torch.empty(0, dtype=like.dtype, device=like.device),
    "out, to resize": lambda like: torch.ones((1, *like.shape), dtype=like.dtype).to(like.device),
    "out, part of another": _part,
    "out, spaced": _spaced,
    "out, other dtype": _other_dtype,
    "out, wider dtype": _wider,
}


def _out(function: Callable[..., Any], sample: _Sample, name: str) -> Case:
    def call(side: Side) -> tuple[Any, ...]:
        first, args, kwargs = sample.on(side)
        results = function(first, *args, **kwargs)
        if not all(isinstance(item, Tensor) for item in leaves(results)):
            return (), ()
        outs = _outs_like(results, OUTS[name])
        addresses = [item.data_ptr() for item in leaves(outs)]
        given = function(first, *args, **{**kwargs, "out": outs})
        is_same = [a is b for a, b in zip(leaves(given), leaves(outs), strict=True)]
        is_kept = [a == b.data_ptr() for a, b in zip(addresses, leaves(outs), strict=True)]
        bases = [item._base for item in leaves(outs) if item._base is not None]
        return [given, bases], (first, args, kwargs), is_same, is_kept

    return name, call


def _noncontiguous(tensor: Tensor) -> Tensor:
    with torch.no_grad():
        if tensor.layout != torch.strided or not tensor.numel():
            return tensor
        copy: Tensor = noncontiguous_like(tensor)
        return copy


def _conjugate_view(tensor: Tensor) -> Tensor:
    with torch.no_grad():
        if not tensor.is_complex() or tensor.layout != torch.strided:
            return tensor
        return torch.conj_physical(tensor).conj().requires_grad_(tensor.requires_grad)


def _negative_view(tensor: Tensor) -> Tensor:
    with torch.no_grad():
        if tensor.layout != torch.strided or not (
            tensor.is_floating_point() or tensor.is_complex()
        ):
            return tensor
        return torch._neg_view(torch.neg(tensor)).requires_grad_(tensor.requires_grad)


def _as_dtype(tensor: Any, dtype: torch.dtype) -> bool:
    return isinstance(tensor, Tensor) and tensor.dtype == dtype


def _view_cases(op: Any, dtype: torch.dtype, sample: _Sample) -> Iterator[Case]:
    changes = [("non-contiguous", _noncontiguous)]
    if dtype.is_complex and op.test_conjugated_samples:
        changes.append(("conjugate view", _conjugate_view))
    if op.test_neg_view and (dtype.is_complex or dtype in {torch.float32, torch.float64}):
        changes.append(("negative view", _negative_view))
    for name, change in changes:
        changed = sample.changed(change)
        yield name, _forward(op.op, changed)[1]
        if any(item.requires_grad for item in leaves(changed.input) if isinstance(item, Tensor)):
            yield f"{name}, gradient", _gradient(op.op, changed)[1]


def cases_of(op: Any, dtype: torch.dtype, pair: tuple[Any, Any], turn: int) -> Iterator[Case]:
    """Everything that is called for one sample.

    Args:
        op: an ``OpInfo``.
        dtype: the dtype of the sample.
        pair: a ``SampleInput`` made for the host, and the same made for the device.
        turn: which sample of the operator this is; the ways to give ``out=`` take turns.
    """
    plain = _Sample(*pair)
    yield _forward(op.op, plain)
    if _differentiable((plain.input, plain.args, plain.kwargs)):
        yield _gradient(op.op, plain)
    yield from _view_cases(op, dtype, plain)
    first = plain.input
    if op.supports_out:
        names = list(OUTS)
        start = (2 * turn) % len(names)
        for name in itertools.islice(itertools.cycle(names), start, start + 2):
            yield _out(op.op, plain, name)
    in_place = op.inplace_variant
    if in_place is not None and _as_dtype(first, dtype) and not pair[0].broadcasts_input:
        yield _in_place(in_place, plain, through_view=False)
        if first.layout == torch.strided:
            yield _in_place(in_place, plain, through_view=True)


def _paired(name: str, host: list[Any], device: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Each sample with its model for the device, made from it where there is no counterpart."""
    if name == "to" or len(host) != len(device):
        return ((sample, _Model(sample)) for sample in host)
    return zip(host, device, strict=True)


def _names_device(host: Any, model: Any) -> bool:
    """Whether a sample says which device it wants, whichever it is made for."""
    wanted = host.kwargs.get("device")
    same = wanted is not None and str(wanted) == str(model.kwargs.get("device"))
    others = (item for item in leaves(host.args) if isinstance(item, (str, torch.device)))
    return same or any("cuda" in str(item) for item in others)


def samples_of(op: Any, dtype: torch.dtype, limit: int) -> Iterator[tuple[Any, Any]]:
    """PyTorch's samples for the host, each with what it makes for the device in its place.

    Of more than ``limit``, as many at equal distances.
    """
    has_gradient = op.supports_autograd and dtype in op.supported_backward_dtypes("cpu")
    torch.manual_seed(3)
    made = [list(op.sample_inputs(d, dtype, requires_grad=has_gradient)) for d in (HOST, DEVICE)]
    pairs = [pair for pair in _paired(op.name, *made) if not _names_device(*pair)]
    step = max(1.0, len(pairs) / limit)
    for pair in (pairs[int(i * step)] for i in range(min(limit, len(pairs)))):
        if op.name == "linalg.lstsq":  # another algorithm by default
            for sample in pair:
                sample.kwargs["driver"] = sample.kwargs.get("driver") or "gels"
        yield pair


def _mapped_devices(tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return None  # no model: it moves
    if isinstance(tree, (list, tuple)):
        return type(tree)(_mapped_devices(item) for item in tree)
    if isinstance(tree, dict):
        return {key: _mapped_devices(item) for key, item in tree.items()}
    if isinstance(tree, torch.device):
        return torch.device(DEVICE)
    return DEVICE if isinstance(tree, str) and tree == HOST else tree


class _Model:
    """A sample for the device made from the host's: everything is on the device."""

    def __init__(self, sample: Any) -> None:
        self.input = _mapped_devices(sample.input)
        self.args, self.kwargs = _mapped_devices(sample.args), _mapped_devices(sample.kwargs)


def error_cases(op: Any) -> Iterator[Case]:
    """PyTorch's samples of wrong arguments."""
    if op.error_inputs_func is None:
        return
    torch.manual_seed(3)
    made = [[error.sample_input for error in op.error_inputs(d)] for d in (HOST, DEVICE)]
    for pair in _paired(op.name, *made):
        sample = _Sample(*pair)
        yield "wrong arguments", _forward(op.op, sample)[1]
