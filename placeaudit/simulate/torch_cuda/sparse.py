"""Sparse tensors on the simulated device: COO, and the compressed CSR, CSC, BSR and BSC.

A sparse tensor is a shell around dense ones, and a shell for ``cuda:N`` can be made by the code
that makes the host's.  Most operators are one implementation for every device, written on those
dense tensors: it runs on the device tensor itself, and the dense operators come to their own
kernels one by one.  Those with a CUDA implementation of their own run the CPU's on a host shell
around aliases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.simulate.torch_cuda.devices import make_mismatch
from placeaudit.simulate.torch_cuda.kernels import operands_of, result_sources, shared_kernel
from placeaudit.simulate.torch_cuda.outputs import out_kernel
from placeaudit.simulate.torch_cuda.retag import to_device, to_host

if TYPE_CHECKING:
    from collections.abc import Callable

    from placeaudit.simulate.torch_cuda.catalogue import Declaration

    Kernel = Callable[..., Any]

__all__ = ["SPARSE_KEYS", "make_sparse", "sparse_kernel"]

Tensor = torch.Tensor
_CPU: Final = torch.device("cpu")
#: The host's dispatch key of each sparse one of the device.
SPARSE_KEYS: Final = {"SparseCUDA": "SparseCPU", "SparseCsrCUDA": "SparseCsrCPU"}
#: Layouts whose compressed dimension is the rows.
_BY_ROW: Final = (torch.sparse_csr, torch.sparse_bsr)

#: Compressed tensors: what is really one implementation, and not one with loops of the device's own
#: or a library behind it.
_ONE_CODE: Final = frozenset(
    {
        "_nnz",
        "ccol_indices",
        "clone",
        "col_indices",
        "copy_",
        "crow_indices",
        "dense_dim",
        "empty.memory_format",
        "empty_like",
        "resize_",
        "resize_as_sparse_",
        "row_indices",
        "sparse_dim",
        "values",
    }
)


def _shared(name: str, key: str = "SparseCPU") -> Kernel:
    return shared_kernel(getattr(torch.ops.aten, name).default, key)


class _Shells:
    """Sparse tensors from one side to the other, the memory of their parts shared."""

    def __init__(self) -> None:
        names = ("sparse_dim", "dense_dim", "is_coalesced", "_indices", "_values")
        self._coo = [_shared(name) for name in names]
        self._make_coo = _shared("_sparse_coo_tensor_with_dims_and_tensors")
        self._replace_coo = _shared("copy_sparse_to_sparse_")
        key = "SparseCsrCPU"
        self._rows = [_shared(name, key) for name in ("crow_indices", "col_indices", "values")]
        self._columns = [_shared(name, key) for name in ("ccol_indices", "row_indices", "values")]
        self._make_compressed = torch.ops.aten._sparse_compressed_tensor_unsafe.default._op

    def _rebuilt(
        self, tensor: Tensor, alias: Callable[[Tensor], Tensor], device: torch.device
    ) -> Tensor:
        options = {"dtype": tensor.dtype, "layout": tensor.layout, "device": device}
        made: Tensor
        if tensor.layout == torch.sparse_coo:
            sparse_dim, dense_dim, coalesced, indices, values = (read(tensor) for read in self._coo)
            parts = alias(indices), alias(values)
            made = self._make_coo(
                sparse_dim, dense_dim, tensor.size(), *parts, **options, is_coalesced=coalesced
            )
            return made
        readers = self._rows if tensor.layout in _BY_ROW else self._columns
        made = self._make_compressed(
            *(alias(read(tensor)) for read in readers), tensor.size(), **options
        )
        return made

    def host(self, value: Any, seen: dict[int, Tensor]) -> Any:
        """Arguments as the host sees them; ``seen`` holds the shells made for this call."""
        if isinstance(value, Tensor):
            if not value.is_cuda:
                return value
            if value.layout == torch.strided:
                return to_host(value)
            if id(value) not in seen:
                seen[id(value)] = self._rebuilt(value, to_host, _CPU)
            return seen[id(value)]
        if isinstance(value, (list, tuple)):
            return [self.host(item, seen) for item in value]
        if isinstance(value, torch.device) and value.type == "cuda":
            return _CPU
        return value

    def device(self, value: Any, index: int) -> Any:
        """Results on the device."""
        if isinstance(value, Tensor):
            if value.layout == torch.strided:
                return to_device(value, index)
            device = torch.device("cuda", index)
            return self._rebuilt(value, lambda part: to_device(part, index), device)
        if isinstance(value, (list, tuple)):
            return type(value)(self.device(item, index) for item in value)
        return value

    def replace(self, target: Tensor, host: Tensor) -> None:
        """Make ``target``, which an operator wrote, what its host shell has become."""
        made = self.device(host, target.get_device())
        if target.layout == torch.sparse_coo:
            self._replace_coo(target, made, False)
            return
        values = self._rows[-1]
        if values(target).data_ptr() != values(made).data_ptr():
            target.resize_as_sparse_(made)
            target.copy_(made)


class _HostRun:
    """Runs the CPU's implementation on host shells and aliases."""

    def __init__(self, operator: Any, declaration: Declaration) -> None:
        self._operator = operator
        self._shells = _Shells()
        self._mismatch = make_mismatch(declaration)
        arguments = operator._schema.arguments
        self._written = {
            argument.name: place
            for place, argument in enumerate(arguments)
            if argument.alias_info is not None and argument.alias_info.is_write
        }

    def __call__(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        given: tuple[tuple[Any, ...], dict[str, Any]] | None = None,
    ) -> tuple[Any, int]:
        """The results on the device, and its index."""
        operands = operands_of(self._operator, *(given or (args, kwargs)))
        if len({operand.tensor.device for operand in operands}) > 1:
            self._mismatch(operands)
        index = next(item.tensor.get_device() for item in operands if item.tensor.is_cuda)
        seen: dict[int, Tensor] = {}
        host = [self._shells.host(item, seen) for item in args]
        host_kwargs = {name: self._shells.host(item, seen) for name, item in kwargs.items()}
        result = self._operator._op(*host, **host_kwargs)
        for name, place in self._written.items():
            target = kwargs[name] if name in kwargs else args[place]
            if isinstance(target, Tensor) and target.is_cuda and target.layout != torch.strided:
                changed = host_kwargs[name] if name in kwargs else host[place]
                self._shells.replace(target, changed)
        return result, index

    def wrapped(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The results as tensors of the device."""
        result, index = self(args, kwargs)
        return self._shells.device(result, index)


def _host_kernel(operator: Any, declaration: Declaration) -> Kernel:
    run = _HostRun(operator, declaration)
    sources = result_sources(operator)
    names = [source for source in sources if isinstance(source, str)]
    if names:
        return out_kernel(run, names)

    def kernel(*args: Any, **kwargs: Any) -> Any:
        if len(sources) == 1 and isinstance(sources[0], int):
            run(args, kwargs)
            return args[sources[0]]
        return run.wrapped(args, kwargs)

    return kernel


def sparse_kernel(operator: Any, declaration: Declaration, key: str) -> Kernel:
    """The kernel of an operator on sparse tensors that CPU implements too.

    Args:
        operator: the overload.
        declaration: what is known of it.
        key: ``SparseCUDA`` or ``SparseCsrCUDA``.
    """
    is_one_code = key == "SparseCUDA" or declaration.name in _ONE_CODE
    if is_one_code and key in declaration.shared_sparse:
        return shared_kernel(operator, SPARSE_KEYS[key])
    return _host_kernel(operator, declaration)


def make_sparse() -> dict[str, Callable[[Any], Kernel]]:
    """Operators on dense tensors whose results are sparse, by name: what makes their kernel."""
    compressed = (f"_to_sparse_{layout}" for layout in ("csr", "csc", "bsr", "bsc"))
    names = ("_to_sparse", "_to_sparse.sparse_dim", *compressed)
    return dict.fromkeys(names, lambda operator: shared_kernel(operator, "CPU"))
