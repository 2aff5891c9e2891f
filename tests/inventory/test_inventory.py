from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from placeaudit.__main__ import run
from placeaudit.inventory import frameworks
from placeaudit.inventory.hardware import Gpu, Hardware, look

Fake = Callable[..., Any]
GIB = 1 << 30


def test_nvml_is_asked(machine: Fake, fake_nvml: Fake) -> None:
    machine(pynvml=fake_nvml("GPU-a"))
    assert look() == Hardware(
        (Gpu(0, "NVIDIA T4", "GPU-a", 16 * GIB, GIB),), driver="570.1", cuda="12.8"
    )


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ([], "Library Not Found: there is no NVIDIA driver here"),
        (["nvidia0"], "the device files nvidia0 are here but the driver's library is not"),
        (["kfd"], "there is an AMD device"),
    ],
)
def test_why_there_is_none(
    machine: Fake, fake_nvml: Fake, tmp_path: Path, files: list[str], reason: str
) -> None:
    for name in files:
        (tmp_path / name).touch()
    machine(pynvml=fake_nvml(error="Library Not Found"))
    found = look(tmp_path)
    assert found.gpus == ()
    assert reason in found.reason


def test_without_pynvml(machine: Fake) -> None:
    machine(pynvml=None)
    assert "is not installed" in look().reason


def test_torch_on_a_device(machine: Fake, fake_torch: Fake) -> None:
    machine(torch=fake_torch("a", "b"))
    found = frameworks.torch(Hardware(()))
    assert (found.version, found.picked, found.reason) == ("2.99.0", "cuda:0", "")
    assert [device.name for device in found.devices] == ["cuda:0", "cuda:1"]


def test_an_old_torch_is_not_asked(machine: Fake) -> None:
    machine(torch=SimpleNamespace(__version__="1.13", __spec__=None))
    found = frameworks.torch(Hardware(()))
    assert (found.version, found.picked) == ("1.13", "")
    assert "older" in found.reason


def test_why_torch_uses_the_host(
    machine: Fake, fake_torch: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reason(module: Any, hardware: Hardware) -> str:
        machine(torch=module)
        if hidden is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        found = frameworks.torch(hardware)
        assert found.picked == "cpu"
        return found.reason

    there = Hardware((Gpu(0, "T4", "GPU-a", GIB, 0),))
    hidden: str | None = None
    assert "this build has no accelerator" in reason(fake_torch(cuda=None), there)
    assert reason(fake_torch(), Hardware((), reason="no driver")) == "no driver"
    too_old = fake_torch(error="The NVIDIA driver on your system is too old.\nmore")
    assert reason(too_old, there) == (
        "built for CUDA 12.8, it sees no device: The NVIDIA driver on your system is too old"
    )
    hidden = "-1"
    assert reason(fake_torch(), there) == "CUDA_VISIBLE_DEVICES=-1 hides the devices"


def test_tensorflow_is_not_imported_unless_asked(
    machine: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frameworks, "_version", lambda name: "2.99" if name == "tensorflow" else "")
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # importing it would fail
    found = frameworks.tensorflow(ask=False)
    assert (found.version, found.picked) == ("2.99", "")
    assert "--tensorflow" in found.reason
    assert "cannot be imported" in frameworks.tensorflow(ask=True).reason
    config = SimpleNamespace(
        list_physical_devices=lambda kind: ["x"],
        experimental=SimpleNamespace(get_device_details=lambda device: {"device_name": "T4"}),
    )
    test = SimpleNamespace(is_built_with_gpu_support=lambda: True)
    machine(tensorflow=SimpleNamespace(__version__="2.99.1", config=config, test=test))
    found = frameworks.tensorflow(ask=True)
    assert (found.version, found.picked) == ("2.99.1", "/GPU:0")
    assert found.devices[0].product == "T4"


def test_the_command(
    machine: Fake,
    fake_nvml: Fake,
    fake_torch: Fake,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    machine(pynvml=fake_nvml("GPU-a", "GPU-b"), torch=fake_torch("b"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert run(["devices"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "Hardware",
        "  NVIDIA driver 570.1, runs CUDA up to 12.8",
        "  GPU 0  NVIDIA T4  16 GiB (1 GiB in use)  GPU-a: hidden by CUDA_VISIBLE_DEVICES=1",
        "  GPU 1  NVIDIA T4  16 GiB (1 GiB in use)  GPU-b: cuda:0",
    ]
    assert "  CUDA_VISIBLE_DEVICES=1: shows GPU 1 as cuda:0" in lines
    assert "  torch 2.99.0: would use cuda:0" in lines
    assert any(line.startswith("  h100 ") and line.endswith("the default") for line in lines)
    assert run(["devices", "--output-format=json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "placeaudit-devices"
    assert [gpu["visible_as"] for gpu in document["hardware"]["gpus"]] == [None, "cuda:0"]
    assert "h100" in document["simulated"]


def test_the_command_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["devices"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("Hardware\n")
    assert captured.err == ""
