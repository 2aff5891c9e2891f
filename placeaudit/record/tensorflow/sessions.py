"""Copies inside ``Session.run`` (``tf.compat.v1``): the edges of its graph that cross devices.

A session cuts its graph for each set of feeds and fetches as TensorFlow cuts a function, and hands
the parts out when asked: the first run of each set is asked.  Feeds and fetches are on the host:
their edges are among those that cross.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tensorflow.core.protobuf import config_pb2
from tensorflow.python.client import pywrap_tf_session, session

from placeaudit.record.clock import now_ns
from placeaudit.record.tensorflow.graphs import fed_tensor

if TYPE_CHECKING:
    from types import FrameType

    from placeaudit.record.tensorflow.graph_fallbacks import Fallen
    from placeaudit.record.tensorflow.graphs import Edge, FunctionRecorder
    from placeaudit.record.tensorflow.patches import PatchSet

__all__ = ["SessionRecorder"]

#: Sets of feeds and fetches of one session that are told apart.
_MOST: Final = 1000
#: The parts that the first run of each set was cut into: guards and recording share them.
_KNOWN: Final[weakref.WeakKeyDictionary[Any, dict[object, tuple[Any, ...]]]] = (
    weakref.WeakKeyDictionary()
)


class SessionRecorder:
    """Turns each run of a session into the rows of its crossing edges."""

    def __init__(self, functions: FunctionRecorder) -> None:
        self._functions = functions
        self._edges: weakref.WeakKeyDictionary[Any, dict[object, tuple[Edge, ...]]] = (
            weakref.WeakKeyDictionary()
        )
        self._fallen: weakref.WeakKeyDictionary[Any, dict[object, tuple[Fallen, ...]]] = (
            weakref.WeakKeyDictionary()
        )

    def arm(self, patches: PatchSet) -> None:
        """Look at every run."""
        patches.wrap(session.BaseSession, "_do_run", self._wrapped)

    def _wrapped(self, original: Callable[..., Any]) -> Callable[..., Any]:
        context = self._functions.context

        @functools.wraps(original)
        def _do_run(self_: Any, handle: Any, *given: Any) -> Any:
            targets, fetches, feeds, options, metadata = given
            state = context.state()
            plain = functools.partial(original, self_, handle, targets, fetches, feeds)
            if state.busy or handle is not None:
                return plain(options, metadata)
            frame = sys._getframe(1)
            key = self._key(self_, targets, fetches, feeds)
            known = self._edges.setdefault(self_, {})
            fallen = self._fallen.setdefault(self_, {})
            shapes = [feed for feed in feeds.values() if hasattr(feed, "shape")]
            if key in known:
                self._functions.ask(known[key], shapes, frame)
            start = now_ns()
            parts = _KNOWN.setdefault(self_, {}).get(key)
            if parts is None and options is None and metadata is None and len(known) < _MOST:
                result, parts = _with_parts(plain)
                _KNOWN[self_][key] = parts
            else:
                result = plain(options, metadata)
            late = key not in known
            if late and parts is not None:
                try:
                    known[key] = tuple(self._read(self_, parts, fetches, frame))
                    fallen[key] = self._functions.fallen_in(parts, self_.graph)
                except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                    known[key] = ()
                    context.failed(error)
            values = dict(zip((tensor.name for tensor in fetches), result or (), strict=False))
            values |= {tensor.deref().name: feed for tensor, feed in feeds.items()}
            self._functions.ran(known.get(key), shapes, start, frame, values=values, late=late)
            self._functions.fell(fallen.get(key, ()), start)
            return result

        return _do_run

    @staticmethod
    def _key(session_: Any, targets: Iterable[Any], fetches: Iterable[Any], feeds: Any) -> object:
        names = (
            tuple(t.name for t in targets),
            tuple(t.name for t in fetches),
            tuple(t.deref().name for t in feeds),
        )
        return (session_.graph.version, *names)

    def _read(
        self, session_: Any, parts: tuple[Any, ...], fetches: Iterable[Any], frame: FrameType
    ) -> Iterable[Edge]:
        """The edges; the host waits for those that a fetch makes."""
        names = {tensor.name for tensor in fetches}
        for edge in self._functions.edges_in(parts, session_.graph, frame):
            name = f"{edge.node}:{edge.port}"
            fetched = name in names and edge.target.is_host
            fed = fed_tensor(edge.node) if edge.source.is_host else ""
            yield replace(edge, waits=fetched, tensor=name if fetched else fed)


def _with_parts(run: Callable[..., Any]) -> tuple[Any, tuple[Any, ...]]:
    """Run, and ask for the parts that the graph was cut into."""
    native: Any = pywrap_tf_session
    asked = config_pb2.RunOptions(output_partition_graphs=True)
    options = native.TF_NewBufferFromString(asked.SerializeToString())
    metadata = native.TF_NewBuffer()
    try:
        result = run(options, metadata)
        found = config_pb2.RunMetadata.FromString(bytes(native.TF_GetBuffer(metadata)))
    finally:
        native.TF_DeleteBuffer(metadata)
        native.TF_DeleteBuffer(options)
    return result, tuple(found.partition_graphs)
