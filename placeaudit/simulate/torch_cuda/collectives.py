"""Collectives on tensors of simulated devices: gloo does the work, on zero-copy host aliases.

``torch.distributed`` sends each collective through the dispatcher (``c10d::allreduce_`` and the
like) to the backend of the tensors' device.  Here the kernels of the CUDA key hand host aliases to
gloo and wrap the work it returns, so that futures hold device tensors as on a GPU.  NCCL works on
the device; gloo stages every tensor in pinned host memory, and those copies are made here too
(``AsyncAllreduceCUDAWork`` and its kin in ``ProcessGroupGloo.cpp``).
"""

from __future__ import annotations

import warnings
import weakref
from typing import TYPE_CHECKING, Any, Final, NoReturn

import torch
import torch.distributed as dist

from placeaudit.simulate.torch_cuda.retag import to_plain_host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["COALESCING", "NCCL_BACKENDS", "add_collectives", "is_nccl"]

Tensor = torch.Tensor
_c10d: Any = getattr(torch._C, "_distributed_c10d", None)

#: Arguments by position: the tensors that are read, those that are written.
_OPERATORS: Final[dict[str, tuple[tuple[int, ...], tuple[int, ...]]]] = {
    "allreduce_": ((0,), (0,)),
    "allreduce_coalesced_": ((0,), (0,)),
    "broadcast_": ((0,), (0,)),
    "reduce_": ((0,), (0,)),
    "allgather_": ((1,), (0,)),
    "_allgather_base_": ((1,), (0,)),
    "allgather_coalesced_": ((1,), (0,)),
    "allgather_into_tensor_coalesced_": ((1,), (0,)),
    "reduce_scatter_": ((1,), (0,)),
    "_reduce_scatter_base_": ((1,), (0,)),
    "reduce_scatter_tensor_coalesced_": ((1,), (0,)),
    "gather_": ((1,), (0,)),
    "scatter_": ((1,), (0,)),
    "alltoall_": ((1,), (0,)),
    "alltoall_base_": ((1,), (0,)),
    "send": ((0,), ()),
    "recv_": ((), (0,)),
    "recv_any_source_": ((), (0,)),
    "barrier": ((), ()),
    "monitored_barrier_": ((), ()),
}
#: NCCL sees memory here, gloo rows of the first dimension.
_FLAT: Final = frozenset(
    {
        "_allgather_base_", "allgather_into_tensor_coalesced_", "_reduce_scatter_base_",
        "reduce_scatter_tensor_coalesced_",
    }
)  # fmt: skip
#: gloo finishes these when somebody waits, so they are waited for as soon as they are begun.
_AT_ONCE: Final = frozenset(
    {"reduce_scatter_", "_reduce_scatter_base_", "reduce_scatter_tensor_coalesced_"}
)
#: Their work knows no future.
_POINT_TO_POINT: Final = frozenset({"send", "recv_", "recv_any_source_"})
_WITHOUT_FUTURE: Final = _POINT_TO_POINT | {"barrier"}

#: For each process group, one that runs the same backend on host tensors.  A group for NCCL alone
#: has no backend for the host's own tensors, and shall have none.  What is kept is the group itself
#: and never its boxed form: the last reference ends gloo's threads and waits for them, and only the
#: group's own wrapper lets go of the GIL, which those threads may want, while it does.
_host_groups: Final[weakref.WeakKeyDictionary[Any, Any]] = weakref.WeakKeyDictionary()
#: The backends that stand for NCCL, by process group: C++ would forget what Python made of them.
NCCL_BACKENDS: Final[weakref.WeakKeyDictionary[Any, Any]] = weakref.WeakKeyDictionary()
#: Works begun between ``_start_coalescing`` and ``_end_coalescing``, by process group.
COALESCING: Final[weakref.WeakKeyDictionary[Any, list[Any]]] = weakref.WeakKeyDictionary()


def is_nccl(group: Any) -> bool:
    """Whether a process group's collectives of device tensors are NCCL's."""
    return group in NCCL_BACKENDS


def _host_group(group: Any, backend: Any) -> Any:
    """``group`` for host tensors, as the dispatcher wants it."""
    known = _host_groups.get(group)
    if known is None:
        host = _c10d.ProcessGroup(_c10d.HashStore(), group.rank(), group.size())
        kind = _c10d.ProcessGroup.BackendType.GLOO
        host._set_default_backend(kind)
        host._register_backend(torch.device("cpu"), kind, backend)
        known = _host_groups[group] = host
    return known.boxed()


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    return [_mapped(item, change) for item in value]


