"""States of CUDA's generators, and what distributed tensors do with them.

A CUDA generator's state is a seed and an offset, 16 bytes (``CUDAGeneratorImpl.cpp``); a simulated
device draws from the host's Mersenne Twister, whose state is longer.  ``torch.distributed.tensor``
does arithmetic on the offset, so that each rank draws its own part of one row of numbers and all
ranks agree on the place afterwards: there, and only there, the host's state is shown as a CUDA one.
The way back is a function of seed and offset alone, so ranks in step stay in step.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.import_hook import ImportHook

if TYPE_CHECKING:
    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["CUDA_STATE_BYTES", "add_distributed_random", "as_cuda_state", "as_host_state"]

CUDA_STATE_BYTES: Final = 16
_RANDOM: Final = "torch.distributed.tensor._random"
#: Room for what a program adds to an offset; CUDA's offsets are multiples of 4.
_OFFSETS: Final = (1 << 60) - 4
_KEPT: Final = 256


class _Made:
    """Offsets of the host states made here last: of them the way back is exact."""

    offsets: Final[dict[bytes, int]] = {}


def as_cuda_state(state: torch.Tensor) -> torch.Tensor:
    """Seed and offset of a host generator's state, as 16 bytes on the host.

    The offset is 0 for a generator just seeded; where numbers were drawn since it is a value that
    stands for the place in the row, the same wherever the states are.
    """
    if state.numel() == CUDA_STATE_BYTES:
        return state
    text = bytes(state.cpu().tolist())
    (seed,) = struct.unpack_from("<Q", text)
    return _cuda_state(seed, _offset(seed, text))


def _offset(seed: int, text: bytes) -> int:
    key = hashlib.blake2b(text, digest_size=8).digest()
    if key in _Made.offsets:
        return _Made.offsets[key]
    if text == bytes(_host_state(seed, 0).tolist()):
        return 0
    return int.from_bytes(key, "little") & _OFFSETS


def as_host_state(state: torch.Tensor) -> torch.Tensor:
    """The state of a host generator that stands for a CUDA generator's, which may be on a device.

    Numbers drawn from it are not those of CUDA's generator, but always the same for one state.
    """
    if state.numel() != CUDA_STATE_BYTES:
        return state
    seed, offset = struct.unpack("<QQ", bytes(state.cpu().tolist()))
    made = _host_state(seed, offset)
    key = hashlib.blake2b(bytes(made.tolist()), digest_size=8).digest()
    _Made.offsets[key] = offset
    while len(_Made.offsets) > _KEPT:
        del _Made.offsets[next(iter(_Made.offsets))]
    return made


def _cuda_state(seed: int, offset: int) -> torch.Tensor:
    return torch.tensor(list(struct.pack("<QQ", seed, offset)), dtype=torch.uint8)


def _host_state(seed: int, offset: int) -> torch.Tensor:
    """State of a host generator with this seed, at a place that ``offset`` stands for."""
    generator = torch.Generator(device="cpu")
    if offset == 0:
        return generator.manual_seed(_signed(seed)).get_state()
    mixed = hashlib.blake2b(struct.pack("<QQ", seed, offset), digest_size=8).digest()
    state = generator.manual_seed(_signed(int.from_bytes(mixed, "little"))).get_state()
    state[:8] = torch.tensor(list(struct.pack("<Q", seed)), dtype=torch.uint8)
    return state


def _signed(seed: int) -> int:
    return seed - (1 << 64) if seed >> 63 else seed


def add_distributed_random(patches: Patches) -> None:
    """Let random operators on distributed tensors do their arithmetic, once they are imported."""
    if _RANDOM in sys.modules:
        _add(patches)
        return
    hook = ImportHook(_RANDOM, lambda: _add(patches))
    hook.install()
    patches.on_undo(hook.remove)


def _add(patches: Patches) -> None:
    module: Any = sys.modules[_RANDOM]
    tracker, state_type = module.OffsetBasedRNGTracker, module._PhiloxState
    get_device_state = tracker._get_device_state

    class PhiloxState(state_type):  # type: ignore[misc,valid-type]
        """Seed and offset; given back in the length that it came in."""

        def __init__(self, state: torch.Tensor) -> None:
            super().__init__(as_cuda_state(state))
            self._is_host_state = state.numel() != CUDA_STATE_BYTES

        @property
        def state(self) -> torch.Tensor:
            return as_host_state(self._state) if self._is_host_state else self._state

    def cuda_state(self: Any) -> torch.Tensor:
        if self._device.type != "cuda":
            found: torch.Tensor = get_device_state(self)
            return found
        return as_cuda_state(self._device_handle.get_rng_state()).to(self._device)

    patches.set(module, "_PhiloxState", PhiloxState)
    patches.set(tracker, "_get_device_state", cuda_state)
