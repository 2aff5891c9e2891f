from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from placeaudit.record.torch.interception import Interception
from placeaudit.record.torch.kernels import Kernels


@pytest.fixture
def hub() -> Interception:
    """Of its own: nothing is armed."""
    return Interception()


def test_a_real_devices_copy_goes_to_the_composite_function(hub: Interception) -> None:
    pass_on = Kernels(hub, "CPU", simulated=False)._copy_pass_on(None)
    target = torch.zeros(2, 3)
    assert pass_on(None, target, torch.arange(3), False) is target
    assert target.tolist() == [[0, 1, 2], [0, 1, 2]]


def test_a_real_devices_stream_is_waited_for_before_a_wait(hub: Interception) -> None:
    order: list[object] = []
    hub.wait_for_stream = lambda device: order.append(str(device))

    class Kernel:
        def call_boxed(self, keyset: object, *args: Any, **kwargs: Any) -> str:
            order.append((keyset, len(args), kwargs))
            return "result"

    pass_on = Kernels(hub, "CPU", simulated=False)._pass_on(Kernel())
    assert pass_on("keys", torch.ones(1), output_size=3) == "result"
    assert order == ["cpu", ("keys", 1, {"output_size": 3})]


def test_operators_that_are_not_there_are_named(hub: Interception) -> None:
    kernels = Kernels(hub, "CUDA", simulated=True)
    kernels._library = torch.library.Library("aten", "IMPL")
    kernels._put("no_such_operator", kernels._pass_on, lambda pass_on: pass_on)
    assert list(kernels.missing) == ["no_such_operator"]
    kernels.disarm()
    kernels.disarm()
