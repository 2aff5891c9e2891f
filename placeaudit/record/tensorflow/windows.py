"""How often the loops and branches of compiled functions ran, as TensorFlow's profiler counts it.

What a graph says is what would cross in each run of a loop's body or of a branch; how often these
run is known to the executor alone.  So some calls of a function that has such edges run inside a
session of TensorFlow's own profiler, a *window*: its first calls, then every call whose number is a
power of two.  In between it is taken to run as it did last.

A ``_Send`` in a branch that was not taken is in the profile as well (it sends a dead tensor), an
operation that computes is not.  All of one region (the body of one loop, one branch) run equally
often, so the operations that were counted there tell.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import functools
import mmap
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tensorflow.python.platform import sysconfig

from placeaudit.record.tensorflow.partitions import Partitions, region_of

__all__ = ["Regions", "is_window", "profiled"]

#: The first calls of a function are all looked at.
_FIRST: Final = 3
#: Operations that compute nothing and stand in no profile.
_UNSEEN: Final = frozenset(
    {"Const", "HostConst", "Identity", "IdentityN", "Switch", "RefSwitch", "_SwitchN", "Merge",
     "RefMerge", "Enter", "RefEnter", "Exit", "RefExit", "NextIteration", "RefNextIteration",
     "LoopCond", "NoOp", "ControlTrigger", "_Arg", "_DeviceArg", "_Retval", "_DeviceRetval",
     "_Send", "_HostSend", "_Recv", "_HostRecv", "Reshape", "Squeeze", "ExpandDims", "Shape",
     "ShapeN", "Size", "Rank", "StopGradient", "PreventGradient", "Bitcast", "Snapshot",
     "EnsureShape", "VarHandleOp", "ReadVariableOp", "EmptyTensorList", "TensorListReserve"}
)  # fmt: skip
#: absl's name of its setter carries the date of its release.
_SETTER: Final = re.compile(rb"_ZN4absl12lts_\d{8}14SetMinLogLevelENS0_18LogSeverityAtLeastE(?=\0)")
#: absl's level: warnings and worse.
_WARNING: Final = 1
_LOCK: Final = threading.Lock()


def is_window(call: int) -> bool:
    """Whether the call of this number (from 1) of a function is looked at."""
    return call <= _FIRST or call & (call - 1) == 0


def profiled(run: Callable[[], Any]) -> tuple[Any, Mapping[str, int] | None]:
    """Do ``run`` in a session of the profiler: its result and how often each node ran.

    A node is ``name:operation``.  None for the counts where the profiler is in use, by the program
    or by another thread's window, or cannot be kept from writing to the program's stderr.  While
    the window is open, a program's own ``tf.profiler.experimental.start`` waits for its end.
    """
    with contextlib.ExitStack() as held:
        try:
            session = _begun(held)
        except Exception:  # noqa: BLE001  (what another version lacks, or a session begun elsewhere)
            session = None
        if session is None:
            return run(), None
        try:
            result = run()
        finally:
            counts = _ended(session)
    return result, counts


def _begun(held: contextlib.ExitStack) -> Any:
    """A session that has begun, with what ``held`` has to give back after it; else None."""
    if _log_level() is None or not _LOCK.acquire(blocking=False):
        return None
    held.callback(_LOCK.release)
    from tensorflow.python.profiler import profiler_v2
    from tensorflow.python.profiler.internal import _pywrap_profiler

    theirs = profiler_v2._profiler_lock
    if not theirs.acquire(blocking=False):
        return None
    held.callback(theirs.release)
    if profiler_v2._profiler is not None:
        return None
    session = _pywrap_profiler.ProfilerSession()
    with _quiet():
        session.start("", {})
    return session


def _ended(session: Any) -> Mapping[str, int] | None:
    """How often each node ran during a session, which ends; None where that cannot be had."""
    try:
        with _quiet():
            packed = session.stop()
        from tensorflow.tsl.profiler.protobuf import trace_events_pb2

        trace = trace_events_pb2.Trace.FromString(packed)
    except Exception:  # noqa: BLE001  (the program's call is over, and must not fail for this)
        return None
    return collections.Counter(
        event.args["long_name"] for event in trace.trace_events if "long_name" in event.args
    )


@functools.cache
def _log_level() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """How to ask and to set what TensorFlow logs; None where this build hides it."""
    folder = Path(sysconfig.get_lib())
    for path in folder.glob("libtensorflow_framework.*"):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            found = _SETTER.search(text)
            setter = found[0].decode() if found is not None else ""
        if setter:
            getter = setter.replace("14SetMinLogLevelENS0_18LogSeverityAtLeastE", "11MinLogLevelEv")
            library = ctypes.CDLL(str(path))
            return library[getter], library[setter]
    return None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """TensorFlow logs nothing below a warning: the profiler tells of each session's beginning."""
    level = _log_level()
    assert level is not None  # else no session begins
    get, set_to = level
    before = get()
    set_to(max(before, _WARNING))
    try:
        yield
    finally:
        set_to(before)


class Regions:
    """The loops and branches of one function, and how often each ran when last looked at."""

    def __init__(self, partitions: Partitions) -> None:
        #: Region -> what is counted if it runs.
        self._counted: dict[str, list[str]] = collections.defaultdict(list)
        for node in partitions.nodes():
            if node.op not in _UNSEEN:
                self._counted[region_of(node.name)].append(f"{node.name}:{node.op}")
        #: Calls so far.
        self.calls = 0
        self._last: Mapping[str, int] | None = None
        #: Whether it ran differently from one look to the next.
        self.varies = False

    def saw(self, counts: Mapping[str, int]) -> None:
        """A call was looked at."""
        if any(counts.get(node, 0) > 1 for node in self._counted.get("", ())):
            return  # another thread called it at the same time
        before, self._last = self._last, counts
        if before is not None:
            self.varies |= any(
                self._times(region, before) != self._times(region, counts)
                for region in self._counted
            )

    def times(self, region: str, send: str) -> int | None:
        """How often a copy was made in a call, by its region and its ``_Send``; None if unknown."""
        if not region:
            return 1
        if self._last is None:
            return None
        found = self._times(region, self._last)
        return found if found is not None else self._last.get(f"{send}:_Send")

    def _times(self, region: str, counts: Mapping[str, int]) -> int | None:
        nodes = self._counted.get(region)
        return max(counts.get(node, 0) for node in nodes) if nodes else None
