"""Does simulated CUDA really work in this process?  Asked once, right after it was installed."""

from __future__ import annotations

import torch

from placeaudit.errors import SimulationError
from placeaudit.simulate.spec import MAX_DEVICES
from placeaudit.simulate.torch_cuda.native import repair_engine
from placeaudit.simulate.torch_cuda.retag import to_device

__all__ = ["run_selftest"]


def _backward(index: int) -> None:
    with torch.enable_grad():
        weight = torch.full((2, 2), 3.0, device=f"cuda:{index}", requires_grad=True)
        ((weight @ weight).sum() * 2).backward()
    gradient = weight.grad
    if gradient is None or gradient.device != weight.device:
        raise SimulationError("a backward pass on the simulated device gave no gradient there")
    expected = [[24.0, 24.0], [24.0, 24.0]]
    if gradient.cpu().tolist() != expected:
        raise SimulationError("a backward pass on the simulated device gave a wrong gradient")


def _begin_threads() -> None:
    """Wait until autograd's thread of every device stands.

    The engine starts one for each device its guard knows, and each first asks for the interpreter's
    lock.  One that still waits for it when a short program ends is torn down by Python in the
    middle of C++, which aborts the process.  A thread that has run a node waits no more.
    """
    with torch.enable_grad():
        for index in range(MAX_DEVICES):
            x = to_device(torch.ones(1, device="cpu"), index).requires_grad_()
            torch.autograd.grad(x * 2, x, x.detach())


def run_selftest(count: int) -> None:
    """Try what everything else stands on.

    Raises:
        SimulationError: something does not work as on a device; the message says what.
    """
    accelerator = torch.accelerator.current_accelerator()
    if accelerator is None or accelerator.type != "cuda":
        raise SimulationError(f"torch sees {accelerator} as its accelerator, not cuda")
    if torch.accelerator.device_count() != count:
        raise SimulationError("torch counts another number of devices than were simulated")
    last = count - 1
    with torch.inference_mode(mode=False), torch.random.fork_rng(devices=[]):
        pinned = torch.ones(3, device="cpu").pin_memory()
        if not pinned.is_pinned() or torch.ones(3, device="cpu").is_pinned():
            raise SimulationError("page-locked memory cannot be told from pageable memory")
        try:
            _backward(last)
        except RuntimeError as error:
            if "device_ready_queues_" not in str(error) and "ASSERT" not in str(error):
                raise SimulationError(f"a backward pass fails: {error}") from error
            # A backward ran before there was a device.
            repair_engine()
            _backward(last)
        _begin_threads()
