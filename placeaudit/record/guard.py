"""Guards: what a thread's block may copy and wait for; and reasoned exceptions.

A scope holds for the thread that entered it, and on autograd's engine threads for the backward pass
that this thread started.  Scopes nest: the innermost decides, and inherits what it does not name.
Nothing here knows a framework: the kernels that stand before every copy ask for the scope that
holds, and :func:`judge` says what becomes of the transfer.
"""

from __future__ import annotations

import inspect
import logging
import os
import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from dataclasses import dataclass, replace
from types import FrameType, TracebackType
from typing import Any, Final, Literal, Protocol

from placeaudit.errors import TransferError, UsageError
from placeaudit.record.sites import package_of

__all__ = [
    "FREE", "LOCAL", "SCOPES", "Allow", "Guard", "Level", "Place", "Policy", "Scope", "Transfer",
    "is_refusal", "judge", "place_of", "rearm",
]  # fmt: skip


def is_refusal(error: Any) -> bool:
    """For ``__tracebackhide__``: pytest shows the line that was refused, not what refused it."""
    return isinstance(getattr(error, "value", None), TransferError)


__tracebackhide__ = is_refusal

Level = Literal["allow", "log", "disallow"]
_LEVELS: Final = ("allow", "log", "disallow")
_WORDS: Final = {
    "h2d": "host-to-device copy",
    "d2h": "device-to-host copy",
    "d2d": "copy between devices",
    "sync": "wait of the host",
}
_log: Final = logging.getLogger("placeaudit")


@dataclass(frozen=True, slots=True)
class Policy:
    """What may cross in each direction, and whether the host may wait."""

    h2d: Level = "allow"
    d2h: Level = "allow"
    d2d: Level = "allow"
    sync: Level = "allow"


FREE: Final = Policy()


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """One guard or allowance in force.  ``reason`` is the innermost allowance's, "" without one."""

    policy: Policy
    reason: str
    #: What holds again when this one ends: the same thread's, if there is one.
    outer: Scope | None


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the user's program."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.file else "a line that is not known"


_NOWHERE: Final = Place("", -1)


@dataclass(frozen=True, slots=True)
class Transfer:
    """A copy, or a wait (``bytes`` 0), that is about to happen; ``bytes`` -1: not known."""

    direction: Literal["h2d", "d2h", "d2d", "sync"]
    operation: str
    bytes: int
    src: str
    dst: str


class _Local(threading.local):
    """What guards know of one thread."""

    scope: Scope | None = None

    def __init__(self) -> None:
        #: Copies that are part of a graph, by the sequence number of their node: their line and the
        #: reason of the allowance they were made in.  Their mirror images in backward need both.
        self.forward: dict[int, tuple[Place, str]] = {}


class _Scopes:
    """How many scopes are in force in this process: 0 is all that a copy has to look at."""

    def __init__(self) -> None:
        self.count = 0
        self.lock = threading.Lock()
        self.enforcer: Enforcer | None = None
        #: Guards in force; allowances alone need no kernels.
        self.guards = 0
        #: The scope of the backward pass that an engine's thread works for.
        self.inherited: Callable[[], Scope | None] = lambda: None
        #: Lines that were logged.
        self.logged: set[tuple[Place, str]] = set()

    def change(self, scopes: int, guards: int) -> None:
        """So many more are in force."""
        with self.lock:
            before, after = self.guards, self.guards + guards
            if not before and after:
                self.enforcer = self.enforcer or _enforcer()
                self.enforcer.begin()
            elif before and not after and self.enforcer is not None:
                self.enforcer.end()
            self.guards = after
            self.count += scopes

    def after_fork(self) -> None:
        """In a forked child: another thread may have held the lock."""
        self.lock = threading.Lock()

    def keep(self) -> None:
        """An allowance reaches into a later backward pass: copies must look from now on."""
        with self.lock:
            self.count += 1


class Enforcer(Protocol):
    """Stands before the copies and waits of a framework while guards are in force."""

    def begin(self) -> None:
        """The first guard was entered."""

    def end(self) -> None:
        """The last one was left."""

    def rearm(self) -> None:
        """A simulated device was installed."""


LOCAL: Final = _Local()
SCOPES: Final = _Scopes()
os.register_at_fork(after_in_child=SCOPES.after_fork)


def _enforcer() -> Enforcer:
    from placeaudit.record.backends import GuardBackend

    return GuardBackend()


