"""Reading and writing this process's memory, calling torch's own libraries, adding native code.

Everything here is x86-64 with the System V calling convention; :mod:`.native` refuses other systems
before any of it is used.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from pathlib import Path
from typing import Any, Final

import torch

from placeaudit.errors import SimulationError

__all__ = [
    "CALL_RAX",
    "JUMP_RAX",
    "RAX",
    "RCX",
    "RDI",
    "RDX",
    "RET",
    "RSI",
    "NativeCode",
    "failing",
    "find_address",
    "find_function",
    "kept_for_ever",
    "load",
    "memory",
    "open_library",
]

_PROT_READ_EXEC: Final = 5
_CHECK_FAIL: Final = "_ZN3c106detail14torchCheckFailEPKcS2_jS2_"

#: ``movabs`` into a register: what :func:`load` begins with.
RAX, RCX, RDX, RSI, RDI = b"\x48\xb8", b"\x48\xb9", b"\x48\xba", b"\x48\xbe", b"\x48\xbf"
CALL_RAX: Final = b"\xff\xd0"
JUMP_RAX: Final = b"\xff\xe0"
RET: Final = b"\xc3"


def load(register: bytes, value: int) -> bytes:
    """``movabs register, value``."""
    return register + struct.pack("<Q", value & (1 << 64) - 1)


#: All memory of the process as 64-bit words: indexing reads and writes natively, several times
#: faster than one ``from_address`` per access.  Only ever indexed with addresses torch gave us.
memory: Final = (ctypes.c_uint64 * (1 << 44)).from_address(0)


#: C++ keeps raw pointers to these objects; they live as long as the process.
kept_for_ever: Final[list[object]] = []


def open_library(name: str) -> ctypes.CDLL:
    """One of torch's own libraries."""
    path = Path(torch.__file__).parent / "lib" / name
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise SimulationError(f"cannot open torch's {name}: {error}") from error


def find_function(library: ctypes.CDLL, symbol: str) -> Any:  # a ctypes function
    """An exported function that returns a pointer.

    Raises:
        SimulationError: this torch does not export it.
    """
    try:
        function = getattr(library, symbol)
    except AttributeError as error:
        raise SimulationError(
            f"this torch ({torch.__version__}) does not export {symbol}"
        ) from error
    function.restype = ctypes.c_void_p
    return function


def find_address(library: ctypes.CDLL, symbol: str) -> int:
    """Where an exported function is."""
    return ctypes.cast(find_function(library, symbol), ctypes.c_void_p).value or 0


def failing(function: str, file: str, message: str) -> bytes:
    """Native code that raises RuntimeError, as ``TORCH_CHECK`` would.

    It jumps, with the stack as its caller left it, so that no frame without unwinding information
    is in the way.
    """
    texts = [text.encode() + b"\0" for text in (function, file, message)]
    buffers = [ctypes.create_string_buffer(text, len(text)) for text in texts]
    kept_for_ever.extend(buffers)
    first, second, third = (ctypes.addressof(buffer) for buffer in buffers)
    return (
        load(RDI, first)
        + load(RSI, second)
        + b"\xba\x00\x00\x00\x00"  # mov edx, 0: the line
        + load(RCX, third)
        + load(RAX, find_address(open_library("libc10.so"), _CHECK_FAIL))
        + JUMP_RAX
    )


class NativeCode:
    """A page of native functions that return constants or jump on; it is never freed."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._page))
        self._used = 0

    def add(self, code: bytes) -> int:
        """Machine code, as it is; returns its address."""
        address = self.address + self._used
        self._page.seek(self._used)
        self._page.write(code)
        self._used += (len(code) + 15) // 16 * 16
        return address

    def returning(self, value: int) -> int:
        """``movabs rax, value; ret``: serves every integer and pointer result."""
        return self.add(load(RAX, value) + RET)

    def reading(self, cell: ctypes.c_uint64) -> int:
        """``movabs rax, cell; mov rax, [rax]; ret``."""
        return self.add(load(RAX, ctypes.addressof(cell)) + b"\x48\x8b\x00" + RET)

    def answering(self) -> int:
        """``mov eax, 1; xorps xmm0, xmm0; ret``: serves as yes, as 0.0 and as nothing."""
        return self.add(b"\xb8\x01\x00\x00\x00\x0f\x57\xc0\xc3")

    def jump_to(self, target: int) -> int:
        """``movabs rax, target; jmp rax``."""
        return self.add(load(RAX, target) + JUMP_RAX)

    def storing(self, cell: ctypes.c_uint64) -> int:
        """Keep the second argument of a member function: ``movabs rax, cell; mov [rax], rdx``."""
        return self.add(load(RAX, ctypes.addressof(cell)) + b"\x48\x89\x10" + RET)

    def text(self, value: str) -> int:
        """A function that returns this ``std::string``: pointer, length, capacity, on the heap."""
        data = value.encode() + b"\0"
        constant = ctypes.create_string_buffer(data, len(data))
        kept_for_ever.append(constant)
        malloc = find_address(ctypes.CDLL(None), "malloc")
        length = struct.pack("<I", len(data) - 1)
        return self.add(
            b"\x53\x48\x89\xfb"  # push rbx; mov rbx, rdi
            b"\xbf"
            + struct.pack("<I", len(data))  # mov edi, size
            + load(RAX, malloc)
            + CALL_RAX
            + b"\x48\x89\x03\x48\x89\xc7"  # mov [rbx], rax; mov rdi, rax
            + load(RSI, ctypes.addressof(constant))
            + b"\xb9"
            + struct.pack("<I", len(data))  # mov ecx, size
            + b"\xf3\xa4"  # rep movsb
            + b"\x48\xc7\x43\x08"
            + length  # mov qword [rbx+8], length
            + b"\x48\xc7\x43\x10"
            + length  # mov qword [rbx+16], capacity
            + b"\x48\x89\xd8\x5b"  # mov rax, rbx; pop rbx
            + RET
        )

    def seal(self) -> None:
        """Make the page executable (and no longer writable)."""
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        if protect(self.address, mmap.PAGESIZE, _PROT_READ_EXEC) != 0:
            raise SimulationError(
                "this system forbids making memory executable, which simulated CUDA needs "
                f"(mprotect: errno {ctypes.get_errno()})"
            )