class _Staging:
    """The pinned host tensors that stand for device tensors in one collective of gloo."""

    def __init__(self) -> None:
        self._host: list[tuple[Tensor, Tensor]] = []

    def host(self, tensor: Tensor) -> Tensor:
        """The host tensor of ``tensor``, the same at every call."""
        for device, host in self._host:
            if device is tensor:
                return host
        fresh = torch.empty_like(tensor, device="cpu", pin_memory=True)
        self._host.append((tensor, fresh))
        return fresh

    def download(self, tensor: Tensor) -> Tensor:
        """Its host tensor, filled."""
        return self.host(tensor).copy_(tensor.detach(), non_blocking=True)

    def upload(self, tensors: list[Tensor]) -> None:
        """Fill device tensors from their host tensors."""
        with torch.no_grad():
            for tensor in tensors:
                tensor.copy_(self.host(tensor), non_blocking=True)


def _alias(tensor: Tensor) -> Tensor:
    return to_plain_host(tensor.detach()) if tensor.is_cuda else tensor


def _flat_alias(tensor: Tensor) -> Tensor:
    alias = _alias(tensor)
    return alias.view(-1) if alias.is_contiguous() else alias


def _finished(work: Any, outputs: list[Tensor], staging: _Staging | None, *, at_once: bool) -> Any:
    """The work of a collective whose future holds ``outputs``, which are on devices."""
    devices: list[int | str | torch.device] = list({tensor.device for tensor in outputs})
    future: Any = torch.futures.Future(devices=devices)

    def done(host: Any) -> None:
        try:
            if host is not None:
                host.value()
            if staging is not None:
                staging.upload(outputs)
        except Exception as error:  # noqa: BLE001  # handed on to whoever waits
            future.set_exception(error)
        else:
            future.set_result(outputs)

    if at_once:
        work.wait()
        done(None)
    else:
        work.get_future().add_done_callback(done)
    return _c10d._create_work_from_future(future)


def _meet(group: Any, arguments: tuple[Any, ...]) -> None:
    """At the first collective of a group, as NCCL does: see that no two ranks share a device."""
    for tensor in _tensors(arguments):
        NCCL_BACKENDS[group].meet(tensor.get_device())
        return


def _refuse(name: str) -> NoReturn:
    message = (
        f"gloo cannot {name.rstrip('_')} CUDA tensors: it passes their addresses to the network as "
        "if they were the host's. Use the nccl backend, or host tensors."
    )
    raise RuntimeError(message)


def _all_to_all(outputs: list[Tensor], inputs: list[Tensor], group: Any) -> tuple[Any, Any]:
    """``alltoall_`` by ``alltoall_base_``, at once: gloo has had the former since torch 2.12."""
    received = torch.cat([output.reshape(-1) for output in outputs])
    sent = torch.cat([tensor.reshape(-1) for tensor in inputs])
    sizes = [[tensor.numel() for tensor in tensors] for tensors in (outputs, inputs)]
    boxed = torch.ops.c10d.alltoall_base_(received, sent, group, *sizes)
    work = _c10d.Work.unbox(boxed)
    work.wait()
    for output, part in zip(outputs, received.split(sizes[0]), strict=True):
        output.copy_(part.view_as(output))
    return outputs, boxed


def _make_kernel(name: str) -> Callable[..., Any]:
    operator = getattr(torch.ops.c10d, name).default
    read, written = _OPERATORS[name]
    group_at = next(
        i
        for i, argument in enumerate(operator._schema.arguments)
        if argument.name == "process_group"
    )
    returns_arguments = len(operator._schema.returns) > 1

    def kernel(*args: Any, **options: Any) -> Any:
        group = _c10d.ProcessGroup.unbox(args[group_at])
        backend = group._get_backend(torch.device("cuda"))
        staging = None if is_nccl(group) else _Staging()
        if name in _POINT_TO_POINT:
            if staging is not None:
                _refuse(name)
        elif staging is None:
            _meet(group, args[:group_at])
        host = list(args)
        host[group_at] = _host_group(group, backend)
        for i in range(group_at):
            change = _flat_alias if name in _FLAT else _alias
            if staging is not None:
                change = staging.download if i in read else staging.host
            host[i] = _mapped(args[i], change)
        try:
            result = operator(*host, **options)
        except RuntimeError as error:
            if "does not support alltoall" not in str(error):
                raise
            result = _all_to_all(*host[: group_at + 1])
        if result is None:
            return None
        boxed = result[1] if returns_arguments else result
        work = _c10d.Work.unbox(boxed)
        outputs = [tensor for i in written for tensor in _tensors(args[i])]
        if name not in _WITHOUT_FUTURE:
            work = _finished(work, outputs, staging, at_once=name in _AT_ONCE)
            boxed = work.boxed()
        if group in COALESCING:
            COALESCING[group].append(work)
        return (args[0], boxed) if returns_arguments else boxed

    return kernel


def add_collectives(patches: Patches) -> None:
    """Put the kernels on the CUDA key; none where torch was built without gloo."""
    if not dist.is_available() or not dist.is_gloo_available():
        return
    library = torch.library.Library("c10d", "IMPL")
    patches.on_undo(library._destroy)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # overriding is the point
        for name in _OPERATORS:
            if hasattr(torch.ops.c10d, name):
                library.impl(name, _make_kernel(name), "CUDA", allow_override=True)
