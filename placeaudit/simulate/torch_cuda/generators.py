"""Generators of the simulated devices: host generators that say they are a device's.

Random numbers on a simulated device are those a run on the host would draw, so the default
generators of all devices are the host's.  A generator of the program's own
(``torch.Generator("cuda")``) is a host generator whose C++ object names the device: PyTorch's own
checks then refuse it where it does not belong, and kernels lend it to the host for their call.
"""

from __future__ import annotations

import copyreg
import ctypes
import functools
import struct
import threading
from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.errors import SimulationError
from placeaudit.simulate.torch_cuda.machine import (
    CALL_RAX,
    RAX,
    RET,
    RSI,
    failing,
    find_address,
    kept_for_ever,
    load,
    memory,
    open_library,
)
from placeaudit.simulate.torch_cuda.philox import as_host_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from placeaudit.simulate.torch_cuda.patches import Patches

    Kernel = Callable[..., Any]

__all__ = ["add_generators", "default_generators", "getting_generator", "takes_generator"]

_NEW_CPU: Final = "_ZN2at6detail18createCPUGeneratorEm"
_CURRENT: Final = "_ZN2at11accelerator14getDeviceIndexEv"
#: c10::detail's default_rng_seed_val (c10/core/GeneratorImpl.h).
_DEFAULT_SEED: Final = 67280421310721

_CPU_DEVICE: Final = 0xFF00  # type 0, index -1
_DEVICE_MASK: Final = 0xFFFF
_SEARCHED_WORDS: Final = 16


def _impl_of(generator: torch.Generator) -> int:
    """Word address of the C++ object: ``THPGenerator`` holds a pointer right after its header."""
    return memory[(id(generator) + 16) >> 3] >> 3


@functools.cache
def _device_word() -> int:
    """Which word of a ``GeneratorImpl`` holds its device; its dispatch keys follow.

    Raises:
        SimulationError: this torch lays generators out unknown to us.
    """
    probe = torch.Generator(device="cpu")
    start, keys = _impl_of(probe), torch._C.DispatchKeySet(torch._C.DispatchKey.CPU).raw_repr()
    for word in range(2, _SEARCHED_WORDS):
        if memory[start + word] & _DEVICE_MASK == _CPU_DEVICE and memory[start + word + 1] == keys:
            return word
    raise SimulationError(f"this torch ({torch.__version__}) lays generators out unknown to us")


def getting_generator(count: ctypes.c_uint64) -> bytes:
    """Native code of the hook ``Generator getNewGenerator(DeviceIndex)``.

    A new host generator that names the device; the current one for index -1.  An index out of
    range raises as ``createCUDAGenerator`` does: by a jump, so that no frame is in the way.
    """
    fail = failing("createCUDAGenerator", "CUDAGeneratorImpl.cpp", "The device_index is invalid.")
    cpu = open_library("libtorch_cpu.so")
    ask = load(RAX, find_address(cpu, _CURRENT)) + CALL_RAX + b"\x44\x0f\xbe\xe0"  # movsx r12d, al
    offset = struct.pack("<I", _device_word() * 8)
    return (
        b"\x0f\xbe\xd2"  # movsx edx, dl
        + load(RAX, ctypes.addressof(count))
        + b"\x3b\x10"  # cmp edx, [rax]
        + b"\x7c"
        + bytes([len(fail)])  # jl over
        + fail
        + b"\x53\x41\x54\x48\x83\xec\x08"  # push rbx; push r12; sub rsp, 8
        + b"\x48\x89\xfb\x41\x89\xd4"  # mov rbx, rdi; mov r12d, edx
        + b"\x45\x85\xe4"  # test r12d, r12d
        + b"\x79"
        + bytes([len(ask)])  # jns over
        + ask
        + b"\x48\x89\xdf"  # mov rdi, rbx
        + load(RSI, _DEFAULT_SEED)
        + load(RAX, find_address(cpu, _NEW_CPU))
        + CALL_RAX
        + b"\x48\x8b\x0b"  # mov rcx, [rbx]
        + b"\xc6\x81"
        + offset
        + b"\x01"  # mov byte [rcx+offset], cuda
        + b"\x44\x88\xa1"
        + struct.pack("<I", _device_word() * 8 + 1)  # mov [rcx+offset+1], r12b
        + b"\x48\x89\xd8\x48\x83\xc4\x08\x41\x5c\x5b"  # mov rax, rbx; add rsp, 8; pop r12; pop rbx
        + RET
    )


