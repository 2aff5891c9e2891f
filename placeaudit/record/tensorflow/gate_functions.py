"""Asks the guard in force about what compiled functions and sessions copy.

What a function copies is known once it has run: its first call is asked about right after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, Final, Literal

from placeaudit.record.guard import LOCAL, Transfer, judge, place_of
from placeaudit.record.tensorflow.context import Known
from placeaudit.record.tensorflow.edges import Edge, SizeWait
from placeaudit.record.tensorflow.graph_fallbacks import Fallen
from placeaudit.record.tensorflow.graphs import FunctionRecorder, key_of

__all__ = ["GuardedFunctions", "ask", "ask_wait"]

_FIRST_CALL: Final = "inside {name}, called at {place} (made already: what a compiled function copies is known once it has run)"  # noqa: E501


def ask(
    source: Known,
    target: Known,
    size: int,
    operation: str,
    frame: FrameType | None,
    *,
    where: str = "",
) -> None:
    """Ask about a copy; a wait of the host where only that is restricted."""
    scope = LOCAL.scope
    if scope is None or not size:
        return
    policy = scope.policy
    direction: Literal["h2d", "d2h", "d2d", "sync"]
    direction = "h2d" if source.is_host else "d2h" if target.is_host else "d2d"
    level = getattr(policy, direction)
    if level == "allow" and direction != "d2d":
        direction, level = "sync", policy.sync
    if level != "allow":
        transfer = Transfer(direction, operation, size, source.name, target.name)
        judge(level, transfer, frame, where.format(place=place_of(frame)) if where else "")


def ask_wait(operation: str, device: Known, frame: FrameType | None) -> None:
    """Ask about a wait for the size of an output."""
    scope = LOCAL.scope
    if scope is not None and scope.policy.sync != "allow":
        judge(scope.policy.sync, Transfer("sync", operation, 0, device.name, ""), frame)


class GuardedFunctions(FunctionRecorder):
    """Asks about what a compiled function copies: before each call but the first."""

    def call(
        self, name: str, inputs: list[Any], run: Callable[[], Any], frame: FrameType | None
    ) -> Any:
        """Run a function if it may."""
        key = key_of(name, inputs)
        known = self.compiled(key, frame)
        if known is not None:
            self._ask(name, known.edges, inputs, frame, "")
            self.waited(known.waits, 0, frame)
            return run()
        self.prepare()
        result = run()
        try:
            known = self.learn(key, frame)
        except Exception as error:  # noqa: BLE001  (our failure is not the program's)
            self.context.failed(error)
            return result
        self._ask(name, known.edges, inputs, frame, _FIRST_CALL.replace("{name}", _short(name)))
        self.waited(known.waits, 0, frame)
        return result

    def ask(self, edges: tuple[Edge, ...], inputs: list[Any], frame: FrameType | None) -> None:
        """A session is about to run."""
        self._ask("__inference_Session.run_0", edges, inputs, frame, "")

    def ran(
        self,
        edges: tuple[Edge, ...] | None,
        inputs: list[Any],
        start_ns: int,  # noqa: ARG002
        frame: FrameType | None,
        *,
        values: Mapping[str, Any],  # noqa: ARG002
        late: bool,
    ) -> None:
        """It has: the first run of a set of fetches is asked about only now."""
        if late and edges:
            where = _FIRST_CALL.replace("{name}", "Session.run")
            self._ask("__inference_Session.run_0", edges, inputs, frame, where)

    def fell(self, fallen: tuple[Fallen, ...], start_ns: int) -> None:
        """No copy."""

    def waited(
        self,
        waits: tuple[SizeWait, ...],
        start_ns: int,  # noqa: ARG002
        frame: FrameType | None,
    ) -> None:
        """A function is about to wait for sizes, or a graph has."""
        for wait in waits:
            ask_wait(wait.operation, wait.device, frame)

    def span(self, kind: str, name: str, owner: object, start_ns: int) -> None:
        """No step is told."""

    def _ask(
        self,
        name: str,
        edges: Sequence[Edge],
        inputs: list[Any],
        frame: FrameType | None,
        where: str,
    ) -> None:
        if LOCAL.scope is None:
            return
        batch = self.batches.of_inputs(inputs)
        for edge in edges:
            size = edge.bytes(batch)
            ask(edge.source, edge.target, -1 if size is None else size,
                 f"{edge.operation} in {_short(name)}", frame, where=where)  # fmt: skip


def _short(name: str) -> str:
    """A function as the program calls it: "__inference_train_step_123" is train_step."""
    return name.strip("_").partition("_")[2].rpartition("_")[0] or name
