"""Optimizers: the phase and the span of a step, and where optimizer state and gradients live."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

import torch
from torch.optim import optimizer as torch_optimizer

from placeaudit.model import Phase
from placeaudit.record.clock import now_ns
from placeaudit.record.torch.context import TorchContext
from placeaudit.record.torch.modules import Census

__all__ = ["OptimizerSource"]

#: The code of the function that PyTorch wraps every optimizer's step in.
_STEP: Final = torch_optimizer.Optimizer.profile_hook_step(len).__code__


@dataclass(slots=True)
class _Known:
    """What was seen of one optimizer."""

    start_ns: int = 0
    phase: int = 0
    gradients: tuple[int, ...] = ()
    state: tuple[int, ...] = ()


class OptimizerSource:
    """Global hooks around every ``Optimizer.step``."""

    def __init__(self, context: TorchContext, census: Census) -> None:
        self._context = context
        self._census = census
        self._known: weakref.WeakKeyDictionary[Any, _Known] = weakref.WeakKeyDictionary()
        self._handles: list[Any] = []

    def arm(self) -> None:
        """Register the hooks."""
        self._handles = [
            torch_optimizer.register_optimizer_step_pre_hook(self._before),
            torch_optimizer.register_optimizer_step_post_hook(self._after),
        ]

    def disarm(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _before(self, optimizer: Any, _args: Any, _kwargs: Any) -> None:
        if torch.compiler.is_compiling():
            return
        try:
            if _inside_own_step(optimizer):
                return
            known = self._known.get(optimizer)
            if known is None:
                known = self._known[optimizer] = _Known()
            state = self._context.state()
            # A step that raised left its phase behind.
            stale = state.phase == int(Phase.OPTIMIZER)
            known.phase = int(Phase.OTHER) if stale else state.phase
            state.phase = int(Phase.OPTIMIZER)
            self._gradients(optimizer, known)
            known.start_ns = now_ns()
        except Exception as error:  # noqa: BLE001  (our failure is not the program's)
            self._context.failed(error)

    def _after(self, optimizer: Any, _args: Any, _kwargs: Any) -> None:
        if torch.compiler.is_compiling():
            return
        try:
            if _inside_own_step(optimizer):
                return
            known = self._known.get(optimizer)
            if known is None:
                return
            context = self._context
            name = type(optimizer).__name__
            context.add_span("optimizer", name, context.owner(optimizer), known.start_ns)
            context.state().phase = known.phase
            self._state(optimizer, known)
            if context.window is not None:
                context.window.step_ended(context.owner(optimizer))
        except Exception as error:  # noqa: BLE001
            self._context.failed(error)

    def _gradients(self, optimizer: Any, known: _Known) -> None:
        devices = tuple(
            [
                -2 if parameter.grad is None else parameter.grad.get_device()
                for group in optimizer.param_groups
                for parameter in group["params"]
            ]
        )
        if devices == known.gradients:
            return
        known.gradients = devices
        known.state = ()  # parameters moved, or are new: compare their state anew
        for name, parameter in _parameters(optimizer):
            if parameter.grad is not None:
                self._census.add("gradient", optimizer, name, parameter.grad, parameter)

    def _state(self, optimizer: Any, known: _Known) -> None:
        """Optimizer state against its parameter's device, where anything moved or is new."""
        states = optimizer.state
        devices = tuple(
            [
                value.get_device()
                for state in list(states.values())
                if isinstance(state, dict)
                for value in state.values()
                if isinstance(value, torch.Tensor)
            ]
        )
        if devices == known.state:
            return
        known.state = devices
        for name, parameter in _parameters(optimizer):
            state = states.get(parameter)
            if not isinstance(state, dict):
                continue
            for key, value in state.items():
                if isinstance(value, torch.Tensor):
                    self._census.add(
                        "optimizer-state", optimizer, f"{name}.{key}", value, parameter
                    )


def _inside_own_step(optimizer: Any) -> bool:
    """Whether this hook runs for ``super().step()`` inside the step of the same optimizer.

    PyTorch calls the hooks in the step of each class of which there was an instance.
    """
    hooked = [c for c in type(optimizer).__mro__ if hasattr(vars(c).get("step"), "hooked")]
    if len(hooked) < 2:  # noqa: PLR2004 (one step, one call of the hooks)
        return False
    steps = 0
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is _STEP and frame.f_locals.get("self") is optimizer:
            steps += 1
        frame = frame.f_back
    return steps > 1


def _parameters(optimizer: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters with the name the optimizer knows, else their position."""
    for number, group in enumerate(optimizer.param_groups):
        names = group.get("param_names")
        for index, parameter in enumerate(group["params"]):
            yield (names[index] if names else f"{number}.{index}"), parameter
