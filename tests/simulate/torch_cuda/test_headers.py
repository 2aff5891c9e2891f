from __future__ import annotations

from pathlib import Path

import pytest
import torch

from placeaudit.errors import SimulationError
from placeaudit.simulate.torch_cuda.headers import guard_slots, hook_slots

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


GUARD = """
struct C10_API DeviceGuardImplInterface {
  DeviceGuardImplInterface() = default;
  virtual DeviceType type() const = 0;
  virtual Stream getNewStream(Device, int priority = 0) const {
    TORCH_CHECK(false, "Backend doesn't support create a new Stream.")
  }
  virtual double elapsedTime(void*, void*, const DeviceIndex) const { return 0; }
  virtual ~DeviceGuardImplInterface() = default;
};
"""


def _write_guard(root: Path, text: str) -> Path:
    folder = root / "c10" / "core" / "impl"
    folder.mkdir(parents=True)
    (folder / "DeviceGuardImplInterface.h").write_text(text)
    return root


def test_the_guards_destructor_comes_last(tmp_path: Path) -> None:
    expected = {"type": 0, "getNewStream": 1, "elapsedTime": 2}
    assert guard_slots(_write_guard(tmp_path, GUARD)) == expected
    installed = guard_slots(Path(torch.__file__).parent / "include")
    assert (installed["type"], installed["exchangeDevice"], installed["getStream"]) == (0, 1, 5)


def test_a_guard_whose_destructor_is_elsewhere_is_refused(tmp_path: Path) -> None:
    moved = GUARD.replace("  virtual ~DeviceGuardImplInterface() = default;\n", "")
    with pytest.raises(SimulationError, match="layout unknown"):
        guard_slots(_write_guard(tmp_path, moved))
