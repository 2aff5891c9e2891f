"""Copies and waits inside compiled functions and sessions: the rows of each call.

What a call does was read off the function's graph (:mod:`.graph_reader`); how often its loops and
branches ran, TensorFlow's profiler tells (:mod:`.windows`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from tensorflow.python.eager import context as eager_context

from placeaudit.model import HashKind
from placeaudit.record.clock import now_ns
from placeaudit.record.tensorflow.batches import BatchSizes
from placeaudit.record.tensorflow.collection import GraphCollection
from placeaudit.record.tensorflow.edges import Compiled, Edge, hash_array, user_line
from placeaudit.record.tensorflow.graph_fallbacks import add_fallen
from placeaudit.record.tensorflow.graph_reader import GraphReader
from placeaudit.record.tensorflow.windows import is_window, profiled

if TYPE_CHECKING:
    from types import FrameType

    from placeaudit.record.tensorflow.collection import Key
    from placeaudit.record.tensorflow.context import TensorflowContext, ThreadState
    from placeaudit.record.tensorflow.edges import SizeWait
    from placeaudit.record.tensorflow.graph_fallbacks import Fallen
    from placeaudit.record.tensorflow.patches import PatchSet
    from placeaudit.record.tensorflow.windows import Regions
    from placeaudit.simulate.tensorflow_gpu.kernels import KernelTable

__all__ = ["FunctionRecorder", "is_function", "key_of"]

#: Names of functions that were traced.
_FUNCTION: Final = "__"
_UNCOUNTED: Final = (
    "a loop or branch in a compiled function copies between devices: each such copy is counted "
    "once a call"
)
_VARIES: Final = (
    "a loop or branch in a compiled function copies between devices, and runs differently often "
    "from call to call: its copies were counted in the first calls and then ever more rarely, and "
    "taken to be as many in the calls between"
)


class FunctionRecorder:
    """Turns each call of a compiled function into the rows of its crossing edges."""

    def __init__(self, context: TensorflowContext, kernels: KernelTable | None = None) -> None:
        self.context = context
        self.batches = BatchSizes(context)
        self.reader = GraphReader(context, kernels, self._note)
        self._collection = GraphCollection()
        self._known: dict[Key, Compiled] = {}
        self._noted: set[str] = set()

    def arm(self, patches: PatchSet) -> None:
        """Remember the graph of each function that gets traced, and what iterators give."""
        self.batches.arm(patches)
        self.reader.arm(patches)
        self._collection.arm(patches)

    def call(
        self, name: str, inputs: list[Any], run: Callable[[], Any], frame: FrameType | None
    ) -> Any:
        """Run a function and record what it copied inside."""
        key = key_of(name, inputs)
        known = self._known.get(key)
        if known is None:
            self.prepare()
        start = now_ns()
        counts: Mapping[str, int] | None = None
        if self._counts(name, known):
            result, counts = profiled(run)
        else:
            result = run()
        try:
            if known is None:
                known = self.learn(key, frame)
            self._called(known, counts, inputs, start, frame)
        except Exception as error:  # noqa: BLE001  (our failure is not the program's)
            self._known.setdefault(key, Compiled())
            self.context.failed(error)
        return result

    def _counts(self, name: str, known: Compiled | None) -> bool:
        """Whether the loops and branches of this call are to be counted."""
        try:
            if known is None:
                return self.reader.may_count(name)
            if known.regions is None:
                return False
            return is_window(known.regions.calls + 1)
        except Exception as error:  # noqa: BLE001
            self.context.failed(error)
            return False

    def _called(
        self,
        known: Compiled,
        counts: Mapping[str, int] | None,
        inputs: list[Any],
        start_ns: int,
        frame: FrameType | None,
    ) -> None:
        state, regions = self.context.state(), known.regions
        if regions is not None:
            regions.calls += 1
            if counts is not None:
                regions.saw(counts)
            if regions.varies:
                self._note(_VARIES, frame)
        self._rows(known.edges, inputs, start_ns, state, frame, regions=regions)
        self._add_waits(known.waits, start_ns, state, regions, frame)
        if known.fallen:
            self.fell(known.fallen, start_ns)
        for operation in known.collectives:
            self.context.add_span("collective", operation, -1, start_ns)

    # --- what is known of a function ------------------------------------------------------------

    def compiled(self, key: Key, frame: FrameType | None) -> Compiled | None:
        """What is known of a function, by this recorder or another; None before it has run."""
        found = self._known.get(key)
        parts = () if found is not None else self._collection.known(key)
        if parts:
            try:
                found = self._known[key] = self.reader.function(key[0], parts, frame)
            except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                self.context.failed(error)
        return found

    def learn(self, key: Key, frame: FrameType | None) -> Compiled:
        """Read the parts of a function that has just run so for the first time."""
        parts = self._collection.parts_of(key)
        found = self._known[key] = self.reader.function(key[0], parts, frame)
        return found

    def prepare(self) -> None:
        """Have TensorFlow keep the parts of what it cuts from now on."""
        try:
            self._collection.prepare()
        except Exception as error:  # noqa: BLE001
            self.context.failed(error)

    # --- sessions ---------------------------------------------------------------------------------

    def ask(self, edges: tuple[Edge, ...], inputs: list[Any], frame: FrameType | None) -> None:
        """A session is about to run: recording has no objection."""

    def fell(self, fallen: tuple[Fallen, ...], start_ns: int) -> None:
        """A graph has run whose operations did not all run where they were asked to."""
        add_fallen(self.context, fallen, start_ns, self.context.state())

    def waited(self, waits: tuple[SizeWait, ...], start_ns: int, frame: FrameType | None) -> None:
        """A graph has run in which the host waited for sizes."""
        self._add_waits(waits, start_ns, self.context.state(), None, frame)

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
        *,
        regions: Regions | None = None,
    ) -> None:
        if not edges:
            return
        context, line = self.context, user_line(frame)
        batch = self.batches.of_inputs(inputs)
        end, moment = now_ns(), start_ns
        for edge in edges:
            sizes = edge.sizes(batch)
            if sizes is None:
                self._note("a copy of unknown size in a compiled function is left out", frame)
                continue
            size = edge.itemsize * math.prod(sizes)
            if not size:
                continue
            kind = context.string(edge.dtype)
            stack = edge.stack
            if edge.caller is not None and line is not None and edge.caller != line:
                stack = context.sites.capture(frame)
            for _ in range(self._times(edge, regions, frame)):
                context.excuse(moment, state)
                # The executor's threads wait; the program's goes on to the result.
                context.add_copy(
                    (
                        moment, end - start_ns, edge.source.number, edge.target.number,
                        size, kind, kind, context.shape(sizes), False, True, edge.waits,
                        -1, -1, 0, 0, 0, int(HashKind.NONE), context.string("_Send"), -1,
                        stack, state.thread, edge.phase or state.phase, edge.module, 0,
                    )
                )  # fmt: skip
                moment += 1

    def _times(
        self, inner: Edge | SizeWait, regions: Regions | None, frame: FrameType | None
    ) -> int:
        """How often it happened in a call."""
        if not inner.region:
            return 1
        send = inner.send if isinstance(inner, Edge) else ""
        found = regions.times(inner.region, send) if regions is not None else None
        if found is None:
            self._note(_UNCOUNTED, frame)
            return 1
        return found

    def _add_waits(
        self,
        waits: Iterable[SizeWait],
        start_ns: int,
        state: ThreadState,
        regions: Regions | None,
        frame: FrameType | None,
    ) -> None:
        """The host waited for sizes: for how long is not told apart from the call."""
        context = self.context
        for wait in waits:
            for _ in range(self._times(wait, regions, frame)):
                context.excuse(start_ns, state)
                context.add_wait(
                    (
                        start_ns, 0, context.string(wait.operation), wait.device.number,
                        wait.stack, state.thread, wait.phase or state.phase, wait.module, 0,
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


def key_of(name: str, inputs: Iterable[Any]) -> Key:
    """What TensorFlow cuts a function anew for: its name and where its inputs are."""
    return name, tuple([getattr(value, "backing_device", "") for value in inputs])


def is_function(operation: Any) -> bool:
    """Whether the slow path runs a traced function."""
    name = operation.decode() if isinstance(operation, bytes) else str(operation)
    return name.startswith(_FUNCTION)
