"""One stretch of the profiler's own collection: switched on, switched off, nothing left behind.

PyTorch's collection runs in C++.  What is done around it here keeps it unnoticed: no notices on
stderr, no thread that a forked child would wait for.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import torch
from torch._C import _autograd
from torch._C._profiler import (
    ProfilerActivity,
    ProfilerConfig,
    ProfilerState,
    RecordScope,
    _ExperimentalConfig,
)

from placeaudit.record.clock import now_ns
from placeaudit.record.torch.calls import Patch
from placeaudit.record.torch.optree import Chunk

__all__ = ["Collection", "address_of", "give_back_memory", "is_user_profiling"]

_CPU: Final = {ProfilerActivity.CPU}
#: Operators and nodes of backward, no ranges of the program's own (``record_function``, which every
#: optimizer's step is in): the end of a range that was open when one collection stopped and the
#: next one started is written into memory that is gone.
_SCOPES: Final = {RecordScope.FUNCTION, RecordScope.BACKWARD_FUNCTION}
_ERROR: Final = 2
#: Threads that run no operations of the program: ours, and what feeds queues.
_HARMLESS_NAMES: Final = ("placeaudit-", "QueueFeederThread")
#: Ways in which memory leaves PyTorch without any operation.
_EXPORTS: Final = ("data_ptr", "untyped_storage", "_typed_storage", "__dlpack__")


def is_user_profiling() -> bool:
    """Whether a profiler runs in this thread."""
    return bool(_autograd._profiler_enabled())


class Collection:
    """Starts and stops the collection, one :class:`Chunk` at a time."""

    def __init__(self) -> None:
        self.chunk: Chunk | None = None
        self._exports: list[Patch] = []
        self._began = False
        #: The program's own log level while ours is set.
        self._quiet: int | None = None

    @property
    def is_ours(self) -> bool:
        """Whether this thread started what runs: no other can end it."""
        return self.chunk is not None and self.chunk.thread == threading.get_native_id()

    def start(self, *, follows: bool) -> None:
        """Begin a chunk; ``follows`` if it begins where the one before ended."""
        with _silent_kineto():
            config = _config()
            _autograd._prepare_profiler(config, _CPU)
            if not self._began:
                self._began = True
                _end_config_thread()
            enable: Any = _autograd._enable_profiler  # its stub lacks the scopes
            enable(config, _CPU, _SCOPES)
        chunk = self.chunk = Chunk(
            now_ns(), _clock_offset(), threading.get_native_id(), follows=follows
        )
        chunk.others = _other_threads()
        self._quiet = _set_log_level(_ERROR)
        for name in _EXPORTS:
            self._exports.append(Patch(torch.Tensor, name, _exporting(chunk)))

    def stop(self) -> Chunk | None:
        """End it; what it saw, None where somebody took the collection over: that is lost."""
        chunk = self.chunk
        assert chunk is not None
        self.chunk = None
        chunk.end_ns = now_ns()
        chunk.others = max(chunk.others, _other_threads())
        if self._quiet is not None:
            _set_log_level(self._quiet)
        self._undo_exports()
        if not _autograd._profiler_enabled():
            return None
        chunk.result = _autograd._disable_profiler()
        return chunk

    def forget(self) -> None:
        """Collect nothing further: in a forked child, or where it cannot be ended from here."""
        self.chunk = None
        self._undo_exports()

    def _undo_exports(self) -> None:
        for patch in reversed(self._exports):
            patch.undo()
        self._exports.clear()


def _exporting(chunk: Chunk) -> Callable[[Any], Any]:
    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def export(self: Any, *args: Any, **kwargs: Any) -> Any:
            caller = sys._getframe(1).f_globals.get("__name__", "")
            if not caller.startswith("placeaudit."):
                with contextlib.suppress(Exception):
                    chunk.exports.append((now_ns(), address_of(self)))
            return original(self, *args, **kwargs)

        export.__name__ = original.__name__
        export.__qualname__ = original.__qualname__
        export.__doc__ = original.__doc__
        return export

    return wrap


def _clock_offset() -> int:
    """Nanoseconds from the profiler's clock, the system's, to ours."""
    best, offset = 1 << 62, 0
    for _ in range(5):
        before, wall, after = now_ns(), time.time_ns(), now_ns()
        if after - before < best:
            best, offset = after - before, (before + after) // 2 - wall
    return offset


def address_of(tensor: Any) -> int:
    """Where the tensor's storage lies."""
    if tensor is None:
        return 0
    base: Any = torch._C.TensorBase
    storage = base.untyped_storage(tensor)
    # A fake tensor has none, and warns when asked.
    return 0 if storage.device.type == "meta" else int(storage.data_ptr())


def _other_threads() -> int:
    """How many Python threads may run operations that the collection does not see."""
    count = 0
    for thread in threading.enumerate():
        target = getattr(getattr(thread, "_target", None), "__name__", "")
        known = (
            thread is threading.main_thread()
            or isinstance(thread, threading._DummyThread)  # of PyTorch's engine
            or thread.name.startswith(_HARMLESS_NAMES)
            or type(thread).__name__ == "TMonitor"  # tqdm's
            or target == "_pin_memory_loop"
        )
        count += not known
    return count


def _library(name: str) -> ctypes.CDLL:
    suffix = "dylib" if sys.platform == "darwin" else "so"
    return ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / f"lib{name}.{suffix}"))


def _end_config_thread() -> None:
    """End the thread in which Kineto waits for orders from a monitoring daemon.

    A process that forks while that thread waits leaves a child that never ends: the destructor of
    what it waits for, run at the child's exit, waits for a thread that is not there.
    """
    if "KINETO_USE_DAEMON" in os.environ:
        return
    library = _library("torch_cpu")
    instance = library._ZN9libkineto12ConfigLoader8instanceEv
    instance.restype = ctypes.c_void_p
    library._ZN9libkineto12ConfigLoader10stopThreadEv(ctypes.c_void_p(instance()))


def give_back_memory() -> None:
    """Hand freed heap memory back to the system, where its allocator does not by itself.

    A collected tree is some hundred thousand small blocks: glibc keeps all of them for later.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _set_log_level(level: int) -> int | None:
    """Set the level of PyTorch's C++ log, and tell what it was; None where it cannot be set.

    The CPU allocator logs a warning for every thousandth block that was allocated before the
    collection and is freed inside it.
    """
    try:
        flag = ctypes.c_int.in_dll(_library("c10"), "FLAGS_caffe2_log_level")
    except (OSError, ValueError):
        return None
    before, flag.value = flag.value, level
    return before


def _config() -> ProfilerConfig:
    return ProfilerConfig(
        ProfilerState.KINETO,
        True,  # shapes, and with them every tensor's storage
        True,  # memory
        False,
        False,
        False,
        _ExperimentalConfig(capture_overload_names=True),
        "",
    )


@contextlib.contextmanager
def _silent_kineto() -> Iterator[None]:
    """Kineto reads how much to say on stderr when it is first used."""
    name = "KINETO_LOG_LEVEL"
    before = os.environ.get(name)
    os.environ[name] = "99"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
