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
    from collections.abc import Callable, Iterable, Sequence

    #: Runs an operator; takes arguments, keywords, and both again as they were given, where some of
    #: them are on the host by now, to check devices by.
    Run = Callable[..., Any]

__all__ = ["assign", "is_alias", "out_kernel", "overlapping_run", "resize"]

Tensor = torch.Tensor
_CPU_KEYS: Final = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
_CPU: Final = torch.device("cpu")
_set_kernel: Final = torch.library.get_kernel("aten::set_.source_Storage_storage_offset", "CPU")
#: Whether two tensors are on one storage.
is_alias: Final[Callable[[Tensor, Tensor], bool]] = getattr(torch._C, "_is_alias_of")  # noqa: B009
_resize: Final = torch.ops.aten.resize_.default._op


def _set(target: Tensor, storage: object, offset: Any, like: Tensor) -> None:
    _set_kernel.call_boxed(_CPU_KEYS, target, storage, offset, like.size(), like.stride())
    if target.is_conj() != like.is_conj():
        torch._C._set_conj(target, like.is_conj())


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
    elif (
        target.size() != alias.size()
        or target.stride() != alias.stride()
        or target.is_conj() != alias.is_conj()
    ):
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
    return isinstance(value, Tensor) and value.is_cuda and value.layout == torch.strided


def _on_one_storage(target: Tensor, tensors: Iterable[Any]) -> dict[int, Tensor]:
    """Host views, by identity, of the ``tensors`` that share the storage of ``target``.

    Aliases have storages of their own, on which operators that refuse operands that overlap would
    not see that they do: these views are on one.
    """
    found: dict[int, Tensor] = {}
    storage = target.untyped_storage()
    host: Tensor | None = None
    for tensor in tensors:
        if not _is_device(tensor) or not is_alias(target, tensor):
            continue
        if host is None:
            whole = torch.empty(0, dtype=torch.uint8, device=target.device)
            size = torch.empty(storage.nbytes(), dtype=torch.uint8, device="meta")
            _set(whole, storage, 0, size)
            host = to_host(whole)
        view = torch.empty(0, dtype=tensor.dtype, device=_CPU)
        _set(view, host.untyped_storage(), tensor.storage_offset(), tensor)
        if tensor.is_neg():
            torch._C._set_neg(view, True)
        found[id(tensor)] = view
    return found


def overlapping_run(run: Run, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Run an in-place operator whose operands share memory with what it writes."""
    views = _on_one_storage(args[0], args)
    run(tuple(views.get(id(item), item) for item in args), kwargs, (args, kwargs))


def out_kernel(run: Run, names: list[str]) -> Callable[..., Any]:
    """The kernel of an ``out=`` variant.

    Args:
        run: see :data:`Run`.
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
        given = args, kwargs
        for name in aliases:
            out = kwargs[name]
            if any(isinstance(item, Tensor) and is_alias(out, item) for item in args):
                views = _on_one_storage(out, (out, *args))
                aliases[name] = views[id(out)]
                args = tuple(views.get(id(item), item) for item in args)
        try:
            run(args, {**kwargs, **aliases, **stands}, given)
        except RuntimeError as error:
            if "resiz" not in str(error):
                raise
            stands = {name: _stand_in(kwargs[name], filled=True) for name in (*aliases, *stands)}
            aliases = {}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the first attempt has warned already
                run(given[0], {**kwargs, **stands}, given)
        for name, alias in aliases.items():
            _follow(kwargs[name], alias)
        for name, stand in stands.items():
            _adopt(kwargs[name], stand)
        return outs[0] if len(outs) == 1 else tuple(outs)

    return kernel
