"""What a compiled function does in each call, read off the parts that TensorFlow cut it into.

Those parts are read once, when TensorFlow first runs the function; from then on each call makes the
same copies and waits, those in a loop or a branch as often as it runs.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from tensorflow.python.eager import context as eager_context
from tensorflow.python.eager.polymorphic_function import atomic_function
from tensorflow.python.framework import dtypes

from placeaudit.model import Phase
from placeaudit.record.sites import package_of
from placeaudit.record.tensorflow.edges import Compiled, Edge, SizeWait, fed_tensor, user_line
from placeaudit.record.tensorflow.graph_fallbacks import fallen_in
from placeaudit.record.tensorflow.origins import add_origins, places_of
from placeaudit.record.tensorflow.partitions import Partitions, region_of
from placeaudit.record.tensorflow.windows import Regions
from placeaudit.simulate.tensorflow_gpu.placement import in_one_piece

if TYPE_CHECKING:
    from types import FrameType

    from placeaudit.record.tensorflow.context import Known, TensorflowContext
    from placeaudit.record.tensorflow.partitions import Crossing
    from placeaudit.record.tensorflow.patches import PatchSet
    from placeaudit.simulate.tensorflow_gpu.kernels import KernelTable

__all__ = ["GraphReader"]

_REDUCES: Final = ("Collective", "Nccl")
_GRADIENT: Final = "gradient_tape/"
_BACKWARD: Final = "__backward_"
_COMPILED: Final = frozenset({"XlaLaunch", "_XlaRun"})
#: Operations of a traced graph that become loops and branches.
_FLOW: Final = frozenset({"While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase"})
#: Operations that call functions, with the attributes that name them.
_CALLS: Final = {
    "PartitionedCall": ("f",),
    "StatefulPartitionedCall": ("f",),
    "While": ("cond", "body"),
    "StatelessWhile": ("cond", "body"),
    "If": ("then_branch", "else_branch"),
    "StatelessIf": ("then_branch", "else_branch"),
}
#: They run Python, which may begin a profile of its own.
_PYTHON: Final = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
#: The graph of each traced function, whoever saw it traced: a recording or a guard.
_GRAPHS: Final[weakref.WeakValueDictionary[str, Any]] = weakref.WeakValueDictionary()


class GraphReader:
    """Knows the graphs of traced functions, and reads their parts."""

    def __init__(
        self,
        context: TensorflowContext,
        kernels: KernelTable | None,
        note: Callable[[str, FrameType | None], None],
    ) -> None:
        self._context = context
        self._kernels = kernels
        self._note = note
        #: Placeholders of the function that is being read, by its arguments' names.
        self._arguments: dict[str, Any] = {}
        #: Those of them that its caller passes, by the identity of their operations.
        self._passed: frozenset[int] = frozenset()

    def arm(self, patches: PatchSet) -> None:
        """Remember the graph of each function that gets traced."""
        patches.wrap(atomic_function, "from_func_graph", self._traced)
        add_origins(patches)

    def _traced(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def from_func_graph(name: Any, graph: Any, *args: Any, **kwargs: Any) -> Any:
            _GRAPHS[name.decode() if isinstance(name, bytes) else name] = graph
            return original(name, graph, *args, **kwargs)

        return from_func_graph

    def may_count(self, name: str) -> bool:
        """Whether a function, by its traced graph, has loops or branches that can be counted."""
        kinds = {o.type for graph in _reached(name) for o in graph.get_operations()}
        return bool(kinds & _FLOW) and not kinds & _PYTHON

    def function(self, name: str, parts: Iterable[Any], frame: FrameType | None) -> Compiled:
        """What the parts of a function say."""
        graph = _GRAPHS.get(name)
        self._arguments = _arguments(name, graph)
        self._passed = _passed(name, graph)
        try:
            whole = any(map(in_one_piece, _reached(name)))
            return self.read(parts, graph, frame, is_whole=whole)
        finally:
            self._arguments, self._passed = {}, frozenset()

    def read(
        self,
        parts: Iterable[Any],
        graph: Any,
        frame: FrameType | None,
        *,
        is_whole: bool = False,
    ) -> Compiled:
        """What the parts of a graph say; ``graph`` is the whole one, as it was traced.

        What is on a GPU of one that ``is_whole`` is one piece there, as XLA makes it.
        """
        context = self._context
        parts = tuple(parts)
        found = Partitions(parts, context.device, context.host, self._kernels, is_whole=is_whole)
        operations = {node.op for node in found.nodes()}
        if operations & _COMPILED:
            self._note("a part compiled by XLA ran: what it copies is not seen", frame)
        region = region_of if found.branches else _no_region
        edges = tuple(
            self._edge(found, crossing, region(crossing.node.name), graph, frame)
            for crossing in found.crossings()
        )
        waits = tuple(
            self._wait(node, device, region(node.name), graph, frame)
            for node, device in found.waits()
        )
        is_inner = any(e.region for e in edges) or any(w.region for w in waits)
        return Compiled(
            edges=edges,
            waits=waits,
            fallen=fallen_in(
                context,
                parts,
                lambda node: self._operation(graph, node.name, node),
                self._kernels,
            ),
            collectives=tuple(sorted(op for op in operations if op.startswith(_REDUCES))),
            regions=Regions(found) if is_inner and not operations & _PYTHON else None,
        )

    def _wait(
        self, node: Any, device: Known, region: str, graph: Any, frame: FrameType | None
    ) -> SizeWait:
        stack, _ = self._site(self._operation(graph, node.name, node), frame)
        phase, module = self._layer(node.name)
        return SizeWait(node.op, device, stack, phase, module, region)

    def _edge(
        self,
        partitions: Partitions,
        crossing: Crossing,
        region: str,
        graph: Any,
        frame: FrameType | None,
    ) -> Edge:
        node, port = crossing.node, crossing.port
        operation = self._operation(graph, node.name, node)
        shape = _shape(node, operation, port)
        if operation is None:  # made by TensorFlow: it hands on, or computes beforehand
            if shape is None:
                shape = self._shape_handed_on(partitions, crossing, graph)
            wanted = crossing.consumer
            operation = self._operation(graph, wanted.name, wanted)
        dtype = dtypes.as_dtype(crossing.dtype)
        stack, caller = self._site(operation, frame)
        phase, module = self._layer(node.name)
        return Edge(
            source=crossing.source,
            target=crossing.target,
            node=node.name,
            operation=node.op,
            dtype=dtype.name,
            itemsize=dtype.size,
            shape=shape,
            stack=stack,
            phase=phase,
            module=module,
            port=port,
            caller=caller,
            region=region,
            send=crossing.send,
        )

    def _shape_handed_on(
        self, partitions: Partitions, crossing: Crossing, graph: Any
    ) -> tuple[int | None, ...] | None:
        """The shape on which all agree whose value it may be."""
        shapes = {
            _shape(node, self._operation(graph, node.name, node), port)
            for node, port in partitions.origins(crossing.node, crossing.port)
        }
        return shapes.pop() if len(shapes) == 1 else None

    def _site(self, operation: Any, frame: FrameType | None) -> tuple[int, tuple[str, int] | None]:
        """Where an operation was traced, else the call; the call's line where it is that."""
        caller = user_line(frame)
        if operation is None or id(operation) in self._passed:
            return self._context.sites.capture(frame), caller
        kept = places_of(operation)
        users = next((k[:2] for k in kept if not package_of(k[0])), None)
        return self._context.sites.known(kept), caller if caller == users else None

    def _layer(self, name: str) -> tuple[int, int]:
        """The phase and the interned layer that a node's name tells."""
        phase = Phase.BACKWARD if _GRADIENT in name else Phase.OTHER
        layer = name.replace(_GRADIENT, "").rpartition("/")[0]
        return int(phase), self._context.string(layer) if layer else -1

    def _operation(self, graph: Any, name: str, made: Any) -> Any:
        """The operation of a traced graph that a node of a part goes back to.

        A function that calls another gets that one's nodes put in, each with its own function's
        name: names repeat between the two.
        """
        if made.op == "_Arg" and name in self._arguments:
            return self._arguments[name]
        origins: list[tuple[Any, str]] = []
        info = made.experimental_debug_info
        for found, function in zip_longest(
            info.original_node_names, info.original_func_names, fillvalue=""
        ):
            origins.append((_GRAPHS.get(function) if function else graph, found))
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


