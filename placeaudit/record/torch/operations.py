"""The operation window: every operation's tensors over a few steps, collected by the profiler.

PyTorch's own collection runs in C++; it is switched on at one step boundary and off at a later one,
a step at a time, so that no more than one step's events are held.  The trees it leaves are turned
into rows by the thread that flushes the record (:mod:`placeaudit.record.torch.identities`).

There is one profiler in a thread.  Where the program starts its own, ours ends first.  Ours runs in
the main thread and the threads that work on its backward; what other threads read meanwhile cannot
be seen, so their presence is recorded.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import torch

from placeaudit.record.clock import now_ns
from placeaudit.record.torch.calls import Patch
from placeaudit.record.torch.collection import (
    Collection,
    address_of,
    give_back_memory,
    is_user_profiling,
)
from placeaudit.record.torch.context import TorchContext
from placeaudit.record.torch.identities import TreeReader
from placeaudit.record.torch.interception import accelerator
from placeaudit.record.torch.optree import Chunk, WindowCopy
from placeaudit.record.window import StepWindow

__all__ = ["OperationWindow"]

#: The first operations, where no step ends: no longer than this, nor more copies than that.
OPENING_NS: Final = 250_000_000
OPENING_COPIES: Final = 512
#: The first operations wait so long for a step that makes them needless.
OPENING_KEPT_NS: Final = 3_000_000_000
#: A part of the window (one step) ends at the next copy after so long.
LONGEST_NS: Final = 10_000_000_000
#: Events of one step above which the window does not go on to a further one, nor begins where more
#: are expected.  While a step is collected and converted each takes about 3 kB: this is 45 MB.
MOST_EVENTS: Final = 15_000
#: The same where the user has chosen the steps: 600 MB.
MOST_CHOSEN_EVENTS: Final = 200_000
#: Events for each node of the autograd graph that a step makes, backward and optimizer included:
#: what a step to come is judged by.  A simulated device's kernels are operations themselves.
EVENTS_A_NODE: Final = 12
SIMULATED_EVENTS_A_NODE: Final = 30
#: Rows of ``operations`` from one process.
MOST_ROWS: Final = 2_000_000
#: Trees that wait to be converted; the next one is converted at once, by the program's thread.
MOST_WAITING: Final = 1
#: A tree with more roots than the limit's such part is converted at once.
_SHARE: Final = 10
_TOO_MANY: Final = "a step has too many operations for the operation window"


class OperationWindow:
    """Starts and stops the collection from the step boundaries that recording knows."""

    def __init__(self, context: TorchContext, steps: StepWindow) -> None:
        self._context = context
        self._steps = steps
        self._lock = threading.RLock()
        self._converting = threading.RLock()
        self._collection = Collection()
        self._waiting: deque[Chunk] = deque()
        self._reader = TreeReader(context, context.storages.reserve)
        self._patches: list[Patch] = []
        #: Steps that have ended; who ended them: "" nobody yet, "mark", or an optimizer's number.
        self._ended = 0
        self._by: object = ""
        #: Nothing further is to be collected.
        self._done = False
        self._opening = True
        self._copies = 0
        self._taken = 0
        self._seconds = 0.0
        self._cut = ""
        self._warned = False
        self._user = False
        self._resume = False
        #: A copy has crossed between devices.
        self._seen = False
        self._most = MOST_CHOSEN_EVENTS if steps.chosen else MOST_EVENTS
        #: Nodes of the autograd graph made so far: by the last boundary, by the collection's start.
        self._nodes = _nodes_made()
        self._nodes_at_start = 0
        #: Memory of a tree is free that the heap still holds.
        self._trim = False

    def arm(self) -> None:
        """Be ready; where the first step belongs to the window, begin."""
        self._watch_profiler()
        self._context.window = self
        self._context.writer.before_flush.append(self.convert)
        if self._steps.first == 0:
            self._start()

    def disarm(self) -> None:
        """End what runs and write what it found."""
        with self._lock:
            self._done = True
            self._context.window = None
            self._stop()
            self._collection.forget()  # what another thread started, only it could have ended
            for patch in reversed(self._patches):
                patch.undo()
            self._patches.clear()
        self.convert()
        with contextlib.suppress(ValueError):
            self._context.writer.before_flush.remove(self.convert)
        self._reader.finish()

    def covered(self) -> dict[str, object]:
        """What the window covered, for ``meta.json``."""
        opening = self._opening or not self._taken
        return {
            "asked": str(self._steps),
            "chosen": self._steps.chosen,
            "covered": "first operations" if opening else f"{self._taken} steps",
            "seconds": round(self._seconds, 6),
            "rows": self._reader.rows,
            "cut": self._cut,
        }

    # --- what recording tells ------------------------------------------------------------------

    def step_ended(self, owner: object) -> None:
        """A step has ended, as the optimizer ``owner`` (or "mark") says."""
        if self._done:
            return
        try:
            with self._lock:
                self._boundary(owner)
            if len(self._waiting) > MOST_WAITING:
                self.convert()
        except Exception as error:  # noqa: BLE001  (our failure is not the program's)
            self._give_up(error)

    def copied(self, time_ns: int, thread: int, source: Any, target: Any) -> None:
        """A copy crossed between devices: remember where its two sides lie."""
        if self._done:
            return
        self._seen = True
        try:
            if self._collection.chunk is None:
                if not self._opening or self._copies:
                    return
                self._start()  # the first operations: from the first copy on
            chunk = self._collection.chunk
            if chunk is None:
                return
            self._copies += 1
            storages = self._context.storages
            number = storages.number(target) if target is not None else -1
            chunk.copies.append(
                WindowCopy(
                    time_ns, thread, address_of(source), address_of(target),
                    storages.number(source), number,
                )
            )  # fmt: skip
            if not _outside():
                return
            long = now_ns() - chunk.start_ns
            many = self._events(_nodes_made() - self._nodes_at_start) > self._most
            if self._opening:
                if many or long > OPENING_NS or self._copies > OPENING_COPIES:
                    self._stop()
            elif long > LONGEST_NS:
                self._finish(f"a step took longer than {LONGEST_NS // 1_000_000_000} s")
            elif many:
                self._finish(_TOO_MANY)
        except Exception as error:  # noqa: BLE001
            self._give_up(error)

    def before_fork(self) -> None:
        """A child must not inherit a running profiler."""
        with self._lock:
            before = self._collection.chunk
            self._stop()
            self._resume = before is not None and self._collection.chunk is None

    def after_fork_in_parent(self) -> None:
        """Go on where the fork interrupted."""
        if self._resume and not self._done:
            self._start()

    def after_fork(self) -> None:
        """In the child: nothing is collected there."""
        self._lock = threading.RLock()
        self._converting = threading.RLock()
        self._done = True
        self._context.window = None
        self._waiting.clear()
        self._collection.forget()

    # --- steps ---------------------------------------------------------------------------------

    def _boundary(self, owner: object) -> None:
        if owner == "mark" and self._by != "mark":
            self._by, self._ended = "mark", 0
        elif self._by == "":
            self._by = owner
        if owner != self._by or not _outside():
            return
        self._ended += 1
        nodes, self._nodes = _nodes_made() - self._nodes, _nodes_made()
        running = self._collection.chunk is not None
        if running:
            # What came before the first boundary waits: it counts only if no window follows.
            self._stop(f"step {self._ended - 1}")
            if not self._opening:
                self._taken += 1
        if self._opening:
            self._opening = False
            self._taken = int(self._steps.first == 0)
        if self._ended in self._steps:
            if self._too_large(nodes):
                self._finish(_TOO_MANY)
                return
            self._start(follows=running and self._ended > self._steps.first)
        elif self._steps.last is not None and self._ended >= self._steps.last:
            self._finish("")

    def _too_large(self, nodes: int) -> bool:
        """Whether a step like the one that made so many nodes is too much to hold."""
        return (
            self._events(nodes) > self._most
            or self._reader.most_events > self._most
            or self._reader.rows > MOST_ROWS
        )

    @staticmethod
    def _events(nodes: int) -> int:
        return nodes * (SIMULATED_EVENTS_A_NODE if accelerator()[1] else EVENTS_A_NODE)

    def _finish(self, cut: str) -> None:
        self._stop()
        self._done = True
        self._cut = cut
        if cut:
            covered = f"{self._taken} steps" if self._taken else "the first operations"
            more = (
                "" if self._steps.chosen else "; --steps A:B asks for more, and takes more memory"
            )
            self._note(f"{cut}: what operations take and make is known for {covered} only{more}")

    # --- the profiler --------------------------------------------------------------------------

    def _start(self, *, follows: bool = False) -> None:
        with self._lock:
            if self._collection.chunk is not None or self._done or not _outside():
                return
            if not (self._seen or self._steps.chosen):
                return  # a process without copies, a loader's worker: nothing to explain
            if self._user or is_user_profiling():
                self._wait_for_the_user()
                return
            self._nodes_at_start = _nodes_made()
            self._collection.start(follows=follows)

    def _stop(self, label: str = "") -> None:
        with self._lock:
            if not self._collection.is_ours:
                return
            chunk = self._collection.stop()
            if chunk is None:
                return
            chunk.label = label or f"step {self._ended}"
            if self._opening and (self._steps.first > 0 or not label):
                chunk.label = "first operations"
            chunk.opening = self._opening and self._steps.first > 0
            while not self._opening and self._waiting and self._waiting[0].opening:
                self._waiting.popleft()
                self._trim = True
            self._waiting.append(chunk)
            if len(chunk.result.experimental_event_tree()) * _SHARE > self._most:
                self.convert()  # this one's memory before the next one's
            else:
                self._context.writer.wake()

    def convert(self) -> None:
        """Turn finished trees into rows."""
        with self._converting:
            while self._convert_next():
                self._trim = True
            if self._trim and self._collection.chunk is None:
                self._trim = False
                give_back_memory()

    def _convert_next(self) -> bool:
        try:
            if self._early(self._waiting[0]):
                return False
            chunk = self._waiting.popleft()
        except IndexError:  # none, or the first operations were dropped just now
            return False
        try:
            self._reader.convert(chunk)
            self._seconds += (chunk.end_ns - chunk.start_ns) / 1e9
            context = self._context
            context.writer.rows("windows").append(
                (
                    chunk.start_ns, chunk.end_ns, context.string(chunk.label),
                    chunk.follows, chunk.thread, chunk.others,
                )
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001
            self._give_up(error)
        return True

    def _early(self, chunk: Chunk) -> bool:
        """Whether the first operations may still be made needless by a window of steps."""
        young = now_ns() - chunk.end_ns < OPENING_KEPT_NS
        return chunk.opening and young and not self._done and self._steps.first > 0

    # --- others --------------------------------------------------------------------------------

    def _watch_profiler(self) -> None:
        """The program's own profiler goes first, whenever it starts."""
        module: Any = torch.autograd.profiler

        def make(starts: bool) -> Callable[[Any], Any]:
            def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
                def call(*args: Any, **kwargs: Any) -> Any:
                    if starts:
                        self._step_aside()
                    result = original(*args, **kwargs)
                    self._user = starts
                    return result

                return call

            return wrap

        for name, starts in (
            ("_prepare_profiler", True),
            ("_enable_profiler", True),
            ("_disable_profiler", False),
        ):
            if hasattr(module, name):
                self._patches.append(Patch(module, name, make(starts)))

    def _step_aside(self) -> None:
        if not self._collection.is_ours:
            return  # each thread has a profiler of its own
        try:
            self._stop()
            self._note("the program started a profiler: the operation window ended there")
            self._cut = "the program started a profiler"
        except Exception as error:  # noqa: BLE001
            self._give_up(error)

    def _wait_for_the_user(self) -> None:
        if self._opening:
            return
        self._note(
            "the program's own profiler is running and there can be only one: the operation window "
            "waits until it has ended"
        )
        if self._steps.last is not None:
            # The window moves on with the steps it could not have.
            self._steps = StepWindow(
                self._steps.first + 1, self._steps.last + 1, self._steps.chosen
            )

    def _note(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            self._context.writer.note("PA903", text)

    def _give_up(self, error: BaseException) -> None:
        self._done = True
        with contextlib.suppress(Exception):
            self._stop()
        self._waiting.clear()
        self._context.writer.note(
            "PA903", f"the operation window failed and was given up: {error!r}"
        )


def _nodes_made() -> int:
    """Nodes of the autograd graph that this thread has made so far."""
    return int(torch._C._autograd._get_sequence_nr())


def _outside() -> bool:
    """Whether the collection may start or stop: in the main thread, in no node of backward.

    A node that is running has begun under the collection and ends after it.
    """
    main = threading.current_thread() is threading.main_thread()
    return main and torch._C._current_autograd_node() is None
