from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from placeaudit.record.sites import Sites
from placeaudit.record.torch.context import TorchContext
from placeaudit.record.torch.kernels import Kernels
from placeaudit.store.writer import RecordWriter, create_run


@pytest.fixture
def context(tmp_path: Path) -> TorchContext:
    create_run(tmp_path / "run", argv=[])
    writer = RecordWriter(tmp_path / "run", flush_interval_s=3600)
    return TorchContext(writer, Sites(writer))


def test_a_real_devices_copy_goes_to_the_composite_function(context: TorchContext) -> None:
    pass_on = Kernels(context, "CPU", simulated=False)._copy_pass_on(None)
    target = torch.zeros(2, 3)
    assert pass_on(None, target, torch.arange(3), False) is target
    assert target.tolist() == [[0, 1, 2], [0, 1, 2]]


def test_a_real_devices_stream_is_waited_for_before_a_wait(context: TorchContext) -> None:
    order: list[object] = []
    context.wait_for_stream = lambda device: order.append(str(device))

    class Kernel:
        def call_boxed(self, keyset: object, *args: Any, **kwargs: Any) -> str:
            order.append((keyset, len(args), kwargs))
            return "result"

    pass_on = Kernels(context, "CPU", simulated=False)._pass_on(Kernel())
    assert pass_on("keys", torch.ones(1), output_size=3) == "result"
    assert order == ["cpu", ("keys", 1, {"output_size": 3})]


def test_operators_that_are_not_there_are_named(context: TorchContext) -> None:
    kernels = Kernels(context, "CUDA", simulated=True)
    kernels._library = torch.library.Library("aten", "IMPL")
    kernels._put("no_such_operator", kernels._pass_on, lambda pass_on: pass_on)
    assert list(kernels.missing) == ["no_such_operator"]
    kernels.disarm()
    kernels.disarm()
