from __future__ import annotations

from pathlib import Path

import pytest
import torch

from placeaudit.errors import SimulationError
from placeaudit.simulate.torch_cuda.headers import hook_slots

BASE = """
struct TORCH_API AcceleratorHooksInterface {
  virtual ~AcceleratorHooksInterface() = default;
  // virtual int commented() const;
  virtual bool isBuilt() const { if (true) { return false; } return false; }
  virtual bool hasPrimaryContext(DeviceIndex device_index) const = 0;
};
"""
DERIVED = """
struct TORCH_API CUDAHooksInterface : AcceleratorHooksInterface {
  ~CUDAHooksInterface() override = default;
  bool isBuilt() const override { return true; }
  virtual bool hasCUDA() const { return false; }
#ifdef USE_ROCM
  virtual bool onlyRocm() const { return false; }
#endif
  virtual void deviceSynchronize(DeviceIndex) const { TORCH_CHECK(false, "virtual x();"); }
};
"""


def _write(root: Path, base: str, derived: str) -> Path:
    folder = root / "ATen" / "detail"
    folder.mkdir(parents=True)
    (folder / "AcceleratorHooksInterface.h").write_text(base)
    (folder / "CUDAHooksInterface.h").write_text(derived)
    return root


def test_slots_follow_declaration_order_and_overrides_take_none(tmp_path: Path) -> None:
    assert hook_slots(_write(tmp_path, BASE, DERIVED)) == {
        "isBuilt": 2,
        "hasPrimaryContext": 3,
        "hasCUDA": 4,
        "deviceSynchronize": 5,
    }


def test_the_installed_torch_has_what_is_needed() -> None:
    slots = hook_slots(Path(torch.__file__).parent / "include")
    assert slots["isBuilt"] == 2
    assert slots["isAvailable"] == 3
    assert slots["hasCUDA"] > slots["getPinnedMemoryAllocator"]
    assert len(set(slots.values())) == len(slots)


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="layout"):
        hook_slots(_write(tmp_path, "class Something {};", DERIVED))


def test_missing_headers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match=r"AcceleratorHooksInterface\.h"):
        hook_slots(tmp_path)
