"""Copies inside compiled functions: the edges of their graphs that cross devices.

When TensorFlow first runs a function it cuts its graph into one part per device and puts a pair of
``_Send`` and ``_Recv`` where an edge is cut.  Those parts are read once; from then on each call of
the function makes the same copies.  An edge inside a loop or a branch counts once a call, and the
record says so.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from tensorflow.python.eager import context as eager_context
from tensorflow.python.eager.polymorphic_function import atomic_function
from tensorflow.python.framework import dtypes
from tensorflow.python.ops import summary_ops_v2

from placeaudit.model import HashKind, Phase
from placeaudit.record.clock import now_ns
from placeaudit.record.sites import package_of
from placeaudit.record.tensorflow.batches import BatchSizes
from placeaudit.record.tensorflow.edges import Edge, fed_tensor, hash_array, user_line
from placeaudit.record.tensorflow.graph_fallbacks import Fallen, add_fallen, fallen_in

if TYPE_CHECKING:
    from types import FrameType

    from placeaudit.record.tensorflow.context import Known, TensorflowContext, ThreadState
    from placeaudit.record.tensorflow.patches import PatchSet
    from placeaudit.simulate.tensorflow_gpu.kernels import KernelTable

__all__ = ["FunctionRecorder", "is_function"]

#: Names of functions that were traced.
_FUNCTION: Final = "__"
#: What a loop or a branch adds to a graph to steer itself: no tensor of the program's.
_PLUMBING: Final = ("LoopCond", "loop_body_control", "pivot_", "/ctrl/_")
_IN_LOOP: Final = ("while/", "cond/")
_HOST_TYPES: Final = frozenset(
    t.as_datatype_enum for t in (dtypes.int32, dtypes.string, dtypes.resource, dtypes.variant)
)
_REDUCES: Final = ("Collective", "Nccl")
_GRADIENT: Final = "gradient_tape/"
#: Function -> its edges, as the first that read them has seen them: TensorFlow hands them out once.
_READ: Final[dict[str, tuple[Edge, ...]]] = {}


class FunctionRecorder:
    """Turns each call of a compiled function into the rows of its crossing edges."""

    def __init__(self, context: TensorflowContext, kernels: KernelTable | None = None) -> None:
        self.context = context
        self._kernels = kernels
        #: What ran elsewhere than asked, in each call of a function.
        self._fallen: dict[str, tuple[Fallen, ...]] = {}
        self.batches = BatchSizes(context)
        self._graphs: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
        self._edges: dict[str, tuple[Edge, ...]] = {}
        self._collects = False
        self._noted: set[str] = set()
        #: Placeholders of the function that is being read, by its arguments' names.
        self._arguments: dict[str, Any] = {}
        #: Reductions between replicas inside of functions: no copies, they are told apart.
        self._collectives: dict[str, tuple[str, ...]] = {}
        #: What was read while the program itself collects graphs (tf.summary.trace_on): its too.
        self._kept: list[Any] = []
        self._export: Callable[[Any], Any] = eager_context.Context.export_run_metadata

    def arm(self, patches: PatchSet) -> None:
        """Remember the graph of each function that gets traced, and what iterators give."""
        self.batches.arm(patches)
        patches.wrap(atomic_function, "from_func_graph", self._traced)
        patches.wrap(eager_context.Context, "export_run_metadata", self._shared)
        patches.wrap(eager_context.Context, "disable_graph_collection", self._kept_on)
        patches.on_undo(self._stop)

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

    def _taken(self) -> Any:
        """What TensorFlow has collected since the last time."""
        found = self._export(eager_context.context())
        if summary_ops_v2._current_trace_context is not None:
            self._kept.append(type(found).FromString(found.SerializeToString()))
        return found

    def _stop(self) -> None:
        running: Any = eager_context.context_safe()
        self._collects, collected = False, self._collects
        if summary_ops_v2._current_trace_context is not None:
            return  # the program's own trace goes on
        if collected and running is not None and running._context_handle is not None:
            running.disable_graph_collection()

    def _traced(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def from_func_graph(name: Any, graph: Any, *args: Any, **kwargs: Any) -> Any:
            self._graphs[name.decode() if isinstance(name, bytes) else name] = graph
            return original(name, graph, *args, **kwargs)

        return from_func_graph

    def call(
        self, name: str, inputs: list[Any], run: Callable[[], Any], frame: FrameType | None
    ) -> Any:
        """Run a function and record what it copied inside."""
        is_new = name not in self._edges
        if is_new:
            self.prepare()
        start = now_ns()
        result = run()
        try:
            state = self.context.state()
            if is_new:
                self.read(name, frame)
            self._rows(self._edges[name], inputs, start, state, frame)
            if self._fallen.get(name):
                self.fell(self._fallen[name], start)
            for operation in self._collectives.get(name, ()):
                self.context.add_span("collective", operation, -1, start)
        except Exception as error:  # noqa: BLE001  (our failure is not the program's)
            self._edges.setdefault(name, ())
            self.context.failed(error)
        return result

    # --- reading a graph --------------------------------------------------------------------------

    def edges_of(self, name: str) -> tuple[Edge, ...] | None:
        """What is known of a function, by this recorder or another; None before it has run."""
        return self._edges.get(name, _READ.get(name))

    def read(self, name: str, frame: FrameType | None) -> tuple[Edge, ...]:
        """Read the parts of a function that has just run for the first time."""
        found = tuple(self._read(name, frame)) or _READ.get(name, ())
        self._edges[name] = _READ[name] = found
        return found

    def prepare(self) -> None:
        """Have TensorFlow keep the parts of what it cuts from now on.

        What it has cut before it cuts again: a guard may begin in the middle of a program.
        """
        try:
            running: Any = eager_context.context()
            if not self._collects:
                running.enable_graph_collection()
                running.clear_kernel_cache()
                self._collects = True
            self._taken()  # what other functions left
        except Exception as error:  # noqa: BLE001
            self.context.failed(error)

    def _read(self, name: str, frame: FrameType | None) -> Iterator[Edge]:
        metadata = self._taken()
        graph = self._graphs.get(name)
        self._arguments = _arguments(name, graph)
        parts = [part for found in metadata.function_graphs for part in found.partition_graphs]
        operations = {node.op for part in parts for node in part.node}
        self._collectives[name] = tuple(sorted(op for op in operations if op.startswith(_REDUCES)))
        self._fallen[name] = self.fallen_in(parts, graph)
        yield from self.edges_in(parts, graph, frame)

    def fallen_in(self, parts: Iterable[Any], graph: Any) -> tuple[Fallen, ...]:
        """What ran elsewhere than it was asked to; ``graph`` is the whole one."""
        return fallen_in(
            self.context,
            parts,
            lambda node: self._operation(graph, node.name, node),
            self._kernels,
        )

    def edges_in(self, parts: Iterable[Any], graph: Any, frame: FrameType | None) -> Iterator[Edge]:
        """The edges that cross between the parts of a graph; ``graph`` is the whole one."""
        for part in parts:
            nodes = {node.name: node for node in part.node}
            for node in part.node:
                if node.op in {"XlaLaunch", "_XlaRun"}:
                    self._note("a part compiled by XLA ran: what it copies is not seen", frame)
                if node.op == "_Send" and self._is_data(node):
                    yield self._edge(node, nodes, graph, frame)

    def _is_data(self, node: Any) -> bool:
        source = node.input[0] if node.input else "^"
        if source.startswith("^") or any(word in node.name for word in _PLUMBING):
            return False
        if any(word in source for word in _PLUMBING) or node.attr["T"].type in _HOST_TYPES:
            return False
        devices = [self._device(node, end) for end in ("send_device", "recv_device")]
        return devices[0].number != devices[1].number

    def _device(self, node: Any, end: str) -> Known:
        return self.context.device(node.attr[end].s.decode())

    def _edge(self, node: Any, nodes: Any, graph: Any, frame: FrameType | None) -> Edge:
        source, _, port = node.input[0].partition(":")
        made = nodes.get(source)
        operation = self._operation(graph, source, made)
        if any(word in source for word in _IN_LOOP):
            self._note("a loop or branch in a compiled function copies between devices: each such "
                       "copy is counted once a call", frame)  # fmt: skip
        dtype = dtypes.as_dtype(node.attr["T"].type)
        shape: tuple[int | None, ...] | None = None
        stack, caller = self.context.sites.capture(frame), user_line(frame)
        if operation is not None:
            output = operation.outputs[int(port or 0)]
            if output.shape.rank is not None:
                shape = tuple(output.shape.as_list())
            kept = [(f.filename, f.lineno, f.name) for f in reversed(operation.traceback)]
            stack = self.context.sites.known(kept)
            if caller != next((k[:2] for k in kept if not package_of(k[0])), None):
                caller = None
        phase = Phase.BACKWARD if _GRADIENT in source else Phase.OTHER
        layer = source.replace(_GRADIENT, "").rpartition("/")[0]
        return Edge(
            source=self._device(node, "send_device"),
            target=self._device(node, "recv_device"),
            node=source,
            operation=made.op if made is not None else "",
            dtype=dtype.name,
            itemsize=dtype.size,
            shape=shape,
            stack=stack,
            phase=int(phase),
            module=self.context.string(layer) if layer else -1,
            port=int(port or 0),
            caller=caller,
        )

    def _operation(self, graph: Any, name: str, made: Any) -> Any:
        """The operation of a traced graph that a node of a part goes back to.

        A function that calls another gets that one's nodes put in, each with its own function's
        name: names repeat between the two.
        """
        origins: list[tuple[Any, str]] = []
        if made is not None:
            if made.op == "_Arg" and name in self._arguments:
                return self._arguments[name]
            info = made.experimental_debug_info
            for found, function in zip_longest(
                info.original_node_names, info.original_func_names, fillvalue=""
            ):
                origins.append((self._graphs.get(function) if function else graph, found))
        fed = fed_tensor(name).rpartition(":")[0]
        if fed:
            origins.append((graph, fed))
        for origin, candidate in (*origins, (graph, name)):
            if origin is None:
                continue
            try:
                return origin.get_operation_by_name(candidate)
            except (KeyError, ValueError):
                continue
        return None

    # --- sessions ---------------------------------------------------------------------------------

    def ask(self, edges: tuple[Edge, ...], inputs: list[Any], frame: FrameType | None) -> None:
        """A session is about to run: recording has no objection."""

    def fell(self, fallen: tuple[Fallen, ...], start_ns: int) -> None:
        """A graph has run whose operations did not all run where they were asked to."""
        add_fallen(self.context, fallen, start_ns, self.context.state())

    def span(self, kind: str, name: str, owner: object, start_ns: int) -> None:
        """A session's run has ended; ``owner`` tells runs of one set of fetches from others."""
        self.context.add_span(kind, name, self.context.owner(owner), start_ns)

    def ran(
        self,
        edges: tuple[Edge, ...] | None,
        inputs: list[Any],
        start_ns: int,
        frame: FrameType | None,
        *,
        values: Mapping[str, Any],
        late: bool,  # noqa: ARG002  (guards)
    ) -> None:
        """A session has run; None for edges that could not be read."""
        if edges is None:
            self._note("a session ran with options of its own: what it copies is not seen", frame)
            return
        try:
            state = self.context.state()
            inner = tuple(edge for edge in edges if edge.tensor not in values)
            self._rows(inner, inputs, start_ns, state, frame)
            outer = [(edge, values[edge.tensor]) for edge in edges if edge.tensor in values]
            self._add_given(outer, start_ns + len(inner), state, frame)
        except Exception as error:  # noqa: BLE001
            self.context.failed(error)

    # --- rows -------------------------------------------------------------------------------------

    def _rows(
        self,
        edges: tuple[Edge, ...],
        inputs: list[Any],
        start_ns: int,
        state: ThreadState,
        frame: FrameType | None,
    ) -> None:
        if not edges:
            return
        context, line = self.context, user_line(frame)
        batch = self.batches.of_inputs(inputs)
        end = now_ns()
        for number, edge in enumerate(edges):
            sizes = edge.sizes(batch)
            if sizes is None:
                self._note("a copy of unknown size in a compiled function is left out", frame)
                continue
            size = edge.itemsize
            for length in sizes:
                size *= length
            if not size:
                continue
            kind = context.string(edge.dtype)
            context.excuse(start_ns + number, state)
            stack = edge.stack
            if edge.caller is not None and line is not None and edge.caller != line:
                stack = context.sites.capture(frame)
            # The executor's threads wait; the program's goes on to the result.
            context.add_copy(
                (
                    start_ns + number, end - start_ns, edge.source.number, edge.target.number,
                    size, kind, kind, context.shape(sizes), False, True, edge.waits,
                    -1, -1, 0, 0, 0, int(HashKind.NONE), context.string("_Send"), -1,
                    stack, state.thread, edge.phase or state.phase, edge.module, 0,
                )
            )  # fmt: skip

    def _add_given(
        self,
        given: Iterable[tuple[Edge, Any]],
        start_ns: int,
        state: ThreadState,
        frame: FrameType | None,
    ) -> None:
        """Rows of what a session was fed and what it fetched: at its line, with their content."""
        context = self.context
        end = now_ns()
        stack = context.sites.capture(frame)
        for number, (edge, value) in enumerate(given):
            array = np.asarray(value)
            if not array.nbytes:
                continue
            kind = context.string(edge.dtype)
            context.excuse(start_ns + number, state)
            context.add_copy(
                (
                    start_ns + number, end - start_ns, edge.source.number, edge.target.number,
                    array.nbytes, kind, kind, context.shape(array.shape), False, not edge.waits,
                    edge.waits, -1, -1, -1, -1, *hash_array(array), context.string("_Send"), -1,
                    stack, state.thread, edge.phase or state.phase, edge.module, 0,
                )
            )  # fmt: skip

    def elsewhere(self, device: str, frame: FrameType | None) -> None:
        """A function may have run in another process, which nobody looks at."""
        job = device.partition("/job:")[2].partition("/")[0]
        running: Any = eager_context.context()
        own = running._server_def.job_name if running._server_def is not None else "localhost"
        if job and job != own:
            self._note(f"functions ran in another process (job {job}): what they copy there is "
                       "not seen", frame)  # fmt: skip

    def _note(self, text: str, frame: FrameType | None) -> None:
        if text not in self._noted:
            self._noted.add(text)
            stack = self.context.sites.capture(frame) if frame is not None else -1
            self.context.writer.note("PA902", text, stack)


def _arguments(name: str, graph: Any) -> dict[str, Any]:
    """What a function is given, by the names in its definition: those in its graph may differ."""
    if graph is None:
        return {}
    definition = eager_context.context().get_function_def(name)
    names = (argument.name for argument in definition.signature.input_arg)
    return {given: tensor.op for given, tensor in zip(names, graph.inputs, strict=False)}


def is_function(operation: Any) -> bool:
    """Whether the slow path runs a traced function."""
    name = operation.decode() if isinstance(operation, bytes) else str(operation)
    return name.startswith(_FUNCTION)
