"""One operator call on the host and on the simulated device: are they the same?

Compared are every result (type, shape, strides, dtype, lazy bits, device, elements bit by bit and
then within the tolerance of the dtype), what became of the inputs, which tensors share memory, and
where the host raises, the error's type and text.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

__all__ = ["DEVICE", "HOST", "Observed", "Side", "Verdict", "compare", "leaves", "observe"]

Tensor = torch.Tensor
_is_alias: Any = getattr(torch._C, "_is_alias_of")  # noqa: B009  # not in torch's stubs
Place = Callable[[Any], Any]

_WORDS = (
    (re.compile(r"torch\.cuda\.(?=\w+Tensor)"), "torch."),
    (re.compile(r"\bcuda(:\d+)?\b"), "cpu"),
    (re.compile(r"CUDA"), "CPU"),
    (re.compile(r"failed to match any schema:.*", re.DOTALL), ""),
    (re.compile(r"only available for these backends:.*", re.DOTALL), ""),
    (re.compile(r"0x[0-9a-f]+"), "0x"),
)


class Verdict(enum.StrEnum):
    """How one call on the device ended, beside the same call on the host."""

    IDENTICAL = "identical"
    CLOSE = "within tolerance"
    REFUSED = "refused"
    DIFFERENT = "different"


class Difference(Exception):  # noqa: N818  # not an error: what comparing found
    """What is not the same, and where."""


@dataclass(frozen=True)
class Observed:
    """What one call gave."""

    results: Any = None
    inputs: Any = None
    error: Exception | None = None
    notes: tuple[Any, ...] = field(default=())


def leaves(tree: Any) -> Iterator[Any]:
    """Everything in nested lists, tuples and dictionaries."""
    if isinstance(tree, (list, tuple)):
        for item in tree:
            yield from leaves(item)
    elif isinstance(tree, dict):
        for item in tree.values():
            yield from leaves(item)
    else:
        yield tree


def _tensors(tree: Any) -> list[Tensor]:
    return [item for item in leaves(tree) if isinstance(item, Tensor)]


class Side:
    """The host or the device: gives fresh copies of samples there."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        #: Copies by storage, with the tensor that keeps the storage (and its address) alive.
        self._storages: dict[int, tuple[Tensor, Tensor]] = {}

    def fresh(self) -> None:
        """Forget which storages were copied: what is placed from now on shares nothing before."""
        self._storages.clear()

    def place(self, host: Any, model: Any, *, gradients: bool = False) -> Any:
        """A copy of everything; tensors that share memory still do.

        Args:
            host: the sample as PyTorch makes it for the host.
            model: the same sample as PyTorch makes it for a device: some tensors stay on the host.
            gradients: whether tensors that want gradients shall have them.
        """
        if isinstance(host, Tensor):
            stays = isinstance(model, Tensor) and model.device.type == "cpu"
            copy = self._copy(host, torch.device("cpu") if stays else self.device)
            return copy.requires_grad_() if gradients and host.requires_grad else copy
        if isinstance(host, (list, tuple)):
            pairs = zip(host, model, strict=True)
            items = [self.place(item, like, gradients=gradients) for item, like in pairs]
            return type(host)(*items) if hasattr(host, "_fields") else type(host)(items)
        if isinstance(host, dict):
            return {k: self.place(v, model[k], gradients=gradients) for k, v in host.items()}
        return host if self.device.type == "cpu" else model

    def move(self, tensor: Tensor) -> Tensor:
        """A copy of one tensor."""
        return self._copy(tensor, self.device)

    def _copy(self, tensor: Tensor, device: torch.device) -> Tensor:
        with torch.no_grad():
            if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested:
                return tensor.detach().clone().to(device)
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key not in self._storages:
                whole = torch.empty(0, dtype=torch.uint8).set_(storage)
                self._storages[key] = whole, whole.clone().to(device)
            copy = torch.empty(0, dtype=tensor.dtype, device=device)
            copy.set_(
                self._storages[key][1].untyped_storage(),
                tensor.storage_offset(),
                tensor.size(),
                tensor.stride(),
            )
            if tensor.is_conj():
                torch._C._set_conj(copy, True)
            if tensor.is_neg():
                torch._C._set_neg(copy, True)
            return copy


HOST = "cpu"
#: Not the current one: results must follow their operands.
DEVICE = "cuda:1"


def observe(call: Callable[[Side], tuple[Any, ...]], side: Side) -> Observed:
    """Run one call with the seed set; errors are part of what is observed."""
    side.fresh()
    torch.manual_seed(11)
    try:
        results, inputs, *notes = call(side)
    except Exception as error:  # noqa: BLE001  # whatever the operator raises
        return Observed(error=error)
    return Observed(results, inputs, None, tuple(notes))


def compare(host: Observed, device: Observed, *, values: bool = True) -> tuple[Verdict, str]:
    """How alike two observations are, and what differs.

    Args:
        host: on the CPU.
        device: on the simulated device.
        values: compare elements too; not where the operator leaves them undefined.
    """
    if host.error is not None or device.error is not None:
        return _compare_errors(host.error, device.error)
    try:
        is_close = _compare(host.results, device.results, "result", values=values)
        is_close |= _compare(host.inputs, device.inputs, "input", values=values)
        _compare(host.notes, device.notes, "note", values=True)
        _compare_sharing(host, device)
    except Difference as difference:
        return Verdict.DIFFERENT, str(difference)
    return (Verdict.CLOSE if is_close else Verdict.IDENTICAL), ""


def _line(error: Exception | None) -> str:
    if error is None:
        return "no error"
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:300] if text else ''}"


def _plain(error: Exception) -> str:
    text = str(error)
    for pattern, word in _WORDS:
        text = pattern.sub(word, text)
    return text


