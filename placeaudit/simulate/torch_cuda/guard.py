"""The device guard: streams, events and the current device, as C++ asks for them.

c10's ``FakeGuardImpl<CUDA>`` keeps the current device and the current stream of each device per
thread; streams of one's own, the time of events and waiting it refuses.  An object of ours has its
virtual table with those entries replaced by native code, so that ``torch.Stream``, ``torch.Event``
and ``torch.accelerator`` work as they are.  Work runs when it is issued, in program order: every
stream is always idle, and an event is what ``clock_gettime`` said when it was recorded.
"""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from placeaudit.errors import SimulationError
from placeaudit.simulate.torch_cuda.headers import guard_slots
from placeaudit.simulate.torch_cuda.machine import (
    CALL_RAX,
    JUMP_RAX,
    RAX,
    RCX,
    RDX,
    RET,
    NativeCode,
    failing,
    find_address,
    kept_for_ever,
    load,
    memory,
    open_library,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["install_guard", "is_stream", "recorded_ns"]

_CUDA_TYPE: Final = 1  # c10::DeviceType::CUDA
_LAZY_TYPE: Final = 17  # c10::DeviceType::Lazy: a guard whose deviceCount() is 0
_REGISTRY: Final = "_ZN3c104impl26device_guard_impl_registryE"
_REGISTRY_ENTRIES: Final = 24
_CURRENT: Final = "_ZN2at11accelerator14getDeviceIndexEv"
#: Words before a virtual table's first function: offset-to-top and type information.
_PREFIX: Final = 2
_EVENT_BYTES: Final = 16  # a timespec
_CLOCK_MONOTONIC: Final = 1


#: The number of the stream that is made next; 0 is the default stream of each device.
_next_stream: Final = ctypes.c_uint64(1)


def is_stream(number: int) -> bool:
    """Whether a stream has this number."""
    return 0 <= number < _next_stream.value


def recorded_ns(event: int) -> int:
    """When the event at this address was recorded, on a clock that only goes forward."""
    return memory[event >> 3] * 10**9 + memory[(event >> 3) + 1]


def _device_in_rax(current: int) -> bytes:
    """A ``c10::Device`` argument in ``esi``, its index made the current one where it is -1."""
    ask = (
        b"\x48\x83\xec\x08"  # sub rsp, 8
        + load(RAX, current)
        + CALL_RAX
        + b"\x48\x83\xc4\x08"  # add rsp, 8
        + b"\x0f\xb6\xc0"  # movzx eax, al
        + b"\xc1\xe0\x08"  # shl eax, 8
        + b"\x83\xc8\x01"  # or eax, 1: cuda
    )
    return (
        b"\x0f\xb7\xc6"  # movzx eax, si
        b"\x66\x85\xc0"  # test ax, ax: the index is the high byte
        b"\x79"
        + bytes([len(ask)])  # jns over
        + ask
    )


def _new_stream(current: int, counter: ctypes.c_uint64, count: ctypes.c_uint64) -> bytes:
    """``Stream getNewStream(Device, int)``: a ``c10::Stream`` is its device and its number.

    A device that is not there is refused as ``check_gpu`` of CUDAStream.cpp does, but for the
    numbers in its text.
    """
    fail = failing("getStreamFromPool", "CUDAStream.cpp", "Device index value is out of range")
    return (
        _device_in_rax(current)
        + b"\x0f\xb6\xcc"  # movzx ecx, ah
        + load(RDX, ctypes.addressof(count))
        + b"\x3b\x0a"  # cmp ecx, [rdx]
        + b"\x7c"
        + bytes([len(fail)])  # jl over
        + fail
        + load(RCX, ctypes.addressof(counter))
        + b"\xba\x01\x00\x00\x00"  # mov edx, 1
        + b"\xf0\x48\x0f\xc1\x11"  # lock xadd [rcx], rdx
        + RET
    )


def _default_stream(current: int) -> bytes:
    return _device_in_rax(current) + b"\x31\xd2" + RET  # xor edx, edx


def _record(malloc: int, clock_gettime: int) -> bytes:
    """``void record(void** event, ...)``: what the clock says now, in memory of its own."""
    make = (
        b"\xbf"
        + struct.pack("<I", _EVENT_BYTES)  # mov edi, 16
        + load(RAX, malloc)
        + CALL_RAX
        + b"\x48\x89\x03"  # mov [rbx], rax
    )
    return (
        b"\x53"  # push rbx
        b"\x48\x89\xf3"  # mov rbx, rsi
        b"\x48\x83\x3b\x00"  # cmp qword [rbx], 0
        b"\x75"
        + bytes([len(make)])  # jne over
        + make
        + b"\x48\x8b\x33"  # mov rsi, [rbx]
        + b"\xbf"
        + struct.pack("<I", _CLOCK_MONOTONIC)  # mov edi, clock
        + load(RAX, clock_gettime)
        + CALL_RAX
        + b"\x5b"  # pop rbx
        + RET
    )


def _destroy_event(free: int) -> bytes:
    return b"\x48\x89\xf7" + load(RAX, free) + JUMP_RAX  # mov rdi, rsi


def _elapsed() -> bytes:
    """``double elapsedTime(void*, void*, DeviceIndex)``, milliseconds."""
    per_millisecond = struct.unpack("<Q", struct.pack("<d", 1e6))[0]
    return (
        b"\x48\x8b\x02"  # mov rax, [rdx]
        b"\x48\x2b\x06"  # sub rax, [rsi]
        b"\x48\x69\xc0"
        + struct.pack("<I", 10**9)  # imul rax, rax, 1e9
        + b"\x48\x03\x42\x08"  # add rax, [rdx+8]
        + b"\x48\x2b\x46\x08"  # sub rax, [rsi+8]
        + b"\xf2\x48\x0f\x2a\xc0"  # cvtsi2sd xmm0, rax
        + load(RCX, per_millisecond)
        + b"\x66\x48\x0f\x6e\xc9"  # movq xmm1, rcx
        + b"\xf2\x0f\x5e\xc1"  # divsd xmm0, xmm1
        + RET
    )


def _answers(count: ctypes.c_uint64) -> tuple[NativeCode, dict[str, int]]:
    current = find_address(open_library("libtorch_cpu.so"), _CURRENT)
    process = ctypes.CDLL(None)
    malloc, free, clock = (
        find_address(process, name) for name in ("malloc", "free", "clock_gettime")
    )
    code = NativeCode()
    nothing, yes = code.returning(0), code.returning(1)
    new_stream = code.add(_new_stream(current, _next_stream, count))
    answers = {
        "getDefaultStream": code.add(_default_stream(current)),
        "getStreamFromGlobalPool": new_stream,
        "getNewStream": new_stream,
        # A Stream by value: its device in rsi, its number in rdx.
        "getStreamNativeHandle": code.add(b"\x48\x89\xd0" + RET),
        "destroyEvent": code.add(_destroy_event(free)),
        "record": code.add(_record(malloc, clock)),
        "block": nothing,
        "queryEvent": yes,
        "queryStream": yes,
        "synchronizeStream": nothing,
        "isStreamCapturing": nothing,
        "synchronizeEvent": nothing,
        "synchronizeDevice": nothing,
        "elapsedTime": code.add(_elapsed()),
    }
    code.seal()
    return code, answers


def _make_guard(original: int, count: ctypes.c_uint64) -> int:
    """An object like ``original``, whose class has no state, with our answers in its table."""
    slots = guard_slots(Path(torch.__file__).parent / "include")
    code, answers = _answers(count)
    table = (ctypes.c_uint64 * (len(slots) + 2 + _PREFIX))()  # a virtual destructor takes two
    ctypes.memmove(table, memory[original >> 3] - _PREFIX * 8, ctypes.sizeof(table))
    for name, function in answers.items():
        if name in slots:  # some are newer than the oldest torch there is support for
            table[slots[name] + _PREFIX] = function
    guard = (ctypes.c_uint64 * 1)(ctypes.addressof(table) + _PREFIX * 8)
    kept_for_ever.extend((code, table, guard))
    return ctypes.addressof(guard)


def install_guard(count: ctypes.c_uint64) -> Callable[[], None]:
    """Make the guard the one of CUDA devices, of which there are ``count``; returns the undo.

    Raises:
        SimulationError: this torch does not take it.
    """
    registry = (ctypes.c_uint64 * _REGISTRY_ENTRIES).in_dll(open_library("libc10.so"), _REGISTRY)
    before = registry[_CUDA_TYPE]

    def restore() -> None:
        registry[_CUDA_TYPE] = before

    if not before:
        registry[_CUDA_TYPE] = registry[_LAZY_TYPE]
    torch._C._ensureCUDADeviceGuardSet()
    fake = registry[_CUDA_TYPE]
    if fake in {before, registry[_LAZY_TYPE]}:
        restore()
        raise SimulationError("torch did not accept a simulated device guard")
    registry[_CUDA_TYPE] = _make_guard(fake, count)
    return restore
