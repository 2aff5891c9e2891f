"""Copies: a Python kernel before ``copy_`` on the accelerator's dispatch key.

Every copy that touches the accelerator reaches that one kernel, whoever asked for it: ``.to()``,
index assignment, ``torch.tensor(..., device=)``, backward on the engine's threads.  Operations that
are no copies never come here, so a program pays for its copies only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch

from placeaudit.crossing import crosses_as_is, crossing_itemsize, host_waits
from placeaudit.record.clock import now_ns
from placeaudit.record.content import Held, hash_host
from placeaudit.record.guard import SCOPES, is_refusal
from placeaudit.record.torch.context import ThreadState, TorchContext, Where, is_tracing
from placeaudit.record.torch.gate import check_copy

if TYPE_CHECKING:
    from placeaudit.record.torch.interception import Interception

__all__ = ["CopyRecorder", "copy_kernel", "version_of"]

__tracebackhide__ = is_refusal

#: Passes an operation on to the kernel that was there before ours.
PassOn = Callable[..., Any]

_NO_HASH = (0, 0)


def version_of(tensor: torch.Tensor) -> int:
    """The version counter, -1 for tensors without one (inference mode)."""
    try:
        return tensor._version
    except RuntimeError:
        return -1


def copy_kernel(hub: Interception, pass_on: PassOn) -> Callable[..., Any]:
    """The kernel that asks the guard about a copy, records it and passes it on."""

    def copy_(keyset: Any, dst: Any, src: Any, non_blocking: bool = False) -> Any:
        try:
            to, from_ = dst.get_device(), src.get_device()
            crosses = to != from_
        except AttributeError:
            # A wrapped number arrives as a Python number.
            src = torch.as_tensor(src, dtype=dst.dtype)
            to, from_ = dst.get_device(), -1
            crosses = to != from_
        if not crosses or is_tracing():
            return pass_on(keyset, dst, src, non_blocking)
        frame = sys._getframe().f_back
        reason = check_copy(dst, src, non_blocking, frame) if SCOPES.count else ""
        recorder = hub.recorder
        if recorder is None:
            return pass_on(keyset, dst, src, non_blocking)
        context = recorder.context
        try:
            state = context.state()
            outer = state.inner
            before = recorder.before(dst, src, non_blocking, state, frame)
        except Exception as error:  # noqa: BLE001  (our failure is not the program's)
            context.failed(error)
            return pass_on(keyset, dst, src, non_blocking)
        if before is None:
            return pass_on(keyset, dst, src, non_blocking)
        inner = state.inner = [0, 0, 0]
        start = now_ns()
        try:
            result = pass_on(keyset, dst, src, non_blocking)
        finally:
            state.inner = outer
        end = now_ns()
        try:
            if reason:
                context.allowed(start, state.thread, reason)
            recorder.after(dst, src, non_blocking, state, before, inner, start, end)
        except Exception as error:  # noqa: BLE001
            context.failed(error)
        return result

    return copy_


#: What is known before the copy: where, pinned, waits, source version, hash, kind, birth.
_Before = tuple[Where, bool, bool, int, int, int, int]


class CopyRecorder:
    """Turns one crossing copy into one row of ``copies``."""

    def __init__(self, context: TorchContext) -> None:
        self.context = context

    def before(
        self,
        dst: torch.Tensor,
        src: torch.Tensor,
        non_blocking: bool,
        state: ThreadState,
        frame: FrameType | None,
    ) -> _Before | None:
        """What must be read before the copy; None if it is part of one being recorded."""
        count = dst.numel()
        if count == 0:
            return None
        to_device, to_host = src.is_cpu, dst.is_cpu
        host = src if to_device else dst
        pinned = host.is_pinned() if to_device or to_host else False
        waits = host_waits(
            to_host=to_host,
            to_device=to_device,
            pinned=pinned,
            non_blocking=non_blocking,
            host_contiguous=crosses_as_is(host, dst, src),
        )
        inner = state.inner
        if inner is not None:
            # Converting and strided copies call copy_ again: what crosses is this inner copy.
            inner[0] += count * dst.itemsize
            inner[1] |= waits
            inner[2] = 1
            return None
        found = hash_host(src) if to_device else _NO_HASH
        in_graph = src.requires_grad or dst.requires_grad
        where = self.context.where(frame, state, in_graph=in_graph)
        birth = self._birth(src) if to_device else -1
        return where, pinned, waits, version_of(src), *found, birth

    def after(  # noqa: PLR0917  (called once a copy: keywords would cost)
        self,
        dst: torch.Tensor,
        src: torch.Tensor,
        non_blocking: bool,
        state: ThreadState,
        before: _Before,
        inner: list[int],
        start: int,
        end: int,
    ) -> None:
        """Append the row of a copy that happened."""
        context = self.context
        where, pinned, waits, src_version, found, kind, birth = before
        to_device, to_host = src.is_cpu, dst.is_cpu
        if inner[2]:
            size, waits = inner[0], bool(inner[1])
        elif dst.dtype is src.dtype:
            size = dst.nbytes
        else:
            size = dst.numel() * crossing_itemsize(
                to_device=to_device,
                non_blocking=non_blocking,
                source=src.itemsize,
                target=dst.itemsize,
            )
        unfinished = to_host and not waits
        if to_host and waits:
            found, kind = hash_host(dst)
        storages = context.storages
        row = (
            start,
            end - start,
            context.device(src.get_device()),
            context.device(dst.get_device()),
            size,
            context.dtype(src.dtype),
            context.dtype(dst.dtype),
            context.shape(dst.shape),
            pinned,
            non_blocking,
            waits,
            storages.number(src),
            storages.number(dst),
            src_version,
            version_of(dst),
            found,
            kind,
            context.operation("copy_"),
            birth,
            *where,
        )
        if context.window is not None:
            context.window.copied(start, state.thread, src, dst)
        if unfinished:
            context.held.hold(self._held(dst, src, row, state, end))
        else:
            context.add_copy(row)
            if waits:
                device = dst.get_device() if to_device else src.get_device()
                context.waited(state, device)

    def _held(
        self,
        dst: torch.Tensor,
        src: torch.Tensor,
        row: tuple[object, ...],
        state: ThreadState,
        now: int,
    ) -> Held:
        storages = self.context.storages
        hashable = dst.is_contiguous()
        return Held(
            row=list(row),
            thread=state.thread,
            device=src.get_device(),
            address=storages.hold(dst) if hashable else 0,
            storage=storages.number(dst),
            pointer=dst.data_ptr(),
            size=dst.nbytes if hashable else 0,
            since_ns=now,
        )

    def _birth(self, src: torch.Tensor) -> int:
        """The row in ``births`` of the factory call that made ``src``, written at its first use."""
        context = self.context
        number = context.storages.number(src)
        birth = context.storages.birth(number)
        if birth is None:
            return -1
        if birth.number < 0:
            birth.number = context.birth_number()
            context.writer.rows("births").append(
                (
                    birth.number,
                    birth.time_ns,
                    number,
                    birth.stack,
                    birth.thread,
                    context.string(birth.kind),
                )
            )
        return birth.number
