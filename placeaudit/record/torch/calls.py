"""The patches that both guards and recording need: the autograd engine, explicit synchronisation.

Operators are not patched here: ``kernels`` puts kernels before them.  A patch replaces one
attribute by a function that looks like the original and calls it; :meth:`Patch.undo` puts the
original back.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.model import Phase
from placeaudit.record.clock import now_ns
from placeaudit.record.guard import LOCAL, SCOPES, is_refusal
from placeaudit.record.torch.context import (
    DEPTH,
    BackwardPass,
    TorchContext,
    current_pass,
    enter_pass,
    leave_pass,
)
from placeaudit.record.torch.gate import check_synchronize

if TYPE_CHECKING:
    from placeaudit.record.torch.interception import Interception

__all__ = ["SYNCHRONIZING", "CallPatches", "Patch", "PatchSet"]

__tracebackhide__ = is_refusal

#: Python functions that make the host wait, as (path under torch, name, cause).
SYNCHRONIZING: Final = (
    ("cuda", "synchronize", "synchronize"),
    ("cuda", "empty_cache", "empty_cache"),
    ("cuda.Stream", "synchronize", "Stream.synchronize"),
    ("cuda.Event", "synchronize", "Event.synchronize"),
    ("accelerator", "synchronize", "synchronize"),
    ("accelerator", "empty_cache", "empty_cache"),
    ("xpu", "synchronize", "synchronize"),
    ("xpu", "empty_cache", "empty_cache"),
    ("xpu.Stream", "synchronize", "Stream.synchronize"),
    ("xpu.Event", "synchronize", "Event.synchronize"),
    ("mps", "synchronize", "synchronize"),
    ("mps", "empty_cache", "empty_cache"),
    # What these call in turn: a program may have imported them by name before we came.
    ("_C", "_cuda_synchronize", "synchronize"),
    ("_C", "_cuda_emptyCache", "empty_cache"),
    ("_C", "_accelerator_synchronizeDevice", "synchronize"),
    ("_C", "_accelerator_emptyCache", "empty_cache"),
    ("_C", "_xpu_synchronize", "synchronize"),
    ("_C", "_xpu_emptyCache", "empty_cache"),
    ("_C", "_mps_deviceSynchronize", "synchronize"),
    ("_C", "_mps_emptyCache", "empty_cache"),
)
#: Modules whose frames stand between the program's call and the one that waits.
_SURFACES: Final = ("torch.cuda", "torch.accelerator", "torch.xpu", "torch.mps")

_MISSING: Final = object()


def _caller(frame: FrameType | None) -> FrameType | None:
    """The frame that called PyTorch's own function."""
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_SURFACES):
        frame = frame.f_back
    return frame


def _is_initialized(module: Any) -> bool:
    known: Callable[[], bool] | None = getattr(module, "is_initialized", None)
    return known is None or known()


