"""``torch.cuda.Stream`` and ``torch.cuda.Event`` of the simulated device.

In a CUDA build both are Python classes on bases in C that derive from ``torch.Stream`` and
``torch.Event``.  Those two work here as they are (see :mod:`.guard`), so the bases are written on
them, and torch's own file of the Python classes runs once more on ours: what a CPU build made of
it stands on dummies, what a CUDA build made of it asks the driver.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import TYPE_CHECKING, Any, Final, NoReturn

import torch

from placeaudit.simulate.torch_cuda.devices import current_index, index_of
from placeaudit.simulate.torch_cuda.errors import refuse
from placeaudit.simulate.torch_cuda.guard import is_stream, recorded_ns

if TYPE_CHECKING:
    from types import ModuleType

    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["add_streams"]

_CUDA_TYPE: Final = 1
#: The classes of ``torch.cuda.streams`` that programs use.
_CLASSES: Final = ("Stream", "ExternalStream", "Event")
#: ``CUDAStream::priority_range``: what PyTorch supports of a current device's 0 to -5.
_LEAST_PRIORITY: Final = 0
_GREATEST_PRIORITY: Final = -3

_get_stream = torch._C._accelerator_getStream
_set_stream = torch._C._accelerator_setStream


def _described(stream: torch.Stream) -> tuple[int, int, int]:
    return stream.stream_id, stream.device_index, _CUDA_TYPE


def _stream(stream_id: int, device_index: int) -> torch.Stream:
    return torch._C.Stream(stream_id=stream_id, device_index=device_index, device_type=_CUDA_TYPE)


def current_stream(device: int) -> tuple[int, int, int]:
    """(stream id, device index, device type) of the current stream."""
    return _described(_get_stream(index_of(torch.device("cuda", device))))


def default_stream(device: int) -> tuple[int, int, int]:
    """(stream id, device index, device type) of the default stream."""
    return 0, index_of(torch.device("cuda", device)), _CUDA_TYPE


def set_stream(stream_id: int, device_index: int, device_type: int = _CUDA_TYPE) -> None:
    """Make a stream current, and its device with it, as CUDA does."""
    del device_type
    torch._C._accelerator_setDeviceIndex(device_index)
    _set_stream(_stream(stream_id, device_index))


def external_stream(pointer: int, device: int) -> tuple[int, int, int]:
    """A stream that its number alone tells: one of ours, or the default one.

    Raises:
        Unsimulated: the number is not one that was given out here.
    """
    if not is_stream(pointer):
        refuse(
            f"the stream {pointer:#x} of another library",
            "nothing on this machine can have made it; give such a library a stream of "
            "torch.cuda.Stream(), or run without it",
        )
    return pointer, device, _CUDA_TYPE


class _CudaStreamBase(torch._C.Stream):
    """Stands for the base in C of ``torch.cuda.Stream``."""

    def __new__(
        cls,
        priority: int = 0,
        stream_id: int = 0,
        device_index: int = 0,
        device_type: int = 0,
        stream_ptr: int | None = None,
    ) -> Any:
        if stream_ptr is not None:
            stream_id, device_index, device_type = external_stream(stream_ptr, current_index())
        if stream_id or device_index or device_type:
            make: Any = super().__new__
            stream: Any = make(
                cls, stream_id=stream_id, device_index=device_index, device_type=_CUDA_TYPE
            )
        else:
            make = super().__new__
            stream = make(cls, device="cuda")
        stream._priority = max(_GREATEST_PRIORITY, min(_LEAST_PRIORITY, priority))
        return stream

    def __init__(self, *args: object, **options: object) -> None:
        """Everything happened in ``__new__``."""

    @property
    def cuda_stream(self) -> int:
        """Stands for the driver's handle."""
        return self.stream_id

    @property
    def priority(self) -> int:
        """0, or the negative priority asked for as far as there is one."""
        return self._priority  # type: ignore[attr-defined, no-any-return]

    @staticmethod
    def priority_range() -> tuple[int, int]:
        """Least and greatest."""
        return _LEAST_PRIORITY, _GREATEST_PRIORITY

    def is_capturing(self) -> bool:
        """Graphs are refused."""
        return False


