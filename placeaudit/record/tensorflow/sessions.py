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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tensorflow.core.protobuf import config_pb2
from tensorflow.python.client import pywrap_tf_session, session

from placeaudit.record.clock import now_ns
from placeaudit.record.tensorflow.edges import fed_tensor

if TYPE_CHECKING:
    from types import FrameType

    from placeaudit.record.tensorflow.edges import Edge, SizeWait
    from placeaudit.record.tensorflow.graph_fallbacks import Fallen
    from placeaudit.record.tensorflow.graphs import FunctionRecorder
    from placeaudit.record.tensorflow.patches import PatchSet

__all__ = ["SessionRecorder"]

#: Sets of feeds and fetches of one session that are told apart.
_MOST: Final = 1000
#: How operations are called that train a variable; an initializer's ``Assign`` does not.
_UPDATES: Final = (
    "Apply", "AssignAdd", "AssignSub", "ResourceApply", "ResourceScatter", "ResourceSparseApply",
    "Scatter", "SparseApply",
)  # fmt: skip
#: The parts that the first run of each set was cut into: guards and recording share them.
_KNOWN: Final[weakref.WeakKeyDictionary[Any, dict[object, tuple[Any, ...]]]] = (
    weakref.WeakKeyDictionary()
)


@dataclass(frozen=True, slots=True)
class _Run:
    """What one set of feeds and fetches does in each run."""

    edges: tuple[Edge, ...] = ()
    waits: tuple[SizeWait, ...] = ()
    fallen: tuple[Fallen, ...] = ()
    #: Type of an operation that trains a variable, "" where there is none: it is no step then.
    update: str = ""


class SessionRecorder:
    """Turns each run of a session into the rows of its crossing edges."""

    def __init__(self, functions: FunctionRecorder) -> None:
        self._functions = functions
        self._runs: weakref.WeakKeyDictionary[Any, dict[object, _Run]] = weakref.WeakKeyDictionary()

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
            known = self._runs.setdefault(self_, {})
            shapes = [feed for feed in feeds.values() if hasattr(feed, "shape")]
            if key in known:
                self._functions.ask(known[key].edges, shapes, frame)
            start = now_ns()
            parts = _KNOWN.setdefault(self_, {}).get(key)
            if parts is None and options is None and metadata is None and len(known) < _MOST:
                result, parts = _with_parts(plain)
                _KNOWN[self_][key] = parts
            else:
                result = plain(options, metadata)
            late = key not in known
            try:
                if late and parts is not None:
                    known[key] = _Run()
                    known[key] = self._read(self_, parts, fetches, frame)
                values = dict(zip((t.name for t in fetches), result or (), strict=False))
                values |= {tensor.deref().name: feed for tensor, feed in feeds.items()}
                self._after(known.get(key), start, frame)
            except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                values = {}
                context.failed(error)
            edges = known[key].edges if key in known else None
            self._functions.ran(edges, shapes, start, frame, values=values, late=late)
            return result

        return _do_run

    def _after(self, run: _Run | None, start_ns: int, frame: FrameType) -> None:
        """Waits, what fell to the host, and the span of the run: a step, where it trains."""
        if run is None:
            return
        self._functions.waited(run.waits, start_ns, frame)
        self._functions.fell(run.fallen, start_ns)
        kind = "optimizer" if run.update else "module"
        self._functions.span(kind, run.update or "Session.run", run, start_ns)

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
    ) -> _Run:
        """What the parts of a graph say; the host waits for edges that a fetch makes."""
        names = {tensor.name for tensor in fetches}
        found, edges = self._functions.reader.read(parts, session_.graph, frame), []
        for edge in found.edges:
            name = f"{edge.node}:{edge.port}"
            fetched = name in names and edge.target.is_host
            fed = fed_tensor(edge.node) if edge.source.is_host else ""
            edges.append(replace(edge, waits=fetched, tensor=name if fetched else fed))
        operations = sorted({node.op for part in parts for node in part.node})
        update = next((name for name in operations if name.startswith(_UPDATES)), "")
        return _Run(tuple(edges), found.waits, found.fallen, update)


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
