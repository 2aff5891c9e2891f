"""Asks the guard in force about a copy, a read or a wait of a torch program, before it is made.

Called only while some scope is in force in this process.  Each check returns the reason of the
allowance it happens in, "" without one, and raises ``TransferError`` where it is disallowed.
"""

from __future__ import annotations

from types import FrameType
from typing import Any, Final, Literal

import torch

from placeaudit.crossing import crosses_as_is, crossing_itemsize, host_waits
from placeaudit.record.guard import (
    LOCAL,
    SCOPES,
    Level,
    Place,
    Policy,
    Scope,
    Transfer,
    is_refusal,
    judge,
    place_of,
)
from placeaudit.record.torch.context import current_pass

__all__ = ["check_copy", "check_read", "check_synchronize", "check_wait", "inherited"]

__tracebackhide__ = is_refusal

#: Nodes remembered per thread; older ones are reported at their backward node only.
_MOST_NODES: Final = 4096


def inherited() -> Scope | None:
    """The scope of the backward pass that this engine thread works for."""
    current = current_pass()
    return current.scope if current is not None else None


def _scope() -> Scope | None:
    own = LOCAL.scope
    return own if own is not None else inherited()


def _forward(node: Any) -> tuple[Place, str] | None:
    """Line and allowance of the copy whose backward ``node`` is."""
    current = current_pass()
    guarded = current.guarded if current is not None else LOCAL.forward
    return guarded.get(node._sequence_nr()) if guarded else None


def _remember(reason: str, frame: FrameType | None) -> None:
    """The node of a differentiable copy was made just before its kernel runs."""
    forward = LOCAL.forward
    forward[torch._C._autograd._get_sequence_nr() - 1] = (place_of(frame), reason)
    if reason:
        SCOPES.keep()
    if len(forward) > _MOST_NODES:
        for old in list(forward)[: _MOST_NODES // 2]:
            del forward[old]


def _backward_words(node: Any, known: tuple[Place, str] | None, frame: FrameType | None) -> str:
    """Where a transfer in backward comes from; "" where a line of the user's makes it."""
    if known is not None:
        return f"in the backward of {known[0]} ({node.name()})"
    return "" if frame is not None else f"in the backward pass ({node.name()})"


def _level(policy: Policy, direction: str) -> Level:
    level: Level = getattr(policy, direction)
    return level


def check_copy(dst: Any, src: Any, non_blocking: bool, frame: FrameType | None) -> str:
    """Ask about a copy that crosses devices."""
    if not dst.numel():
        return ""  # nothing crosses
    scope = _scope()
    node: Any = torch._C._current_autograd_node()
    known = _forward(node) if node is not None else None
    if scope is None:
        return known[1] if known is not None else ""
    reason = scope.reason or (known[1] if known is not None else "")
    if node is None and (src.requires_grad or dst.requires_grad) and torch.is_grad_enabled():
        _remember(reason, frame)
    if known is not None and known[1]:
        return reason
    policy = scope.policy
    to_device, to_host = src.is_cpu, dst.is_cpu
    direction: Literal["h2d", "d2h", "d2d"] = "h2d" if to_device else "d2h" if to_host else "d2d"
    level = _level(policy, direction)
    if level == "allow":
        if policy.sync == "allow" or not _waits(dst, src, non_blocking):
            return reason
        level = policy.sync
        direction_: Literal["h2d", "d2h", "d2d", "sync"] = "sync"
    else:
        direction_ = direction
    itemsize = dst.itemsize
    if dst.dtype is not src.dtype:
        itemsize = crossing_itemsize(
            to_device=to_device,
            non_blocking=non_blocking,
            source=src.itemsize,
            target=dst.itemsize,
        )
    size = dst.numel() * itemsize
    transfer = Transfer(direction_, "copy_", size, str(src.device), str(dst.device))
    judge(level, transfer, frame, "" if node is None else _backward_words(node, known, frame))
    return reason


def _waits(dst: Any, src: Any, non_blocking: bool) -> bool:
    to_device, to_host = src.is_cpu, dst.is_cpu
    host = src if to_device else dst
    return host_waits(
        to_host=to_host,
        to_device=to_device,
        pinned=non_blocking and to_device != to_host and host.is_pinned(),
        non_blocking=non_blocking,
        host_contiguous=crosses_as_is(host, dst, src),
    )


def check_read(source: Any, frame: FrameType | None) -> str:
    """Ask about ``.item()`` and its kin: a download of one element, which the host waits for."""
    scope = _scope()
    if scope is None:
        return ""
    policy = scope.policy
    direction: Literal["d2h", "sync"] = "d2h" if policy.d2h != "allow" else "sync"
    level = _level(policy, direction)
    if level != "allow":
        transfer = Transfer(
            direction, "_local_scalar_dense", source.itemsize, str(source.device), "cpu"
        )
        judge(level, transfer, frame, _words(frame))
    return scope.reason


def check_wait(cause: str, subject: Any, frame: FrameType | None) -> str:
    """Ask about an operator that makes the host wait for ``subject``'s device."""
    scope = _scope()
    if scope is None:
        return ""
    level = scope.policy.sync
    if level != "allow":
        transfer = Transfer("sync", cause, 0, str(subject.device), "")
        judge(level, transfer, frame, _words(frame))
    return scope.reason


def check_synchronize(cause: str, device: str, frame: FrameType | None) -> str:
    """Ask about an explicit ``synchronize()``."""
    scope = _scope()
    if scope is None:
        return ""
    level = scope.policy.sync
    if level != "allow":
        judge(level, Transfer("sync", cause, 0, device, ""), frame, _words(frame))
    return scope.reason


def _words(frame: FrameType | None) -> str:
    node: Any = torch._C._current_autograd_node()
    return "" if node is None else _backward_words(node, _forward(node), frame)
