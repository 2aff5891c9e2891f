"""Registers every kernel on the CUDA dispatch key, and takes them back."""

from __future__ import annotations

import functools
import math
import warnings
from typing import TYPE_CHECKING, Any, Final, NoReturn

import torch

from placeaudit.simulate.torch_cuda.asserts import asserting
from placeaudit.simulate.torch_cuda.builds import (
    composite_kernel,
    no_kernel,
    real_kernels,
    refusal,
    runs_composite,
)
from placeaudit.simulate.torch_cuda.catalogue import Declaration, read_declarations
from placeaudit.simulate.torch_cuda.copies import make_copies
from placeaudit.simulate.torch_cuda.devices import index_of
from placeaudit.simulate.torch_cuda.dtypes import refuse_as_device
from placeaudit.simulate.torch_cuda.foreach import foreach_kernel
from placeaudit.simulate.torch_cuda.generators import takes_generator
from placeaudit.simulate.torch_cuda.indexing import make_indexing
from placeaudit.simulate.torch_cuda.kernels import generic_kernel, view_kernel
from placeaudit.simulate.torch_cuda.layers import make_composites, make_layers
from placeaudit.simulate.torch_cuda.nested import make_nested, nested_kernel
from placeaudit.simulate.torch_cuda.reads import make_reads
from placeaudit.simulate.torch_cuda.recurrent import make_recurrent
from placeaudit.simulate.torch_cuda.retag import ledgers, to_device
from placeaudit.simulate.torch_cuda.sparse import SPARSE_KEYS, make_sparse, sparse_kernel
from placeaudit.simulate.torch_cuda.waits import watch_waits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from placeaudit.simulate.torch_cuda.native import NativeDevice

__all__ = ["Kernels"]

#: Declared as one implementation for every device, but on a loop of the device's own.
_HOST_LOOPS: Final = (
    "conj_physical_",
    "kaiser_window",
    "kaiser_window.beta",
    "kaiser_window.periodic",
    "mode.values",
)
#: Operators whose results are quantised tensors, which cannot be aliased.
_QUANTIZERS: Final = ("quantize_per_", "_make_per_", "_empty_affine_", "_empty_per_channel_")
_READS: Final = make_reads()
_MAKERS: Final = {**make_nested(), **make_sparse()}


def find_operator(name: str, space: str = "aten") -> Any | None:  # torch has no public type for it
    """The overload named, None where this torch has none."""
    base, _, overload = name.partition(".")
    packet = getattr(getattr(torch.ops, space), base, None)
    return getattr(packet, overload or "default", None)


def _is_view(operator: Any) -> bool:
    returns = operator._schema.returns
    return any(r.alias_info is not None and not r.alias_info.is_write for r in returns)


def _has_kernel(name: str, key: str) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{name}", key)


def _same_memory(tensor: torch.Tensor, other: torch.Tensor) -> bool:
    """``is_set_to``: aliases have storages of their own, so compare what they describe."""
    return (
        tensor.data_ptr() == other.data_ptr()
        and tensor.size() == other.size()
        and tensor.stride() == other.stride()
    )


def _zeros(size: list[int], *, device: torch.device | None = None, **options: Any) -> torch.Tensor:
    """``_efficientzerotensor`` has no memory at all, which an alias cannot express."""
    return torch.zeros(size, device=device, dtype=options.get("dtype"))


def _allocating(operator: Any) -> Callable[..., torch.Tensor]:
    """An ``empty`` that asks the ledger before it asks the host, as a device that is full would."""
    call = operator._op

    def kernel(size: list[int], *args: Any, **options: Any) -> torch.Tensor:
        index = index_of(options.pop("device", None))
        dtype = options.get("dtype") or torch.get_default_dtype()
        for ledger in ledgers:
            ledger.require(math.prod(size) * dtype.itemsize, index)
        return to_device(call(size, *args, **options), index)

    return kernel


def _not_on_device(name: str) -> str:
    """The dispatcher's own words for an operator that CUDA devices do not have."""
    return (
        f"Could not run '{name}' with arguments from the 'CUDA' backend. This could be because the "
        "operator doesn't exist for this backend, or was omitted during the selective/custom build "
        "process (if using custom build). If you are a Facebook employee using PyTorch on mobile, "
        "please visit https://fburl.com/ptmfixes for possible resolutions."
    )


def _refuse_quantized(name: str) -> Callable[..., Any]:
    def kernel(*args: object, **kwargs: object) -> NoReturn:
        del args, kwargs
        raise NotImplementedError(f"aten::{name}: quantised tensors cannot be simulated on CUDA.")

    return kernel


def _special_kernels() -> dict[str, Callable[..., Any]]:
    return {
        **make_copies(),
        **make_indexing(),
        **make_layers(),
        "empty.memory_format": _allocating(torch.ops.aten.empty.memory_format),
        "empty_strided": _allocating(torch.ops.aten.empty_strided.default),
        "is_set_to": _same_memory,
        "_efficientzerotensor": _zeros,
        "record_stream": lambda tensor, stream: None,  # noqa: ARG005  # nothing to keep alive
    }