def _refuse_handle() -> NoReturn:
    refuse(
        "an event shared between processes",
        "work runs when it is issued, so that there is nothing to wait for; synchronise the "
        "processes themselves",
    )


class _CudaEventBase(torch._C.Event):
    """Stands for the base in C of ``torch.cuda.Event``."""

    _is_timed: bool

    def __new__(
        cls,
        enable_timing: bool = False,
        blocking: bool = False,
        interprocess: bool = False,
        external: bool = False,
    ) -> Any:
        del external  # tells nodes of a graph apart
        make: Any = super().__new__
        options = {"blocking": blocking, "interprocess": interprocess}
        event: Any = make(cls, "cuda", enable_timing=enable_timing, **options)
        event._is_timed = enable_timing
        return event

    def __init__(self, *args: object, **options: object) -> None:
        """Everything happened in ``__new__``."""

    @property
    def device(self) -> torch.device | None:  # type: ignore[override]
        """Where it was recorded; None before."""
        return super().device if self.event_id else None

    @property
    def cuda_event(self) -> int:
        """Stands for the driver's handle; 0 before the event was recorded."""
        return self.event_id

    def elapsed_time(self, end_event: torch.Event) -> float:
        """Milliseconds between the two, on the host's clock: work runs as it is issued.

        Raises:
            ValueError: one was made without timing, or was not recorded.
        """
        if not isinstance(end_event, _CudaEventBase):
            return super().elapsed_time(end_event)
        # ``torch.Event`` takes no class derived from it here.
        if not (self._is_timed and end_event._is_timed):
            message = "Both events must be created with argument 'enable_timing=True'."
            raise ValueError(message)
        if not (self.event_id and end_event.event_id):
            message = "Both events must be recorded before calculating elapsed time."
            raise ValueError(message)
        return (recorded_ns(end_event.event_id) - recorded_ns(self.event_id)) / 1e6

    def record(self, stream: torch.Stream | None = None) -> None:
        """Note the time.

        Raises:
            RuntimeError: ``CUDAEvent::record``: the event belongs to another device.
        """
        device = self.device
        if device is not None and stream is not None and device.index != stream.device_index:
            message = (
                f"Event device {device.index} does not match recording stream's device "
                f"{stream.device_index}."
            )
            raise RuntimeError(message)
        super().record(stream)

    @classmethod
    def from_ipc_handle(cls, device: object, handle: bytes) -> Any:
        """Refused."""
        del device, handle
        _refuse_handle()

    def ipc_handle(self) -> bytes:
        """Refused."""
        _refuse_handle()


@functools.cache
def _classes() -> ModuleType:
    """Torch's file of the Python classes, run on our bases; one set of classes per process."""
    path = torch.cuda.streams.__file__
    spec = importlib.util.spec_from_file_location(torch.cuda.streams.__name__, path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def add_streams(patches: Patches) -> None:
    """Put the classes in place, and supply the stream functions."""
    patches.set(torch._C, "_CudaStreamBase", _CudaStreamBase)
    patches.set(torch._C, "_CudaEventBase", _CudaEventBase)
    module = _classes()
    for name in _CLASSES:
        before, now = getattr(torch.cuda, name), getattr(module, name)
        # Whoever imported the class before gets objects of ours from it.
        patches.set(before, "__new__", staticmethod(lambda _cls, *a, _now=now, **o: _now(*a, **o)))
        patches.set(torch.cuda.streams, name, now)
        patches.set(torch.cuda, name, now)
    patches.set_all(
        torch._C,
        {
            "_cuda_getCurrentStream": current_stream,
            "_cuda_getDefaultStream": default_stream,
            "_cuda_setStream": set_stream,
            "_cuda_getStreamFromExternal": external_stream,
            "_cuda_getCurrentRawStream": lambda device: current_stream(device)[0],
            "_cuda_isCurrentStreamCapturing": lambda: False,
        },
    )