def _device_name(device_type: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The device that a synchronizing call waited for: its argument's, else the current one."""
    subject = args[0] if args else kwargs.get("device")
    if isinstance(subject, str):
        subject = torch.device(subject)
    for name in ("index", "device_index"):  # a torch.device, a stream
        index = getattr(subject, name, None)
        if isinstance(index, int):
            return f"{device_type}:{index}"
    if not isinstance(subject, int):
        subject = getattr(getattr(subject, "device", None), "index", None)  # an event
    if subject is None:
        subject = torch.accelerator.current_device_index()
    return f"{device_type}:{subject}"


class Patch:
    """One attribute of somebody else's object, replaced by ours."""

    def __init__(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        self.owner = owner
        self.name = name
        #: What stood in the owner itself; an inherited attribute is deleted again, not copied.
        self._own = vars(owner).get(name, _MISSING)
        self.original = getattr(owner, name)
        self.replacement = make(self.original)
        setattr(owner, name, self.replacement)

    def undo(self) -> None:
        """Put the original back, unless somebody patched over ours since."""
        if vars(self.owner).get(self.name) is not self.replacement:
            return
        if self._own is _MISSING:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self._own)


class PatchSet:
    """Makes, keeps and undoes patches.

    A replacement that somebody still holds after the undo passes on and does nothing else.
    """

    def __init__(self) -> None:
        self._patches: list[Patch] = []
        self._undo: list[Callable[[], None]] = []
        self._active = True

    def disarm(self) -> None:
        """Undo every patch, the latest first."""
        self._active = False
        for undo in reversed(self._undo):
            undo()
        for patch in reversed(self._patches):
            patch.undo()
        self._patches.clear()
        self._undo.clear()

    def _patch(self, owner: Any, name: str, make: Callable[[Any], Any]) -> Patch | None:
        if owner is None or not hasattr(owner, name):
            return None
        patch = Patch(owner, name, make)
        self._patches.append(patch)
        return patch


class CallPatches(PatchSet):
    """The patches of the one interception of this process."""

    def __init__(self, hub: Interception) -> None:
        super().__init__()
        self._hub = hub

    def arm(self) -> None:
        """Make every patch."""
        self._engine()
        for path, name, cause in SYNCHRONIZING:
            self._synchronize(path, name, cause)

    def _engine(self) -> None:
        """``_engine_run_backward``: what ``Tensor.backward`` and ``autograd.grad`` both call."""
        hub = self._hub

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            def inner(*args: Any, **kwargs: Any) -> Any:
                if not self._active or torch.compiler.is_compiling():
                    return original(*args, **kwargs)
                context = hub.context
                outer = current_pass()
                scope = LOCAL.scope
                if scope is None and outer is not None:
                    scope = outer.scope  # a pass that a hook starts on an engine thread
                stack, state = -1, None
                if context is not None:
                    state = context.state()
                    stack = context.sites.capture(sys._getframe(1))
                    phase, state.phase = state.phase, int(Phase.BACKWARD)
                # The engine hands this to its threads, which have no Python frame to ask.
                current = BackwardPass(stack, state, scope, LOCAL.forward)
                enter_pass(current)
                start = now_ns()
                try:
                    return original(*args, **kwargs)
                finally:
                    if context is not None and state is not None:
                        if outer is None:  # else a part of that pass, on a thread of the engine
                            context.add_span("backward", "backward", -1, start)
                        state.phase = phase
                    leave_pass(outer)

            hub.engine_code = inner.__code__
            return functools.wraps(original)(inner)

        patch = self._patch(torch.autograd.graph, "_engine_run_backward", make)
        if patch is not None:
            # torch.autograd imported the function by name.
            self._patch(torch.autograd, "_engine_run_backward", lambda _: patch.replacement)

    def _synchronize(self, path: str, name: str, cause: str) -> None:
        owner: Any = torch
        for part in path.split("."):
            owner = getattr(owner, part, None)
        hub = self._hub

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(original)
            def synchronize(*args: Any, **kwargs: Any) -> Any:
                if not self._active or DEPTH.waiting:
                    return original(*args, **kwargs)
                frame = _caller(sys._getframe(1))
                idle = name == "empty_cache" and not _is_initialized(owner)
                reason = ""
                if SCOPES.count and not idle:
                    device = _device_name(hub.device_type, args, kwargs)
                    reason = check_synchronize(cause, device, frame)
                context = hub.context
                where = None
                if context is not None:
                    try:
                        where = context.where(frame, context.state(), in_graph=None)
                    except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                        context.failed(error)
                DEPTH.waiting += 1
                start = now_ns()
                try:
                    result = original(*args, **kwargs)
                finally:
                    DEPTH.waiting -= 1
                if context is not None and where is not None:
                    self._record(context, (owner, name, cause), args, kwargs, start, where, reason)
                return result

            return synchronize

        self._patch(owner, name, make)

    def _record(  # noqa: PLR0917  (called once a wait)
        self,
        context: TorchContext,
        call: tuple[Any, str, str],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        start: int,
        where: tuple[int, ...],
        reason: str,
    ) -> None:
        end = now_ns()
        owner, name, cause = call
        if name == "empty_cache" and not _is_initialized(owner):
            return  # there was nothing to empty, nor a device to wait for
        try:
            state = context.state()
            device = context.string(_device_name(context.device_type, args, kwargs))
            if reason:
                context.allowed(start, state.thread, reason)
            context.add_wait((start, end - start, context.operation(cause), device, *where))
            if cause.endswith("synchronize"):
                # Of a stream or event too: a download on that one is what it is for.
                context.waited(state, -1)
        except Exception as error:  # noqa: BLE001
            context.failed(error)
