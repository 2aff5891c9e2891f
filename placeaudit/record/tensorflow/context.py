"""What the TensorFlow sources share: per-thread state, interned names, and what a device is."""

from __future__ import annotations

import threading
from types import FrameType
from typing import Any, Final

from placeaudit.model import Phase
from placeaudit.record.clock import now_ns
from placeaudit.record.guard import LOCAL, SCOPES
from placeaudit.record.sites import Sites
from placeaudit.simulate.tensorflow_gpu.names import Names
from placeaudit.store.writer import WAKE_ROWS, RecordWriter

__all__ = ["FIRST_TENSOR", "Known", "TensorflowContext", "ThreadState", "Where"]

#: Added to TensorFlow's tensor identities, so that they meet no other framework's storages.
FIRST_TENSOR: Final = 1 << 48

#: stack, thread, phase, module, backward: the last columns of ``copies`` and ``waits``.
Where = tuple[int, int, int, int, int]


class ThreadState:
    """What the recorder knows about one thread."""

    __slots__ = ("applied", "busy", "layers", "phase", "thread")

    def __init__(self) -> None:
        self.thread = threading.get_native_id()
        self.phase = int(Phase.OTHER)
        #: Set while the recorder itself, or a call it has already counted, uses TensorFlow.
        self.busy = 0
        #: Interned names of the Keras layers whose call runs, outermost first.
        self.layers: list[int] = []
        #: Name and owner of the first optimizer seen while a compiled function was traced.
        self.applied: tuple[str, int] | None = None


class Known:
    """One device as TensorFlow names it."""

    __slots__ = ("is_host", "name", "number")

    def __init__(self, name: str, number: int) -> None:
        #: "cpu", "GPU:0".
        self.name = name
        #: Interned.
        self.number = number
        self.is_host = name == "cpu"


class TensorflowContext:
    """One per session and process: the tables, the interned names and the threads' states."""

    def __init__(self, writer: RecordWriter, sites: Sites, names: Names) -> None:
        self.writer = writer
        self._names = names
        self.sites = sites
        self.copies = writer.rows("copies")
        self.waits = writer.rows("waits")
        self._allowed = writer.rows("allowed")
        self.fallbacks = writer.rows("fallbacks")
        self.spans = writer.rows("spans")
        self._failed = False
        self._closed: ThreadState | None = None
        self._begin()

    def _begin(self) -> None:
        self._local = threading.local()
        self._devices: dict[str, Known] = {}
        self._owners: dict[int, int] = {}
        self._shapes: dict[tuple[int | None, ...], int] = {}
        self.host = self.device("")

    def after_fork(self) -> None:
        """In a forked child: interned numbers and threads are the parent's."""
        self._begin()

    def state(self) -> ThreadState:
        """The calling thread's state; a busy one for ever once recording has ended."""
        if self._closed is not None:
            return self._closed
        try:
            found: ThreadState = self._local.state
        except AttributeError:
            found = self._local.state = ThreadState()
        return found

    def close(self) -> None:
        """Recording has ended: wrapped functions that somebody still holds do nothing more."""
        closed = ThreadState()
        closed.busy = 1
        self._closed = closed

    def failed(self, error: BaseException) -> None:
        """A recorder failed inside the program: say so once, let the program go on."""
        if not self._failed:
            self._failed = True
            self.writer.note("PA903", f"recording failed here and may be incomplete: {error!r}")

    def device(self, name: str) -> Known:
        """The device with TensorFlow's full name ``/job:…/device:GPU:0``."""
        known = self._devices.get(name)
        if known is None:
            shown = self._names.to_shown(name)
            known = self._devices[name] = Known(shown, self.writer.string(shown))
        return known

    def string(self, text: str) -> int:
        """The interned number of ``text``."""
        return self.writer.string(text)

    def shape(self, shape: Any) -> int:
        """The interned text of a shape as ``"64x3"``."""
        sizes = tuple(shape)
        known = self._shapes.get(sizes)
        if known is None:
            known = self._shapes[sizes] = self.string("x".join(map(str, sizes)))
        return known

    def owner(self, thing: object) -> int:
        """A number for an optimizer, model or function that stays alive."""
        return self._owners.setdefault(id(thing), len(self._owners))

    def where(self, frame: FrameType | None, state: ThreadState) -> Where:
        """Where the event at ``frame`` happened: the site columns of its row."""
        module = state.layers[-1] if state.layers else -1
        return self.sites.capture(frame), state.thread, state.phase, module, 0

    def excuse(self, time_ns: int, state: ThreadState) -> None:
        """What happens at ``time_ns`` may happen inside ``placeaudit.allow``: keep its reason."""
        scope = LOCAL.scope if SCOPES.count else None
        if scope is not None and scope.reason:
            self._allowed.append((time_ns, state.thread, self.string(scope.reason)))

    def add_copy(self, row: tuple[object, ...]) -> None:
        """Append a row of ``copies``."""
        rows = self.copies
        rows.append(row)
        if len(rows) >= WAKE_ROWS:
            self.writer.pressure(len(rows))

    def add_wait(self, row: tuple[object, ...]) -> None:
        """Append a row of ``waits``."""
        rows = self.waits
        rows.append(row)
        if len(rows) >= WAKE_ROWS:
            self.writer.pressure(len(rows))

    def add_span(self, kind: str, name: str, owner: int, start_ns: int) -> None:
        """Append a row of ``spans`` that ends now."""
        self.spans.append(
            (self.string(kind), self.string(name), owner, start_ns, now_ns(), self.state().thread)
        )

    def mark_step(self, name: str = "step") -> None:
        """A step ends here: the program says so, or ``name``."""
        self.add_span("step", name, -1, now_ns())
