"""Which operations of TensorFlow have a GPU kernel, for which types, and what it wants on the host.

TensorFlow places an operation by its registered kernels, and a GPU kernel may ask for some of its
inputs in host memory (shapes, axes, …).  A GPU build knows its own registry; a CPU build does not
know the GPU's, so the table of each TensorFlow version that can be simulated ships with this
package (``kernel_tables/``, made by :mod:`placeaudit.simulate.tensorflow_gpu.derive`).

Types are TensorFlow's ``DataType`` numbers.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

__all__ = ["TABLES", "Kernel", "KernelTable", "table_name"]

#: Attribute -> the types a kernel is registered for.
Constraints = tuple[tuple[str, frozenset[int]], ...]

_PACKAGE: Final = "placeaudit.simulate.tensorflow_gpu.kernel_tables"
_SUFFIX: Final = ".json.xz"


@dataclass(frozen=True, slots=True)
class Kernel:
    """One registered kernel of an accelerator."""

    constraints: Constraints
    #: Names of arguments, inputs and outputs, that are in host memory.
    host: frozenset[str]
    #: Among devices that have a kernel the highest priority wins, then the GPU.
    priority: int

    def takes(self, types: Mapping[str, int]) -> bool:
        """Whether it is registered for these types; what is not given is no hindrance."""
        return all(
            name not in types or types[name] in allowed for name, allowed in self.constraints
        )


class KernelTable:
    """The kernels of one TensorFlow build that run on a GPU, per operation."""

    def __init__(
        self, gpu: Mapping[str, tuple[Kernel, ...]], cpu_priorities: Mapping[str, int]
    ) -> None:
        self._gpu = gpu
        #: Highest priority of a CPU kernel of each operation that has one.
        self._cpu = cpu_priorities

    @classmethod
    def from_registry(cls, kernels: Iterable[Any], accelerator: str = "GPU") -> KernelTable:
        """From a build's ``KernelDef`` messages; ``accelerator`` as TensorFlow says it."""
        gpu: dict[str, list[Kernel]] = {}
        anywhere: dict[str, list[Kernel]] = {}
        cpu: dict[str, int] = {}
        for kernel in kernels:
            if kernel.label:
                continue  # chosen by name only
            if kernel.device_type == "CPU":
                cpu[kernel.op] = max(cpu.get(kernel.op, kernel.priority), kernel.priority)
            if kernel.device_type == accelerator:
                gpu.setdefault(kernel.op, []).append(_kernel(kernel))
            elif kernel.device_type == "DEFAULT":
                anywhere.setdefault(kernel.op, []).append(_kernel(kernel))
        for operation, found in anywhere.items():  # they yield to the device's own
            gpu.setdefault(operation, []).extend(found)
        return cls({name: tuple(own) for name, own in gpu.items()}, cpu)

    @classmethod
    def shipped(cls, version: str) -> KernelTable:
        """The shipped table of a TensorFlow version as ``"2.21.0"``.

        Raises:
            KeyError: none ships for this version; :data:`TABLES` lists those that do.
        """
        name = table_name(version)
        if name not in TABLES:
            raise KeyError(name)
        packed = resources.files(_PACKAGE).joinpath(name + _SUFFIX).read_bytes()
        return cls.from_json(json.loads(lzma.decompress(packed)))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> KernelTable:
        """The inverse of :meth:`to_json`."""
        gpu = {
            name: tuple(
                Kernel(
                    tuple((attr, frozenset(types)) for attr, types in constraints.items()),
                    frozenset(host),
                    priority,
                )
                for constraints, host, priority in kernels
            )
            for name, kernels in data["gpu"].items()
        }
        return cls(gpu, data["cpu"])

    def to_json(self) -> dict[str, Any]:
        """Plain data; kernels that differ in the types of one attribute only are joined."""
        gpu = {
            name: [
                [{attr: sorted(types) for attr, types in kernel.constraints}, sorted(kernel.host),
                 kernel.priority]
                for kernel in _joined(kernels)
            ]
            for name, kernels in sorted(self._gpu.items())
        }  # fmt: skip
        return {"gpu": gpu, "cpu": dict(sorted(self._cpu.items()))}

    def gpu_kernel(self, operation: str, types: Mapping[str, int]) -> Kernel | None:
        """The GPU's kernel of ``operation`` for these types, if it has one."""
        for kernel in self._gpu.get(operation, ()):
            if kernel.takes(types):
                return kernel
        return None

    def prefers_gpu(self, operation: str, types: Mapping[str, int]) -> bool:
        """Whether TensorFlow would run it on a GPU that is there, if nobody says where."""
        kernel = self.gpu_kernel(operation, types)
        return kernel is not None and kernel.priority >= self._cpu.get(operation, kernel.priority)

    def knows(self, operation: str) -> bool:
        """Whether any device has a kernel of it: a function or a custom operation has not."""
        return operation in self._gpu or operation in self._cpu


def table_name(version: str) -> str:
    """Name of the table for a version: patch releases share their kernels."""
    return "tf_" + "_".join(version.split(".")[:2])


def _kernel(message: Any) -> Kernel:
    constraints = tuple(
        (constraint.name, frozenset(constraint.allowed_values.list.type))
        for constraint in message.constraint
    )
    return Kernel(constraints, frozenset(message.host_memory_arg), message.priority)


def _joined(kernels: Iterable[Kernel]) -> list[Kernel]:
    """The same kernels, fewer: types of one attribute in one set where all else is equal."""
    found: list[Kernel] = []
    for kernel in kernels:
        for index, other in enumerate(found):
            joined = _join(other, kernel)
            if joined is not None:
                found[index] = joined
                break
        else:
            found.append(kernel)
    return found


def _join(one: Kernel, other: Kernel) -> Kernel | None:
    if (one.host, one.priority) != (other.host, other.priority):
        return None
    names = [name for name, _ in one.constraints]
    if names != [name for name, _ in other.constraints]:
        return None
    pairs = list(zip(one.constraints, other.constraints, strict=True))
    if sum(a != b for a, b in pairs) > 1:
        return None
    constraints = tuple((a[0], a[1] | b[1]) for a, b in pairs)
    return Kernel(constraints, one.host, one.priority)


def _tables() -> frozenset[str]:
    names = (entry.name for entry in resources.files(_PACKAGE).iterdir())
    return frozenset(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))


#: Names of the tables that ship.
TABLES: Final = _tables()