class _Lent:
    """A device's generator as the host's, for the calls inside the block."""

    _lock: Final = threading.Lock()
    _users: Final[dict[int, int]] = {}

    def __init__(self, generator: torch.Generator) -> None:
        self._word = _impl_of(generator) + _device_word()

    def __enter__(self) -> None:
        with self._lock:
            before = memory[self._word] & _DEVICE_MASK
            if before != _CPU_DEVICE:
                self._users[self._word] = before | 1 << 16
                memory[self._word] += _CPU_DEVICE - before
            else:
                self._users[self._word] += 1 << 16

    def __exit__(self, *error: object) -> None:
        with self._lock:
            left = self._users[self._word] - (1 << 16)
            if left >> 16:
                self._users[self._word] = left
            else:
                del self._users[self._word]
                memory[self._word] += left - _CPU_DEVICE


class _DefaultGenerator(torch.Generator):
    """A device's default generator: the host's, which runs here and there draw the same from."""

    #: The C++ objects: what a kernel is given is another Python object on the same one.
    impls: Final[set[int]] = set()

    def __init__(self, device: str) -> None:
        del device  # the constructor in C took it
        self.impls.add(_impl_of(self))

    def get_state(self) -> torch.Tensor:
        return torch.default_generator.get_state()

    def set_state(self, new_state: torch.Tensor) -> torch.Generator:
        """Takes a real device's state (seed and offset) too: for the same, always the same row."""
        torch.default_generator.set_state(as_host_state(new_state))
        return self

    def manual_seed(self, seed: int) -> torch.Generator:
        torch.default_generator.manual_seed(seed)
        return self

    def seed(self) -> int:
        return torch.default_generator.seed()

    def initial_seed(self) -> int:
        return torch.default_generator.initial_seed()

    def clone_state(self) -> torch.Generator:
        clone = torch.Generator(device=self.device)
        clone.set_state(self.get_state())
        return clone


def default_generators(count: int) -> tuple[torch.Generator, ...]:
    """``torch.cuda.default_generators``."""
    found = tuple(_DefaultGenerator(device=f"cuda:{index}") for index in range(count))
    kept_for_ever.append(found)
    return found


def _rebuild(device: str, state: torch.Tensor) -> torch.Generator:
    generator = torch.Generator(device=device)
    generator.set_state(state)
    return generator


def _reduce(generator: torch.Generator) -> Any:
    """Pickle and copy: in C a device's generator is asked for its offset, which ours has not."""
    if generator.device.type != "cuda":
        return generator.__reduce__()
    return _rebuild, (str(generator.device), generator.get_state())


def add_generators(patches: Patches) -> None:
    """Let generators of devices be pickled and copied."""
    table: dict[Any, Any] = copyreg.dispatch_table
    for kind in (torch.Generator, _DefaultGenerator):
        table[kind] = _reduce

    def undo() -> None:
        for kind in (torch.Generator, _DefaultGenerator):
            table.pop(kind, None)

    patches.on_undo(undo)


def _call_with(
    kernel: Kernel,
    generator: Any,
    place: Callable[[Any], tuple[tuple[Any, ...], dict[str, Any]]],
) -> Any:
    if generator is None:
        args, kwargs = place(None)
        return kernel(*args, **kwargs)
    kind = generator.device.type
    if kind != "cuda":
        message = f"Expected a 'cuda' device type for generator but found '{kind}'"
        raise RuntimeError(message)
    if _impl_of(generator) in _DefaultGenerator.impls:
        args, kwargs = place(None)
        return kernel(*args, **kwargs)
    args, kwargs = place(generator)
    with _Lent(generator):
        return kernel(*args, **kwargs)


def takes_generator(operator: Any, kernel: Kernel) -> Kernel:
    """``kernel`` with the generator it is given checked and lent to the host.

    Operators without a generator argument keep their kernel as it is.
    """
    names = [argument.name for argument in operator._schema.arguments]
    kinds = [str(argument.type) for argument in operator._schema.arguments]
    if "Optional[Generator]" not in kinds:
        return kernel
    position = kinds.index("Optional[Generator]")
    name = names[position]

    def call(*args: Any, **kwargs: Any) -> Any:
        if position < len(args):
            before, after = args[:position], args[position + 1 :]
            return _call_with(
                kernel, args[position], lambda value: ((*before, value, *after), kwargs)
            )
        if name not in kwargs:
            return kernel(*args, **kwargs)
        return _call_with(kernel, kwargs[name], lambda value: (args, {**kwargs, name: value}))

    return call
