"""The parts that TensorFlow cuts each compiled function into, asked for without taking them away.

TensorFlow collects the parts of what it cuts where it is told to, and hands them out once.  The
program itself may do so too (``tf.summary.trace_on``): it gets what was taken here as well.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from tensorflow.python.eager import context as eager_context
from tensorflow.python.ops import summary_ops_v2

if TYPE_CHECKING:
    from placeaudit.record.tensorflow.patches import PatchSet

__all__ = ["GraphCollection", "Key"]

#: A function's name and the devices of its inputs: for other devices it is cut anew.
Key = tuple[str, tuple[str, ...]]

#: Nodes of the parts that are kept for whoever else looks, some 300 bytes each: guards and a
#: recording may both be there.
_MOST_NODES: Final = 20_000
_READ: Final[collections.OrderedDict[Key, tuple[Any, ...]]] = collections.OrderedDict()


class GraphCollection:
    """Has TensorFlow collect graphs, for one recorder."""

    def __init__(self) -> None:
        self._collects = False
        #: What was read while the program itself collects graphs (tf.summary.trace_on): its too.
        self._kept: list[Any] = []
        self._export: Callable[[Any], Any] = eager_context.Context.export_run_metadata

    def arm(self, patches: PatchSet) -> None:
        """Share with the program what it collects."""
        patches.wrap(eager_context.Context, "export_run_metadata", self._shared)
        patches.wrap(eager_context.Context, "disable_graph_collection", self._kept_on)
        patches.on_undo(self._stop)

    def prepare(self) -> None:
        """Have TensorFlow keep the parts of what it cuts from now on.

        What it has cut before it cuts again: a guard may begin in the middle of a program.
        """
        running: Any = eager_context.context()
        if not self._collects:
            running.enable_graph_collection()
            running.clear_kernel_cache()
            self._collects = True
        self._taken()  # what other functions left

    def parts_of(self, key: Key) -> tuple[Any, ...]:
        """The parts of a function that has just run so for the first time since ``prepare``."""
        found = tuple(
            part for graphs in self._taken().function_graphs for part in graphs.partition_graphs
        )
        if not found:
            return self.known(key)
        _keep(key, found)
        return found

    @staticmethod
    def known(key: Key) -> tuple[Any, ...]:
        """Those that this or another collection has seen lately, without a run; else nothing."""
        return _READ.get(key, ())

    def _taken(self) -> Any:
        """What TensorFlow has collected since the last time."""
        found = self._export(eager_context.context())
        if summary_ops_v2._current_trace_context is not None:
            self._kept.append(type(found).FromString(found.SerializeToString()))
        return found

    def _shared(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """The program gets what we took as well."""
        self._export = original

        def export_run_metadata(running: Any) -> Any:
            found = original(running)
            kept = self._kept[:]
            self._kept.clear()
            for earlier in reversed(kept):
                earlier.MergeFrom(found)
                found = earlier
            return found

        return export_run_metadata

    def _kept_on(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """The program's trace ends, ours goes on."""

        def disable_graph_collection(running: Any) -> None:
            original(running)
            if self._collects:
                running.enable_graph_collection()

        return disable_graph_collection

    def _stop(self) -> None:
        running: Any = eager_context.context_safe()
        self._collects, collected = False, self._collects
        if summary_ops_v2._current_trace_context is not None:
            return  # the program's own trace goes on
        if collected and running is not None and running._context_handle is not None:
            running.disable_graph_collection()


def _keep(key: Key, parts: tuple[Any, ...]) -> None:
    """Keep the parts of a function, and forget the oldest where they have become too many."""
    _READ[key] = parts
    nodes = sum(len(part.node) for kept in _READ.values() for part in kept)
    while nodes > _MOST_NODES:
        _, forgotten = _READ.popitem(last=False)
        nodes -= sum(len(part.node) for part in forgotten)
