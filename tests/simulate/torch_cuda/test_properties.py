"""Each hardware model as ``torch.cuda.get_device_properties`` shows it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from placeaudit.errors import SimulationSpecError
from placeaudit.simulate import simulate
from placeaudit.simulate.hardware import DEVICES
from placeaudit.simulate.torch_cuda.properties import DeviceProperties

_ASK_FOR_V100 = """
import torch
from placeaudit.simulate import simulate
with simulate("cuda=v100"):
    torch.cuda.init()
    print(torch.cuda.get_device_capability(), "sm_70" in torch.cuda.get_arch_list())
"""


@pytest.mark.parametrize("name", DEVICES)
def test_properties_are_those_of_the_model(name: str) -> None:
    model = DEVICES[name]
    properties = DeviceProperties(model, 1)
    assert properties.name == model.product
    assert (properties.major, properties.minor) == model.capability
    # Twice the memory clock times the bus is the bandwidth of the data sheet.
    bandwidth = 2 * properties.memory_clock_rate * 1e3 * properties.memory_bus_width / 8
    sheet = {
        "b200": 8.0e12, "h200": 4.8e12, "h100": 3.35e12, "a100": 2.04e12, "l4": 300e9,
        "a10": 600e9, "a10g": 600e9, "rtx4090": 1008e9, "rtx3090": 936e9, "v100": 900e9,
        "t4": 320e9,
    }[name]  # fmt: skip
    assert bandwidth == pytest.approx(sheet, rel=0.03)
    assert properties.shared_memory_per_block_optin >= properties.shared_memory_per_block
    assert f"total_memory={properties.total_memory >> 20}MB" in repr(properties)
    assert str(properties.uuid) != str(DeviceProperties(model, 0).uuid)


def test_an_older_model_is_among_what_the_build_was_made_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ASK_FOR_V100],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    # torch.cuda warns where no kernel was compiled for the device.
    assert (done.stdout, done.stderr) == ("(7, 0) True\n", "")


def test_an_unknown_model_is_a_clear_error() -> None:
    with pytest.raises(SimulationSpecError, match="'h1000'; did you mean h100"):
        simulate("cuda=h1000").__enter__()
