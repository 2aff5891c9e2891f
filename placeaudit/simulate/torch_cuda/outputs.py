"""Tensors that an operator writes and may give another size: ``out=`` and ``resize_``.

The host's alias of a device tensor has a storage of its own, which cannot grow, and a size of its
own, which the device tensor does not follow.  So what an operator did to the alias is done to the
device tensor afterwards; where memory has to grow the operator writes to a stand-in instead, a host
tensor of the same geometry on a storage of the same size, and so decides as it does on the host.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.simulate.torch_cuda.retag import to_device, to_host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["assign", "out_kernel", "resize"]

Tensor = torch.Tensor
_CPU_KEYS: Final = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
_CPU: Final = torch.device("cpu")
_set_kernel: Final = torch.library.get_kernel("aten::set_.source_Storage_storage_offset", "CPU")
_resize: Final = torch.ops.aten.resize_.default._op


def _set(target: Tensor, storage: object, offset: Any, like: Tensor) -> None:
    _set_kernel.call_boxed(_CPU_KEYS, target, storage, offset, like.size(), like.stride())


def _stand_in(target: Tensor, *, filled: bool) -> Tensor:
    """A host tensor of the same geometry, on a storage of the same size that can grow."""
    source = target.untyped_storage()
    memory = torch.empty(source.nbytes(), dtype=torch.uint8, device=_CPU)
    if filled and source.nbytes():
        whole = torch.empty(0, dtype=torch.uint8, device=target.device)
        _set(whole, source, 0, memory)
        memory.copy_(to_host(whole))
    stand = torch.empty(0, dtype=target.dtype, device=_CPU)
    _set(stand, memory.untyped_storage(), target.storage_offset(), target)
    return stand


def _adopt(target: Tensor, stand: Tensor) -> None:
    """Make ``target`` what ``stand``, its stand-in, has become."""
    source, storage = stand.untyped_storage(), target.untyped_storage()
    if source.nbytes() <= storage.nbytes():
        _set(target, storage, stand.storage_offset(), stand)
        if stand.numel():
            to_host(target).copy_(stand)
        return
    whole = torch.empty(0, dtype=torch.uint8, device=_CPU)
    whole.set_(source)
    _set(
        target,
        to_device(whole, target.get_device()).untyped_storage(),
        stand.storage_offset(),
        stand,
    )


def _follow(target: Tensor, alias: Tensor) -> None:
    """Give ``target`` the geometry, or the memory, that an operator gave to its alias."""
    if alias.numel() and alias.data_ptr() != target.data_ptr():
        assign(target, alias)
    elif target.size() != alias.size() or target.stride() != alias.stride():
        _set(target, target.untyped_storage(), target.storage_offset(), alias)


def assign(target: Tensor, value: Tensor) -> Tensor:
    """Give ``target`` the size and elements of ``value``, a host tensor; returns ``target``."""
    if target.size() != value.size():
        resize(target, value.size())
    to_host(target).copy_(value)
    return target


def resize(
    target: Tensor,
    size: Sequence[int],
    memory_format: torch.memory_format | None = None,
) -> None:
    """``resize_`` of a device tensor: keeps the elements that fit, in storage order."""
    needed = (target.storage_offset() + math.prod(size)) * target.itemsize
    options = {} if memory_format is None else {"memory_format": memory_format}
    if target.untyped_storage().nbytes() >= needed:
        # Only its geometry changes: ask the host what to.
        shape = torch.empty_strided(target.size(), target.stride(), device="meta")
        _resize(shape, size, **options)
        _set(target, target.untyped_storage(), target.storage_offset(), shape)
        return
    stand = _stand_in(target, filled=True)
    _resize(stand, size, **options)
    _adopt(target, stand)


def _is_device(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_cuda


def out_kernel(run: Callable[..., Any], names: list[str]) -> Callable[..., Any]:
    """The kernel of an ``out=`` variant.

    Args:
        run: takes arguments, keywords, and the keywords to check devices by.
        names: which keywords are written.
    """

    def kernel(*args: Any, **kwargs: Any) -> Any:
        outs = [kwargs[name] for name in names]
        aliases: dict[str, Tensor] = {}
        stands: dict[str, Tensor] = {}
        for name, out in zip(names, outs, strict=True):
            if _is_device(out):
                if out.numel():
                    aliases[name] = to_host(out)
                else:
                    stands[name] = _stand_in(out, filled=False)
        try:
            run(args, {**kwargs, **aliases, **stands}, kwargs)
        except RuntimeError as error:
            if "resiz" not in str(error):
                raise
            stands = {n: _stand_in(kwargs[n], filled=False) for n in (*aliases, *stands)}
            aliases = {}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the first attempt has warned already
                run(args, {**kwargs, **stands}, kwargs)
        for name, alias in aliases.items():
            _follow(kwargs[name], alias)
        for name, stand in stands.items():
            _adopt(kwargs[name], stand)
        return outs[0] if len(outs) == 1 else tuple(outs)

    return kernel