def _dense_kernel(name: str, operator: Any, declaration: Declaration) -> Callable[..., Any]:
    """The kernel of an operator that nothing special is made for."""
    if _is_view(operator) or name.startswith("set_"):
        return view_kernel(operator)
    if name in _MAKERS:
        return _MAKERS[name](operator)
    if name.startswith(_QUANTIZERS):
        return _refuse_quantized(name)
    kernel = takes_generator(operator, generic_kernel(operator, declaration))
    kernel = refuse_as_device(name, kernel)
    kernel = watch_waits(name, asserting(name, kernel))
    steps = _READS.get(name)
    return kernel if steps is None else steps(kernel)


def _kernels_of(
    name: str,
    operator: Any,
    declaration: Declaration,
    *,
    is_special: bool,
) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Dispatch keys and kernels of one operator; the dense one left out where it is special."""
    if declaration.has_cuda and not is_special and _has_kernel(name, "CPU"):
        yield "CUDA", _dense_kernel(name, operator, declaration)
    elif name.startswith("_foreach_") and runs_composite(f"aten::{name}"):
        yield "CUDA", foreach_kernel(operator)
    if declaration.has_nested_cuda and _has_kernel(name, "NestedTensorCPU"):
        yield "NestedTensorCUDA", nested_kernel(operator, declaration)
    for key in declaration.sparse:
        if _has_kernel(name, SPARSE_KEYS[key]):
            yield key, sparse_kernel(operator, declaration, key)


class Kernels:
    """The kernels of a simulated device; they stay until :meth:`remove`."""

    def __init__(self, native: NativeDevice) -> None:
        self._libraries: list[torch.library.Library] = []
        #: What a CUDA device implements itself, without namespace.
        self._on_device: set[str] = set()
        self._by_operator: dict[Any, Callable[..., Any]] = {}
        with warnings.catch_warnings():
            # Replacing a kernel of a CUDA build warns once per operator; it is what we want.
            warnings.simplefilter("ignore")
            self._register(native)

    def _register(self, native: NativeDevice) -> None:
        real = real_kernels()
        aten = torch.library.Library("aten", "IMPL")
        self._libraries.append(aten)
        special = _special_kernels()
        declarations = read_declarations()
        self._on_device = {name for name, item in declarations.items() if item.has_cuda}
        self._on_device |= {name.partition("::")[2] for name in real.get("CUDA", ())}
        for name, declaration in declarations.items():
            operator = find_operator(name)
            if operator is not None:
                is_special = name in special
                for key, kernel in _kernels_of(name, operator, declaration, is_special=is_special):
                    aten.impl(name, kernel, key)
        for name in _HOST_LOOPS:
            operator = find_operator(name)
            if operator is not None:
                aten.impl(name, generic_kernel(operator, Declaration(name)), "CUDA")
        for name, kernel in special.items():
            if find_operator(name) is not None:
                aten.impl(name, asserting(name, kernel), "CUDA")
        for name, kernel in (make_composites() | make_recurrent()).items():
            for key in ("AutogradCUDA", "CUDA"):
                aten.impl(name, kernel, key)
        aten.impl("is_pinned", _pinned_kernel(native), "CPU")
        anything = torch.library.Library("_", "IMPL")
        self._libraries.append(anything)
        anything.fallback(self._fallback, "CUDA")
        self._replace(real, aten._op_impls)

    def _replace(self, real: dict[str, list[str]], ours: set[str]) -> None:
        """Let no real kernel of a CUDA build run: each would ask for a driver."""
        libraries: dict[str, torch.library.Library] = {}
        for key, names in real.items():
            for full_name in names:
                space, _, name = full_name.partition("::")
                if f"{space}/{name}/{key}" in ours:
                    continue
                if space not in libraries:
                    libraries[space] = torch.library.Library(space, "IMPL")
                kernel = self._stand_in(full_name) if key == "CUDA" else refusal(full_name)
                libraries[space].impl(name, kernel, key, allow_override=True)
        self._libraries.extend(libraries.values())

    def _stand_in(self, full_name: str) -> Callable[..., Any]:
        space, _, name = full_name.partition("::")
        operator = find_operator(name, space)
        if operator is None:
            return refusal(full_name)
        if runs_composite(full_name):
            return composite_kernel(operator)
        return functools.partial(self._fallback, operator)

    def _fallback(self, operator: Any, *args: Any, **kwargs: Any) -> Any:
        """Operators of other libraries: their CPU kernel on host aliases."""
        kernel = self._by_operator.get(operator)
        if kernel is None:
            name = operator.name()
            space, _, short = name.partition("::")
            if space == "aten" and short not in self._on_device:
                raise NotImplementedError(_not_on_device(name))
            if not torch._C._dispatch_has_kernel_for_dispatch_key(name, "CPU"):
                raise NotImplementedError(no_kernel(name))
            declaration = Declaration(name, is_device_checked=False)
            make = view_kernel if _is_view(operator) else None
            kernel = make(operator) if make else generic_kernel(operator, declaration)
            self._by_operator[operator] = kernel
        return kernel(*args, **kwargs)

    def remove(self) -> None:
        """Take every kernel back: device tensors cannot even be printed afterwards."""
        for library in self._libraries:
            library._destroy()
        self._libraries.clear()


def _pinned_kernel(native: NativeDevice) -> Callable[..., bool]:
    is_pinned = native.is_pinned

    def kernel(tensor: torch.Tensor, device: torch.device | None = None) -> bool:
        if device is not None and device.type != "cuda":
            return False
        return is_pinned(tensor)

    return kernel
