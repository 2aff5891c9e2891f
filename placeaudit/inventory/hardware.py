"""What the machine has: NVIDIA devices through NVML, and what their absence comes from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Gpu", "Hardware", "look"]


@dataclass(frozen=True, slots=True)
class Gpu:
    """A physical device, as NVML numbers it (by PCI address)."""

    index: int
    name: str
    uuid: str
    memory_bytes: int | None
    #: Bytes in use, of all processes; None where NVML does not say.
    used_bytes: int | None
    #: Whether the device is split into MIG instances, which are what CUDA shows then.
    is_split: bool = False


@dataclass(frozen=True, slots=True)
class Hardware:
    """Devices and driver; ``reason`` says why none could be asked for, "" where they were."""

    gpus: tuple[Gpu, ...]
    driver: str = ""
    #: Newest CUDA that the driver runs, as "12.8".
    cuda: str = ""
    reason: str = ""


def look(dev: Path = Path("/dev")) -> Hardware:
    """Ask NVML; never raises.  ``dev`` is where device files lie."""
    try:
        import pynvml
    except ImportError:
        return Hardware((), reason="pynvml (nvidia-ml-py) is not installed: NVML was not asked")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Hardware((), reason=_why_not(str(error), dev))
    try:
        return Hardware(
            tuple(_gpus(pynvml)),
            driver=_text(pynvml.nvmlSystemGetDriverVersion()),
            cuda=_cuda(pynvml),
        )
    except pynvml.NVMLError as error:
        return Hardware((), reason=f"NVML failed: {error}")
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _why_not(error: str, dev: Path) -> str:
    """The error, and what the device files say about its cause."""
    nodes = sorted(node.name for node in dev.glob("nvidia[0-9]*"))
    if nodes:
        return (
            f"{error}: the device files {', '.join(nodes)} are here but the driver's library is "
            "not; a container needs the NVIDIA container runtime to bring it"
        )
    others = [text for node, text in _OTHERS.items() if (dev / node).exists()]
    found = f"; there is {', '.join(others)}" if others else ""
    return f"{error}: there is no NVIDIA driver here{found}"


_OTHERS = {"kfd": "an AMD device (/dev/kfd)", "dxg": "a device of Windows (/dev/dxg)"}


def _gpus(nvml: Any) -> Iterator[Gpu]:
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        total = used = None
        with contextlib.suppress(
            nvml.NVMLError
        ):  # some integrated devices have no memory of their own
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            total, used = int(memory.total), int(memory.used)
        is_split = False
        with contextlib.suppress(nvml.NVMLError):  # not supported by most
            is_split = nvml.nvmlDeviceGetMigMode(handle)[0] == 1
        name, uuid = nvml.nvmlDeviceGetName(handle), nvml.nvmlDeviceGetUUID(handle)
        yield Gpu(index, _text(name), _text(uuid), total, used, is_split)


def _cuda(nvml: Any) -> str:
    with contextlib.suppress(nvml.NVMLError):
        version = int(nvml.nvmlSystemGetCudaDriverVersion_v2())
        return f"{version // 1000}.{version % 1000 // 10}"
    return ""


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
