"""Does simulated CUDA really work in this process?  Asked once, right after it was installed.

What needs autograd's engine is asked at the program's first backward pass: a process whose engine
runs cannot fork children that use autograd, and many programs fork before they train.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
from typing import TYPE_CHECKING, Any

import torch

from placeaudit.errors import SimulationError
from placeaudit.simulate.spec import MAX_DEVICES
from placeaudit.simulate.torch_cuda.native import repair_engine
from placeaudit.simulate.torch_cuda.retag import to_uncounted_device

if TYPE_CHECKING:
    from placeaudit.simulate.torch_cuda.patches import Patches

__all__ = ["await_backward", "run_selftest"]


def _begin_threads(engine: Any) -> None:
    """Wait until autograd's thread of every device stands.

    The engine starts one for each device its guard knows, and each first asks for the interpreter's
    lock.  One that still waits for it when a short program ends is torn down by Python in the
    middle of C++, which aborts the process.  A thread that has run a node waits no more.
    """
    with torch.enable_grad():
        for index in range(MAX_DEVICES):
            x = to_uncounted_device(torch.ones(1, device="cpu"), index).requires_grad_()
            # Nothing but views, and the engine itself: this is neither memory nor a backward pass
            # of the program, whoever counts them.
            engine.run_backward(
                (x.view(1),), (x.detach(),), False, False, (x,), False, accumulate_grad=False
            )


def _begin_engine(engine: Any) -> None:
    """Start the engine with its device threads, also where it runs already without them."""
    try:
        _begin_threads(engine)
    except RuntimeError as error:
        if "device_ready_queues_" not in str(error) and "ASSERT" not in str(error):
            return  # the program's own backward fails in the same words
        # A backward ran before there was a device.
        repair_engine()
        _begin_threads(engine)


class _FirstBackward:
    """In the place of the engine until it is asked for: at a backward pass."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._has_begun = self._is_asked = False

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        self._is_asked = True
        # Of a program that has used no device so far, none is to be initialised.
        if self._has_begun or not torch.cuda.is_initialized():
            return self._engine
        with self._lock:
            if not self._has_begun:
                # A thread of its own: whatever modes, transforms and profilers the program's has
                # are none of ours.
                thread = threading.Thread(
                    target=_begin_engine, args=(self._engine,), name="placeaudit-engine"
                )
                self._has_begun = True
                with contextlib.suppress(RuntimeError):  # no new threads while Python ends
                    thread.start()
                    thread.join()
        return self._engine

    def end(self) -> None:
        """Python ends.  A backward pass on the host alone has started the threads as well."""
        if self._is_asked and not self._has_begun:
            self._has_begun = True
            _begin_engine(self._engine)


def await_backward(patches: Patches) -> None:
    """Begin the engine at the program's first backward pass."""
    variable: Any = torch.autograd.Variable
    first = _FirstBackward(variable._execution_engine)
    patches.set(variable, "_execution_engine", first)
    atexit.register(first.end)
    patches.on_undo(lambda: atexit.unregister(first.end))


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
        found = torch.full((2, 2), 3.0, device=f"cuda:{last}")
        if found.device.index != last or (found @ found).cpu().tolist() != [[18.0] * 2] * 2:
            raise SimulationError("arithmetic on the simulated device gave a wrong result")