def _reached(name: str) -> Iterator[Any]:
    """The traced graph of a function, and of those that it calls."""
    pending, seen = [name], set()
    while pending:
        name = pending.pop()
        graph = _GRAPHS.get(name)
        if graph is None or name in seen:
            continue
        seen.add(name)
        yield graph
        for operation in graph.get_operations():
            called = _CALLS.get(operation.type, ())
            pending += [operation.get_attr(attribute).name for attribute in called]


def _no_region(_name: str) -> str:
    return ""


def _shape(node: Any, operation: Any, port: int) -> tuple[int | None, ...] | None:
    """The static shape of an output, None for one that is not known."""
    if node.op == "Const":  # it may be one that TensorFlow has computed beforehand
        return tuple(dim.size for dim in node.attr["value"].tensor.tensor_shape.dim)
    if operation is None or port >= len(operation.outputs):
        return None
    shape = operation.outputs[port].shape
    return None if shape.rank is None else tuple(shape.as_list())


def _arguments(name: str, graph: Any) -> dict[str, Any]:
    """What a function is given, by the names in its definition: those in its graph may differ."""
    if graph is None:
        return {}
    definition = eager_context.context().get_function_def(name)
    names = (argument.name for argument in definition.signature.input_arg)
    return {given: tensor.op for given, tensor in zip(names, graph.inputs, strict=False)}


def _passed(name: str, graph: Any) -> frozenset[int]:
    """The arguments that each call passes, not those that were captured when it was traced.

    What a gradient's function is passed was made in the forward pass, at the line that says so.
    """
    if graph is None or _BACKWARD in name:
        return frozenset()
    count = len(graph.inputs) - len(graph.captures)
    return frozenset(id(tensor.op) for tensor in graph.inputs[:count])
