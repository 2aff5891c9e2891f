from __future__ import annotations

import pytest

from placeaudit.simulate.hardware import DEVICES, DeviceModel


@pytest.mark.parametrize("model", DEVICES.values(), ids=DEVICES)
class TestEveryModel:
    def test_pinned_copies_are_never_slower(self, model: DeviceModel) -> None:
        for size in (4, 1 << 16, 1 << 30):
            assert model.h2d_s(size, pinned=True) <= model.h2d_s(size, pinned=False)
            assert model.d2h_s(size, pinned=True) <= model.d2h_s(size, pinned=False)

    def test_a_copy_of_nothing_costs_its_latency(self, model: DeviceModel) -> None:
        assert model.h2d_s(0, pinned=True) == model.wait_latency_s
        assert model.d2d_s(0) == model.call_latency_s


def test_a_gibibyte_over_pcie_5_takes_what_the_link_says() -> None:
    h100 = DEVICES["h100"]
    assert h100.h2d_s(1 << 30, pinned=True) == pytest.approx(10e-6 + (1 << 30) / 50.4e9)
    assert h100.h2d_s(1 << 30, pinned=False) == pytest.approx(10e-6 + (1 << 30) / 12e9)