def rearm() -> None:
    """Look for accelerators again: a simulated device was installed."""
    if SCOPES.guards and SCOPES.enforcer is not None:
        SCOPES.enforcer.rearm()


class _Scoped(ContextDecorator):
    """Enters a scope of the calling thread; reentrant, and usable from several threads."""

    _guards = 0

    def _scope(self, _outer: Scope | None, /) -> Scope:
        raise AssertionError

    def __call__(self, function: Any) -> Any:
        """Decorate ``function``: each call runs in the scope."""
        if (
            inspect.isgeneratorfunction(function)
            or inspect.iscoroutinefunction(function)
            or inspect.isasyncgenfunction(function)
        ):
            raise UsageError(
                f"{type(self).__name__.lower()} cannot decorate {function.__qualname__!r}, whose "
                "body runs later than its call: use `with` inside it"
            )
        return super().__call__(function)

    def __enter__(self) -> None:
        own = LOCAL.scope
        known = own if own is not None else SCOPES.inherited()
        scope = replace(self._scope(known), outer=own)
        SCOPES.change(1, self._guards)
        LOCAL.scope = scope

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert LOCAL.scope is not None
        LOCAL.scope = LOCAL.scope.outer
        SCOPES.change(-1, -self._guards)


class Guard(_Scoped):
    """Context manager and decorator of ``placeaudit.guard``."""

    _guards = 1

    def __init__(self, **levels: Level | None) -> None:
        self._levels = {name: level for name, level in levels.items() if level is not None}
        for name, level in self._levels.items():
            if level not in _LEVELS:
                raise UsageError(
                    f'guard({name}={level!r}): a level is one of "allow", "log", "disallow"'
                )

    def _scope(self, outer: Scope | None, /) -> Scope:
        policy = outer.policy if outer is not None else FREE
        reason = outer.reason if outer is not None else ""
        return Scope(replace(policy, **self._levels), reason, None)


class Allow(_Scoped):
    """Context manager and decorator of ``placeaudit.allow``."""

    def __init__(self, reason: object) -> None:
        if not isinstance(reason, str) or not reason.strip():
            raise UsageError('allow() needs a reason: placeaudit.allow("metrics once per epoch")')
        self._reason = " ".join(reason.split())

    def _scope(self, _outer: Scope | None, /) -> Scope:
        return Scope(FREE, self._reason, None)


def place_of(frame: FrameType | None) -> Place:
    """The user's innermost line at ``frame``; without one the innermost that is not ours."""
    other = _NOWHERE
    while frame is not None:
        file = frame.f_code.co_filename
        package = package_of(file)
        if not package:
            return Place(file, frame.f_lineno)
        if other is _NOWHERE and package != "placeaudit":
            other = Place(file, frame.f_lineno)
        frame = frame.f_back
    return other


def judge(level: Level, transfer: Transfer, frame: FrameType | None, backward: str = "") -> None:
    """Let a transfer pass, log it or refuse it.

    ``backward`` says where it comes from in a backward pass, which has no frame of its own.

    Raises:
        TransferError: ``level`` is "disallow".
    """
    if level == "allow":
        return
    place = place_of(frame)
    where = backward or f"at {place}"
    if level == "disallow":
        raise TransferError(
            f"disallowed {_described(transfer)}, {where}; to allow it, wrap the line in "
            '`with placeaudit.allow("reason"):` or set '
            f'guard({transfer.direction}="allow")',
            direction=transfer.direction,
            bytes=transfer.bytes,
            src=transfer.src,
            dst=transfer.dst,
        )
    key = (place, f"{transfer.direction} {transfer.operation} {backward}")
    if key not in SCOPES.logged:
        SCOPES.logged.add(key)
        _log.warning("%s, %s", _described(transfer), where)


def _described(transfer: Transfer) -> str:
    words = _WORDS[transfer.direction]
    if transfer.direction == "sync":
        device = transfer.dst if transfer.src == "cpu" else transfer.src
        what = f"{words} for {device} ({transfer.operation})"
        return f"{what} in a copy of {_bytes(transfer.bytes)}" if transfer.bytes else what
    return (
        f"{words} of {_bytes(transfer.bytes)} from {transfer.src} to {transfer.dst} "
        f"({transfer.operation})"
    )


def _bytes(size: int) -> str:
    if size < 0:
        return "unknown size"
    return f"{size} byte" if size == 1 else f"{size} bytes"
