"""The NCCL backend of ``torch.distributed`` on simulated devices: gloo under another name.

What a CUDA build has and a CPU build lacks: ``ProcessGroupNCCL`` with its options, and what tells
programs that it is there.
"""

from __future__ import annotations

import datetime as dt
import itertools
import platform
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.distributed as dist

from placeaudit.simulate.torch_cuda.collectives import COALESCING, NCCL_BACKENDS, is_nccl

if TYPE_CHECKING:
    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["add_nccl"]

#: What the CUDA builds of this generation carry: 2.28.9, packed as ``torch.cuda.nccl`` unpacks it.
_VERSION: Final = 2 << 32 | 28 << 16 | 9
#: ``kProcessGroupNCCLDefaultTimeout`` in ProcessGroupNCCL.hpp.
_TIMEOUT: Final = dt.timedelta(minutes=10)
_uids: Final = itertools.count()


class _Options:
    """``ProcessGroupNCCL.Options``."""

    def __init__(self, is_high_priority_stream: bool = False) -> None:
        self.is_high_priority_stream = is_high_priority_stream
        self._timeout = _TIMEOUT
        self.backend = "nccl"
        self.split_from: Any = None
        self.split_color = 0
        self.global_ranks_in_group: list[int] = []
        self.group_name = ""
        self.config = SimpleNamespace()


def _bus(index: int) -> str:
    """The PCI address of a device as NCCL prints it."""
    return f"{(index + 1) << 12:x}"


def _duplicate(rank: int, other: int, bus: str) -> str:
    """``ncclInvalidUsage`` as ``C10D_NCCL_CHECK`` wraps it (NCCLUtils.cpp; NCCL's init.cc)."""
    version = ".".join(map(str, torch.cuda.nccl.version()))
    return (
        "NCCL error in: torch/csrc/distributed/c10d/NCCLUtils.cpp, invalid usage (run with "
        f"NCCL_DEBUG=WARN for details), NCCL version {version}\nncclInvalidUsage: This usually "
        "reflects invalid usage of NCCL library.\nLast error:\nDuplicate GPU detected : rank "
        f"{rank} and rank {other} both on CUDA device {bus}"
    )


def _make_backend() -> type:
    """``ProcessGroupNCCL``: kept from being a subclass where torch has no gloo."""
    gloo: Any = dist.ProcessGroupGloo

    class ProcessGroupNCCL(gloo):
        """Collectives of simulated devices."""

        Options = _Options

        def __init__(self, store: Any, rank: int, size: int, options: Any = None) -> None:
            timeout = options if isinstance(options, dt.timedelta) else None
            if timeout is None:
                timeout = getattr(options, "_timeout", _TIMEOUT)
            super().__init__(store, rank, size, timeout=timeout)
            self.uid = next(_uids)
            self._store = store
            self._devices: dict[int, str] = {}

        def meet(self, index: int) -> None:
            """What the first collective does: all ranks tell their devices (``ncclCommInitRank``).

            Raises:
                DistBackendError: two ranks have the same device, in NCCL's words.
            """
            if index in self._devices:
                return
            rank = self.rank()
            self._devices[index] = mine = f"{platform.node()} {_bus(index)}"
            self._store.set(f"device of {rank}", mine)
            for other in range(self.size()):
                theirs = self._store.get(f"device of {other}").decode()
                if other != rank and theirs == mine:
                    raise dist.DistBackendError(_duplicate(rank, other, _bus(index)))

        @property
        def options(self) -> _Options:
            """Options of their own default."""
            return _Options()

        def _is_initialized(self) -> bool:
            return True

        def _get_backend_name(self) -> str:
            return "nccl"

        def perform_nocolor_split(self, device: torch.device) -> None:
            """Communicators of simulated devices are not split."""

    ProcessGroupNCCL.__module__ = "torch.distributed.distributed_c10d"
    ProcessGroupNCCL.__qualname__ = "ProcessGroupNCCL"
    return ProcessGroupNCCL


def _keep_backends(patches: Patches, backend_type: type) -> None:
    group_type: Any = dist.ProcessGroup
    register = group_type._register_backend

    def _register_backend(group: Any, device: Any, kind: Any, backend: Any = None) -> None:
        register(group, device, kind, backend)
        if isinstance(backend, backend_type):
            NCCL_BACKENDS[group] = backend

    patches.set(group_type, "_register_backend", _register_backend)


def _add_coalescing(patches: Patches) -> None:
    """``_start_coalescing`` and ``_end_coalescing``, which gloo lacks and NCCL has."""
    group_type: Any = dist.ProcessGroup
    start, end = group_type._start_coalescing, group_type._end_coalescing
    c10d: Any = torch._C._distributed_c10d

    def is_ours(group: Any, device: torch.device) -> bool:
        return device.type == "cuda" and is_nccl(group)

    def _start_coalescing(group: Any, device: torch.device) -> None:
        if is_ours(group, device):
            COALESCING[group] = []
        else:
            start(group, device)

    def _end_coalescing(group: Any, device: torch.device) -> Any:
        if not is_ours(group, device):
            return end(group, device)
        works = COALESCING.pop(group, [])
        for work in works:
            work.wait()
        future: Any = torch.futures.Future()
        future.set_result([])
        return c10d._create_work_from_future(future)

    patches.set(group_type, "_start_coalescing", _start_coalescing)
    patches.set(group_type, "_end_coalescing", _end_coalescing)


def _add_ddp_logging(patches: Patches) -> None:
    """``DistributedDataParallel`` logs times that a CPU build has no timer for on devices."""
    logger: Any = torch._C._distributed_c10d.Logger
    log = logger.set_runtime_stats_and_log

    def set_runtime_stats_and_log(self: Any) -> None:
        try:
            log(self)
        except RuntimeError as error:
            if "timer_" not in str(error):
                raise

    patches.set(logger, "set_runtime_stats_and_log", set_runtime_stats_and_log)


def add_nccl(patches: Patches) -> None:
    """Let programs find NCCL; nothing where torch was built without gloo."""
    patches.set_all(
        torch._C, {"_nccl_version": lambda: _VERSION, "_nccl_version_suffix": lambda: b""}
    )
    if not dist.is_available() or not dist.is_gloo_available():
        return
    from torch.distributed import constants, distributed_c10d

    backend = _make_backend()
    patches.set(distributed_c10d, "_NCCL_AVAILABLE", True)
    patches.set(distributed_c10d, "default_pg_nccl_timeout", _TIMEOUT)
    patches.set(constants, "default_pg_nccl_timeout", _TIMEOUT)
    for owner in (torch._C._distributed_c10d, distributed_c10d, dist):
        patches.set(owner, "ProcessGroupNCCL", backend)
    _keep_backends(patches, backend)
    _add_coalescing(patches)
    _add_ddp_logging(patches)
