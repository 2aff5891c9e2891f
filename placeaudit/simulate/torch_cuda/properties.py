"""What ``torch.cuda.get_device_properties`` says of a simulated device."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from placeaudit.simulate.hardware import DeviceModel

__all__ = ["DeviceProperties"]


class _Generation(NamedTuple):
    """Technical specifications per compute capability (CUDA C++ Programming Guide's table)."""

    threads_per_multiprocessor: int
    shared_bytes_per_multiprocessor: int
    #: Shared memory that a block may ask for.
    shared_bytes_per_block: int


_KIB: Final = 1 << 10
_GENERATIONS: Final = {
    (7, 0): _Generation(2048, 96 * _KIB, 96 * _KIB),
    (7, 5): _Generation(1024, 64 * _KIB, 64 * _KIB),
    (8, 0): _Generation(2048, 164 * _KIB, 163 * _KIB),
    (8, 6): _Generation(1536, 100 * _KIB, 99 * _KIB),
    (8, 9): _Generation(1536, 100 * _KIB, 99 * _KIB),
    (9, 0): _Generation(2048, 228 * _KIB, 227 * _KIB),
    (10, 0): _Generation(2048, 228 * _KIB, 227 * _KIB),
}


class _Identity:
    """``torch._C._CUuuid``: prints as a UUID; the same in every run."""

    def __init__(self, model: str, index: int) -> None:
        name = f"simulated {model} {index}"
        self._value = uuid.uuid5(uuid.NAMESPACE_OID, name)

    @property
    def bytes(self) -> list[int]:
        """The sixteen bytes, as there."""
        return list(self._value.bytes)

    def __str__(self) -> str:
        return str(self._value)


class DeviceProperties:
    """Stands for ``torch._C._CudaDeviceProperties``."""

    def __init__(self, model: DeviceModel, index: int) -> None:
        generation = _GENERATIONS[model.capability]
        self.name = self.gcnArchName = model.product
        self.major, self.minor = model.capability
        self.total_memory = model.memory_bytes
        self.multi_processor_count = model.multiprocessors
        self.max_threads_per_multi_processor = generation.threads_per_multiprocessor
        self.max_threads_per_block = 1024
        self.warp_size = 32
        self.regs_per_multiprocessor = 65536
        self.shared_memory_per_block = 48 * _KIB
        self.shared_memory_per_block_optin = generation.shared_bytes_per_block
        self.shared_memory_per_multiprocessor = generation.shared_bytes_per_multiprocessor
        self.clock_rate = int(model.clock_hz / 1e3)
        self.memory_clock_rate = int(model.memory_clock_hz / 1e3)
        self.memory_bus_width = model.memory_bus_bits
        self.is_integrated = 0
        self.is_multi_gpu_board = 0
        self.L2_cache_size = model.cache_bytes
        self.uuid = _Identity(model.name, index)
        self.pci_bus_id = index + 1
        self.pci_device_id = 0
        self.pci_domain_id = 0

    def __repr__(self) -> str:
        return (
            f"_CudaDeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory >> 20}MB, "
            f"multi_processor_count={self.multi_processor_count}, uuid={self.uuid}, "
            f"pci_bus_id={self.pci_bus_id}, pci_device_id={self.pci_device_id}, "
            f"pci_domain_id={self.pci_domain_id}, L2_cache_size={self.L2_cache_size >> 20}MB)"
        )
