"""Streams and events of the simulated device.

Work runs when it is issued, in program order, so every stream is always idle; what is kept is
identity (which stream is current in which thread) and time (when an event was recorded).

``torch.cuda.Stream`` and ``Event`` are Python classes on bases in C, which a CPU build has only
dummies of and a CUDA build's cannot be changed: what is replaced is replaced on the Python classes.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch

from placeaudit.simulate.torch_cuda.devices import current_index

if TYPE_CHECKING:
    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["add_streams"]

_CUDA_TYPE: Final = 1
_ids = itertools.count(1)


class _Current(threading.local):
    """The current stream id of each device in this thread; 0 is the default stream."""

    def __init__(self) -> None:
        self.by_device: dict[int, int] = {}


_current = _Current()


def get_stream(device: int) -> tuple[int, int, int]:
    """(stream id, device index, device type) of the current stream."""
    return _current.by_device.get(device, 0), device, _CUDA_TYPE


def default_stream(device: int) -> tuple[int, int, int]:
    """(stream id, device index, device type) of the default stream."""
    return 0, device, _CUDA_TYPE


def set_stream(stream_id: int, device_index: int, device_type: int = _CUDA_TYPE) -> None:
    """Make a stream current, and its device with it, as CUDA does."""
    del device_type
    _current.by_device[device_index] = stream_id
    torch._C._accelerator_setDeviceIndex(device_index)


#: ``object.__new__`` for classes whose base in C has a constructor of its own, which would ask the
#: driver.  The base's part of the object is zero: no stream, no event, nothing to destroy.
_allocate: Final = ctypes.pythonapi.PyType_GenericAlloc
_allocate.restype = ctypes.py_object
_allocate.argtypes = (ctypes.py_object, ctypes.c_ssize_t)


def _new_stream(cls: type, device: Any = None, priority: int = 0, **options: int) -> Any:
    if device is None or {"stream_id", "device_index"} <= options.keys():
        return _make_stream(cls, priority, **options)
    with torch.cuda.device(device):
        return _make_stream(cls, priority, **options)


def _make_stream(  # the constructor of torch._C._CudaStreamBase
    cls: type,
    priority: int = 0,
    stream_id: int = 0,
    device_index: int = 0,
    device_type: int = 0,
    stream_ptr: int = 0,
) -> Any:
    stream: Any = _allocate(cls, 0)
    if not device_type:
        stream_id, device_index = stream_ptr or next(_ids), current_index()
    stream._simulated = _StreamState(stream_id, device_index, min(0, priority))
    return stream


class _StreamState(NamedTuple):
    """What there is to know of a stream."""

    stream_id: int
    device_index: int
    priority: int


class _StreamMethods:
    """What ``torch.cuda.Stream`` expects of its base in C."""

    _simulated: _StreamState

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Everything happened in ``__new__``."""

    def query(self) -> bool:
        """Work runs as it is issued."""
        return True

    def synchronize(self) -> None:
        """Nothing is ever outstanding."""

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, torch.cuda.Stream)
            and self.stream_id == other.stream_id
            and self.device_index == other.device_index
        )

    def __ne__(self, other: object) -> bool:
        return not self == other  # noqa: SIM201  # a CUDA build's base compares in C

    def __hash__(self) -> int:
        return hash((self.stream_id, self.device_index))

    @property
    def stream_id(self) -> int:
        """Unique within the process; 0 is the default stream."""
        return self._simulated.stream_id

    @property
    def cuda_stream(self) -> int:
        """Stands for the driver's handle."""
        return self._simulated.stream_id

    @property
    def device_index(self) -> int:
        """Index of its device."""
        return self._simulated.device_index

    @property
    def device_type(self) -> int:
        """CUDA, as C++ counts devices."""
        return _CUDA_TYPE

    @property
    def device(self) -> torch.device:
        """Its device."""
        return torch.device("cuda", self._simulated.device_index)

    @property
    def priority(self) -> int:
        """0 or the negative priority asked for."""
        return self._simulated.priority

    @staticmethod
    def priority_range() -> tuple[int, int]:
        """As reported by current devices."""
        return 0, -5


def _new_event(cls: type, enable_timing: bool = False, **options: object) -> Any:
    del options
    event: Any = _allocate(cls, 0)
    event.enable_timing = enable_timing
    event.recorded_ns = None
    event._device = torch.device("cuda", current_index())
    return event


class _EventMethods:
    """What ``torch.cuda.Event`` expects of its base in C."""

    enable_timing: bool
    recorded_ns: int | None
    _device: torch.device

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Everything happened in ``__new__``."""

    def record(self, stream: object = None) -> None:
        """Remember the time."""
        del stream
        self.recorded_ns = time.perf_counter_ns()

    @property
    def cuda_event(self) -> int:
        """Stands for the driver's handle; 0 before the event was recorded."""
        return 0 if self.recorded_ns is None else id(self)

    @property
    def device(self) -> torch.device:
        """Its device."""
        return self._device

    def wait(self, stream: object = None) -> None:
        """Streams run in program order already."""

    def query(self) -> bool:
        """Work runs as it is issued."""
        return True

    def synchronize(self) -> None:
        """Nothing is ever outstanding."""

    def elapsed_time(self, end_event: _EventMethods) -> float:
        """Milliseconds of host time between two recorded events.

        Raises:
            ValueError: an event was made without timing or never recorded.
        """
        if not (self.enable_timing and end_event.enable_timing):
            message = "Both events must be created with argument 'enable_timing=True'."
            raise ValueError(message)
        if self.recorded_ns is None or end_event.recorded_ns is None:
            message = "Both events must be recorded before calculating elapsed time."
            raise ValueError(message)
        return (end_event.recorded_ns - self.recorded_ns) / 1e6


def _members(source: type) -> dict[str, object]:
    wanted = {"__init__", "__eq__", "__ne__", "__hash__"}
    return {
        name: value
        for name, value in vars(source).items()
        if name in wanted or not name.startswith("__")
    }


def _record_stream(tensor: torch.Tensor, stream: Any) -> None:
    """Nothing to keep alive.  The method in C takes streams of a CUDA build only."""
    if not isinstance(stream, torch._C._CudaStreamBase):
        torch._C.TensorBase.record_stream(tensor, stream)


def add_streams(patches: Patches) -> None:
    """Make streams and events of their own, and supply the stream functions."""
    stream, event = torch.cuda.Stream, torch.cuda.Event
    patches.set_all(stream, {"__new__": staticmethod(_new_stream), **_members(_StreamMethods)})
    patches.set_all(event, {"__new__": staticmethod(_new_event), **_members(_EventMethods)})
    patches.set(torch.Tensor, "record_stream", _record_stream)
    patches.set_all(
        torch._C,
        {
            "_cuda_getCurrentStream": get_stream,
            "_cuda_getDefaultStream": default_stream,
            "_cuda_setStream": set_stream,
            "_cuda_getCurrentRawStream": lambda device: get_stream(device)[0],
            "_cuda_isCurrentStreamCapturing": lambda: False,
        },
    )
