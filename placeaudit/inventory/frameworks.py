"""What each installed framework sees and would pick; each is imported only when it is asked."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import warnings
from dataclasses import dataclass
from typing import Any, Final

from placeaudit.inventory.hardware import Hardware

__all__ = ["Framework", "tensorflow", "torch"]

_TENSORFLOW: Final = ("tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tf-nightly")


@dataclass(frozen=True, slots=True)
class Seen:
    """A device as a framework names it."""

    name: str
    product: str
    #: NVML's identifier, "" where the framework does not tell it.
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class Framework:
    """A framework on this machine.

    ``version`` is "" where it is not installed, ``picked`` where it was not asked.  ``reason`` says
    why it picks the host, or why it could not be asked.
    """

    name: str
    version: str = ""
    devices: tuple[Seen, ...] = ()
    picked: str = ""
    reason: str = ""


def torch(hardware: Hardware) -> Framework:
    """PyTorch: imports it."""
    version = _version("torch")
    if not version and importlib.util.find_spec("torch") is None:
        return Framework("torch")
    try:
        import torch as module
    except Exception as error:  # noqa: BLE001 - a broken installation is what this command is for
        return Framework("torch", version or "?", reason=f"it cannot be imported: {_line(error)}")
    version = str(module.__version__)
    if not hasattr(module, "accelerator"):
        return Framework("torch", version, reason="it is older than placeaudit reads: 2.10")
    kind, reason = _accelerator(module, hardware)
    if not kind:
        return Framework("torch", version, picked="cpu", reason=reason)
    try:
        seen = tuple(_torch_devices(module, kind))
        current = int(module.accelerator.current_device_index())
    except Exception as error:  # noqa: BLE001 - as above
        return Framework("torch", version, picked="cpu", reason=_line(error))
    return Framework("torch", version, seen, picked=f"{kind}:{current}")


def _accelerator(module: Any, hardware: Hardware) -> tuple[str, str]:
    """The kind of device that PyTorch would use, "" for the host, and then why."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            device = module.accelerator.current_accelerator(check_available=True)
        except Exception as error:  # noqa: BLE001 - drivers fail in many ways
            return "", _line(error)
    if device is not None:
        return str(device.type), ""
    return "", _line(said[-1].message) if said else _why_host(module, hardware)


def _why_host(module: Any, hardware: Hardware) -> str:
    """Why PyTorch sees no device, where it does not say so itself."""
    built = module.version.cuda or getattr(module.version, "hip", None)
    if not built and not getattr(module.version, "xpu", None):
        return "this build has no accelerator: install one built for CUDA, ROCm or XPU"
    if not (hardware.gpus and module.version.cuda):
        return hardware.reason or "there is no device"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return f"CUDA_VISIBLE_DEVICES={hidden} hides the devices"
    return f"built for CUDA {module.version.cuda}, it sees no device: {_cuda_error(module)}"


def _cuda_error(module: Any) -> str:
    try:
        module.cuda.init()
    except Exception as error:  # noqa: BLE001 - the message is what we are after
        return _line(error)
    return "for a reason that CUDA does not tell"


def _torch_devices(module: Any, kind: str) -> list[Seen]:
    found = []
    for index in range(module.accelerator.device_count()):
        product = uuid = ""
        backend: Any = getattr(module, kind, None)
        if hasattr(backend, "get_device_properties"):
            properties = backend.get_device_properties(index)
            product = str(getattr(properties, "name", ""))
            uuid = str(getattr(properties, "uuid", "") or "")
        found.append(Seen(f"{kind}:{index}", product, uuid))
    return found


def tensorflow(*, ask: bool) -> Framework:
    """TensorFlow: imports it only if ``ask``, for that takes seconds."""
    version = next(filter(None, map(_version, _TENSORFLOW)), "")
    if not version and importlib.util.find_spec("tensorflow") is None:
        return Framework("tensorflow")
    if not ask:
        return Framework("tensorflow", version or "?", reason="--tensorflow imports it and asks")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its greetings are no part of our output
    try:
        import tensorflow as tf

        devices = tf.config.list_physical_devices("GPU")
        details = [tf.config.experimental.get_device_details(device) for device in devices]
        built = bool(tf.test.is_built_with_gpu_support())
    except Exception as error:  # noqa: BLE001 - a broken installation is what this command is for
        return Framework(
            "tensorflow", version or "?", reason=f"it cannot be imported: {_line(error)}"
        )
    seen = tuple(
        Seen(f"/GPU:{index}", str(detail.get("device_name", "")))
        for index, detail in enumerate(details)
    )
    reason = ""
    if not seen:
        reason = "it sees no device" if built else "this build has no accelerator"
    picked = "/GPU:0" if seen else "/CPU:0"
    return Framework("tensorflow", str(tf.__version__), seen, picked, reason)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _line(error: object) -> str:
    """The first line of a message, without a period."""
    text = str(error).strip().splitlines()
    return text[0].rstrip(".") if text else type(error).__name__
