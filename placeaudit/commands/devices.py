"""``placeaudit devices``: what is there, what is visible, what hides it, what would be picked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from placeaudit.inventory.frameworks import Framework
    from placeaudit.inventory.hardware import Gpu, Hardware
    from placeaudit.inventory.visibility import Setting

__all__ = ["command"]

#: Version of the JSON object.
_VERSION = 1


@click.command("devices", short_help="Say which devices are there and which would be used.")
@click.option("--tensorflow", "ask_tensorflow", is_flag=True, help="Import TensorFlow and ask it.")
@click.option(
    "--output-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to write it.",
)
def command(*, ask_tensorflow: bool, output_format: str) -> int:
    """Say which devices this machine has, which a program started here would see, what hides the
    others, and which device each installed framework would pick.  Nothing is measured.
    """  # noqa: D205 - one paragraph of help
    from placeaudit.inventory import frameworks
    from placeaudit.inventory.hardware import look
    from placeaudit.inventory.visibility import settings
    from placeaudit.report.base import emit

    hardware = look()
    found = (frameworks.torch(hardware), frameworks.tensorflow(ask=ask_tensorflow))
    variables = settings(os.environ, [gpu.uuid for gpu in hardware.gpus])
    if output_format == "json":
        emit(_json(hardware, variables, found))
    else:
        emit("".join(f"{line}\n" for line in _lines(hardware, variables, found)))
    return 0


def _visible(hardware: Hardware, found: Sequence[Framework]) -> dict[int, str]:
    """By NVML's index: the name under which CUDA shows the device.

    PyTorch's own answer is taken where it knows devices by their identifiers: CUDA's default order
    is by speed, and CUDA_VISIBLE_DEVICES counts in it.
    """
    from placeaudit.inventory.visibility import cuda_view

    by_uuid = {
        device.uuid.removeprefix("GPU-"): device.name
        for framework in found
        for device in framework.devices
        if device.uuid
    }
    if by_uuid:
        names = {gpu.index: by_uuid.get(gpu.uuid.removeprefix("GPU-"), "") for gpu in hardware.gpus}
        return {index: name for index, name in names.items() if name}
    uuids = [gpu.uuid for gpu in hardware.gpus]
    view = cuda_view(os.environ.get("CUDA_VISIBLE_DEVICES"), uuids)
    return {hardware.gpus[i].index: f"cuda:{n}" for n, i in enumerate(view.shown)}


def _hidden_by() -> str:
    value = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "not visible" if value is None else f"hidden by CUDA_VISIBLE_DEVICES={value}"


def _lines(
    hardware: Hardware, variables: Sequence[Setting], found: Sequence[Framework]
) -> Iterator[str]:
    yield "Hardware"
    if hardware.driver:
        cuda = f", runs CUDA up to {hardware.cuda}" if hardware.cuda else ""
        yield f"  NVIDIA driver {hardware.driver}{cuda}"
    visible = _visible(hardware, found)
    for gpu in hardware.gpus:
        shown = "CUDA shows its MIG instances" if gpu.is_split else _hidden_by()
        yield f"  {_gpu(gpu)}: {visible.get(gpu.index) or shown}"
    if not hardware.gpus:
        yield f"  no NVIDIA device: {hardware.reason or 'NVML knows of none'}"
    yield ""
    yield "Environment"
    for setting in variables:
        yield f"  {setting.name}={setting.value}: {setting.effect}"
    if not variables:
        yield "  no variable is set that hides or reorders devices"
    if len({gpu.name for gpu in hardware.gpus}) > 1 and "CUDA_DEVICE_ORDER" not in os.environ:
        yield (
            "  CUDA numbers the fastest device first, NVML by PCI address: "
            "CUDA_DEVICE_ORDER=PCI_BUS_ID makes them agree"
        )
    yield ""
    yield "Frameworks"
    for framework in found:
        yield f"  {_framework(framework)}"
        for device in framework.devices:
            yield f"    {device.name}  {device.product}".rstrip()
    yield ""
    yield from _simulated()
    if any(framework.name == "torch" and framework.devices for framework in found):
        yield "  (needs CUDA_VISIBLE_DEVICES='' here, as PyTorch would use a real device)"


def _gpu(gpu: Gpu) -> str:
    from placeaudit.report.units import size

    text = f"GPU {gpu.index}  {gpu.name}"
    if gpu.memory_bytes is not None:
        text += f"  {size(gpu.memory_bytes)}"
        if gpu.used_bytes:
            text += f" ({size(gpu.used_bytes)} in use)"
    return f"{text}  {gpu.uuid}"


def _framework(framework: Framework) -> str:
    if not framework.version:
        return f"{framework.name}: not installed"
    text = f"{framework.name} {framework.version}: "
    if framework.picked:
        text += f"would use {framework.picked}"
        return text + (f" ({framework.reason})" if framework.reason else "")
    return text + f"not asked ({framework.reason})"


def _simulated() -> Iterator[str]:
    from placeaudit.report.units import size
    from placeaudit.simulate.hardware import DEVICES
    from placeaudit.simulate.spec import DEFAULT_MODEL, MAX_DEVICES

    yield f"Simulated (trace --simulate cuda[:N][=MODEL], N up to {MAX_DEVICES})"
    width = max(map(len, DEVICES))
    for name, model in DEVICES.items():
        default = "  the default" if name == DEFAULT_MODEL else ""
        yield (
            f"  {name:<{width}}  {model.product}, {size(model.memory_bytes)}, PCIe {model.pcie}.0"
            f"{default}"
        )


def _json(hardware: Hardware, variables: Sequence[Setting], found: Sequence[Framework]) -> str:
    from placeaudit.simulate.hardware import DEVICES

    visible = _visible(hardware, found)
    document: dict[str, Any] = {
        "schema": "placeaudit-devices",
        "version": _VERSION,
        "hardware": {
            "driver": hardware.driver or None,
            "cuda": hardware.cuda or None,
            "reason": hardware.reason or None,
            "gpus": [asdict(gpu) | {"visible_as": visible.get(gpu.index)} for gpu in hardware.gpus],
        },
        "environment": [asdict(setting) for setting in variables],
        "frameworks": [asdict(framework) for framework in found],
        "simulated": list(DEVICES),
    }
    return json.dumps(document, indent=2) + "\n"
