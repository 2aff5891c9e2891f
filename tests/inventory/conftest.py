"""Stand-ins for NVML and the frameworks: what they answer is known, no device is needed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

GIB = 1 << 30


class NVMLError(Exception):
    """As NVML raises it."""


def nvml(*uuids: str, error: str = "") -> Any:
    """NVML on a machine with these devices, or where it fails to start."""

    def init() -> None:
        if error:
            raise NVMLError(error)

    def unsupported(handle: int) -> Any:
        raise NVMLError("Not Supported")

    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=init,
        nvmlShutdown=lambda: None,
        nvmlSystemGetDriverVersion=lambda: "570.1",
        nvmlSystemGetCudaDriverVersion_v2=lambda: 12080,
        nvmlDeviceGetCount=lambda: len(uuids),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda handle: b"NVIDIA T4",
        nvmlDeviceGetUUID=lambda handle: uuids[handle],
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=16 * GIB, used=GIB),
        nvmlDeviceGetMigMode=unsupported,
    )


def torch(*uuids: str, cuda: str | None = "12.8", error: str = "") -> Any:
    """PyTorch that sees devices of these identifiers."""

    def init() -> None:
        raise RuntimeError(error)

    def current_accelerator(*, check_available: bool) -> Any:
        return SimpleNamespace(type="cuda") if uuids else None

    return SimpleNamespace(
        __version__="2.99.0",
        __spec__=None,
        version=SimpleNamespace(cuda=cuda, hip=None, xpu=None),
        accelerator=SimpleNamespace(
            current_accelerator=current_accelerator,
            current_device_index=lambda: 0,
            device_count=lambda: len(uuids),
        ),
        cuda=SimpleNamespace(
            init=init,
            get_device_properties=lambda index: SimpleNamespace(name="Tesla", uuid=uuids[index]),
        ),
    )


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts stand-ins in the place of pynvml, torch and tensorflow, without variables set."""

    def put(**modules: Any) -> None:
        for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES"):
            monkeypatch.delenv(name, raising=False)
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)

    return put


@pytest.fixture
def fake_nvml() -> Callable[..., Any]:
    return nvml


@pytest.fixture
def fake_torch() -> Callable[..., Any]:
    return torch
