"""Host waits: Python kernels before the operations whose result the host must see to go on.

``_local_scalar_dense`` (``.item()``, ``float()``, ``if tensor:``) moves a value to the host and is
recorded as a copy; the others as waits.  Explicit synchronisation is Python's: see ``patches``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from placeaudit.crossing import WAITING
from placeaudit.model import HashKind
from placeaudit.record.clock import now_ns
from placeaudit.record.guard import SCOPES, is_refusal
from placeaudit.record.torch.context import DEPTH, ThreadState, TorchContext, is_tracing
from placeaudit.record.torch.copies import PassOn, version_of
from placeaudit.record.torch.gate import check_read, check_wait

if TYPE_CHECKING:
    from placeaudit.record.torch.interception import Interception

__all__ = ["scalar_kernel", "wait_kernel"]

__tracebackhide__ = is_refusal


def wait_kernel(hub: Interception, name: str, pass_on: PassOn) -> Callable[..., Any]:
    """The kernel that asks the guard about a waiting operator, records it and passes it on."""
    waits = WAITING[name].waits
    cause = name.partition(".")[0]

    def operation(keyset: Any, *args: Any, **kwargs: Any) -> Any:
        if DEPTH.waiting or is_tracing() or not waits(args, kwargs):
            return pass_on(keyset, *args, **kwargs)
        frame = sys._getframe().f_back
        reason = check_wait(cause, args[0], frame) if SCOPES.count else ""
        context = hub.context
        where = None
        if context is not None:
            try:
                state = context.state()
                where = context.where(frame, state, in_graph=args[0].requires_grad)
            except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                context.failed(error)
        DEPTH.waiting += 1
        start = now_ns()
        try:
            result = pass_on(keyset, *args, **kwargs)
        finally:
            DEPTH.waiting -= 1
        if context is None or where is None:
            return result
        end = now_ns()
        try:
            index = args[0].get_device()
            if reason:
                context.allowed(start, state.thread, reason)
            context.add_wait(
                (start, end - start, context.operation(cause), context.device(index), *where)
            )
            context.waited(state, index)
        except Exception as error:  # noqa: BLE001
            context.failed(error)
        return result

    return operation


def scalar_kernel(hub: Interception, pass_on: PassOn) -> Callable[..., Any]:
    """The kernel for a scalar read, which is recorded as a copy of one element to the host."""

    def _local_scalar_dense(keyset: Any, source: Any) -> Any:
        if DEPTH.waiting or is_tracing():
            return pass_on(keyset, source)
        frame = sys._getframe().f_back
        reason = check_read(source, frame) if SCOPES.count else ""
        context = hub.context
        if context is None:
            return pass_on(keyset, source)
        try:
            state = context.state()
            where = context.where(frame, state, in_graph=None)
        except Exception as error:  # noqa: BLE001
            context.failed(error)
            return pass_on(keyset, source)
        start = now_ns()
        result = pass_on(keyset, source)
        end = now_ns()
        try:
            if reason:
                context.allowed(start, state.thread, reason)
            _add_scalar(context, state, source, where, start, end)
        except Exception as error:  # noqa: BLE001
            context.failed(error)
        return result

    return _local_scalar_dense


def _add_scalar(  # noqa: PLR0917  (called once a read: keywords would cost)
    context: TorchContext,
    state: ThreadState,
    source: Any,
    where: tuple[int, ...],
    start: int,
    end: int,
) -> None:
    index = source.get_device()
    dtype = context.dtype(source.dtype)
    if context.window is not None:
        context.window.copied(start, state.thread, source, None)
    context.add_copy(
        (
            start,
            end - start,
            context.device(index),
            context.device(-1),
            source.itemsize,
            dtype,
            dtype,
            context.shape(source.shape),
            False,
            False,
            True,
            context.storages.number(source),
            -1,
            version_of(source),
            -1,
            0,
            int(HashKind.NONE),
            context.operation("_local_scalar_dense"),
            -1,
            *where,
        )
    )
    context.waited(state, index)