def _compare_errors(host: Exception | None, device: Exception | None) -> tuple[Verdict, str]:
    if host is not None and device is not None:
        if type(host) is type(device) and _plain(host) == _plain(device):
            return Verdict.IDENTICAL, ""
        return Verdict.DIFFERENT, f"host raises {_line(host)}; device raises {_line(device)}"
    if isinstance(device, NotImplementedError):
        return Verdict.REFUSED, _line(device)
    return Verdict.DIFFERENT, f"host: {_line(host)}; device: {_line(device)}"


def _require(left: object, right: object, what: str) -> None:
    if left != right:
        raise Difference(f"{what}: {left} on the host, {right} on the device")


def _compare(host: Any, device: Any, where: str, *, values: bool) -> bool:
    """Whether anything was only within tolerance.

    Raises:
        Difference: something is not the same.
    """
    if isinstance(host, Tensor) and isinstance(device, Tensor):
        return _compare_tensors(host, device, where, values=values)
    _require(type(host), type(device), f"type of {where}")
    if isinstance(host, (list, tuple)):
        _require(len(host), len(device), f"length of {where}")
        pairs = enumerate(zip(host, device, strict=True))
        parts = [_compare(a, b, f"{where}[{i}]", values=values) for i, (a, b) in pairs]
        return any(parts)
    if isinstance(host, dict):
        _require(list(host), list(device), f"keys of {where}")
        parts = [_compare(host[k], device[k], f"{where}[{k}]", values=values) for k in host]
        return any(parts)
    if isinstance(host, (bool, int, float, complex, torch.dtype, torch.Size)):
        is_same = host == device or (host != host and device != device)  # noqa: PLR0124  # NaN
        if not is_same and values and not _near(host, device):
            raise Difference(f"{where}: {host} on the host, {device} on the device")
    return False


def _near(host: object, device: object) -> bool:
    if isinstance(host, float) and isinstance(device, float):
        return math.isclose(host, device, rel_tol=1e-6, abs_tol=1e-6)
    return False


def _compare_tensors(host: Tensor, device: Tensor, where: str, *, values: bool) -> bool:
    if device.device != torch.device(DEVICE) and where.startswith("result"):
        raise Difference(f"{where} is on {device.device}")
    for name in ("layout", "dtype", "shape", "requires_grad", "is_quantized", "is_nested"):
        if name == "shape" and host.is_nested:
            continue
        _require(getattr(host, name), getattr(device, name), f"{name} of {where}")
    _require(host.is_conj(), device.is_conj(), f"conjugate bit of {where}")
    _require(host.is_neg(), device.is_neg(), f"negative bit of {where}")
    if host.is_nested:
        return _compare(list(host.unbind()), list(device.unbind()), where, values=values)
    if host.layout != torch.strided:
        return _compare_sparse(host, device, where, values=values)
    if " of " not in where:  # the parts of sparse tensors may be views or not
        if host.numel():
            _require(host.stride(), device.stride(), f"strides of {where}")
        _require(host.storage_offset(), device.storage_offset(), f"storage offset of {where}")
    if host.is_quantized:
        host, device = host.int_repr(), device.int_repr()
    return _compare_elements(host, device, where) if values else False


def _compare_sparse(host: Tensor, device: Tensor, where: str, *, values: bool) -> bool:
    names: tuple[str, ...]
    _require(host._nnz(), device._nnz(), f"number of elements of {where}")
    if host.layout == torch.sparse_coo:
        _require(host.is_coalesced(), device.is_coalesced(), f"coalesced {where}")
        names = ("_indices", "_values")
    elif host.layout in {torch.sparse_csr, torch.sparse_bsr}:
        names = ("crow_indices", "col_indices", "values")
    else:
        names = ("ccol_indices", "row_indices", "values")
    parts = [
        _compare(
            getattr(host.detach(), name)(),
            getattr(device.detach(), name)(),
            f"{name} of {where}",
            values=values,
        )
        for name in names
    ]
    return any(parts)


def _without_bits(tensor: Tensor) -> Tensor:
    """The elements as they are in memory; the lazy bits were compared before."""
    raw = tensor.detach()
    torch._C._set_conj(raw, False)
    torch._C._set_neg(raw, False)
    return raw


def _bytes(tensor: Tensor) -> bytes:
    packed = torch.empty(tensor.numel(), dtype=tensor.dtype, device="cpu")
    if not packed.numel():
        return b""
    packed.view(tensor.shape).copy_(tensor)
    return packed.view(torch.uint8).numpy().tobytes()


def _compare_elements(host: Tensor, device: Tensor, where: str) -> bool:
    back = _without_bits(device).cpu()
    host = _without_bits(host)
    if _bytes(host) == _bytes(back):
        return False
    try:
        torch.testing.assert_close(back, host, rtol=0, atol=0, equal_nan=True)
    except AssertionError:
        pass
    else:
        return False
    try:
        torch.testing.assert_close(back, host, equal_nan=True)
    except AssertionError as error:
        lines = [line for line in str(error).splitlines() if line]
        raise Difference(f"elements of {where}: {' '.join(lines[:3])}") from None
    return True


def _sharing(observed: Observed) -> list[tuple[bool, bool]]:
    inputs = _tensors(observed.inputs)
    strided = [t for t in inputs if t.layout == torch.strided and not t.is_nested]
    return [
        (result is source, _is_alias(result, source))
        for result in _tensors(observed.results)
        if result.layout == torch.strided and not result.is_nested
        for source in strided
    ]


def _compare_sharing(host: Observed, device: Observed) -> None:
    _require(_sharing(host), _sharing(device), "(identity, shared memory) of results and inputs")
    versions = [[t._version for t in _tensors(side.inputs)] for side in (host, device)]
    _require(versions[0], versions[1], "version counters of the inputs")
