"""Which ``tf.data`` pipelines the program iterates, and how long it waits for each element.

Only loops in Python are seen (``for batch in dataset``): what ``fit`` takes from a pipeline, it
takes inside of its compiled step.  Of pipelines that have nothing to say (no stage that runs one
element after the other, and something that prefetches) no element is timed.
"""

from __future__ import annotations

import functools
import itertools
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import tensorflow as tf
from tensorflow.python.data.ops import dataset_ops, iterator_ops

from placeaudit.record.clock import now_ns

if TYPE_CHECKING:
    from placeaudit.record.tensorflow.context import TensorflowContext
    from placeaudit.record.tensorflow.patches import PatchSet

__all__ = ["DatasetRecorder"]

#: Added to the numbers of pipelines, which stand beside the identities of storages.
_FIRST: Final = 1 << 49
#: Stages that call a function for one element after the other.
_SERIAL: Final = {"_MapDataset": "map", "_FlatMapDataset": "flat_map", "_FilterDataset": "filter",
                  "_InterleaveDataset": "interleave"}  # fmt: skip
#: What is below of these comes from memory or a file from the second epoch on.
_KEPT: Final = ("Cache", "Snapshot")
_PREFETCH: Final = "_PrefetchDataset"
_WORK: Final = ("Map", "Filter", "Interleave", "Scan")
#: Operations that call Python, which runs one of them at a time.
_PYTHON: Final = frozenset({"EagerPyFunc", "PyFunc", "PyFuncStateless"})
_GENERATOR: Final = "GeneratorDataset"


class DatasetRecorder:
    """Rows of ``datasets`` and, for their elements, of ``calls``."""

    def __init__(self, context: TensorflowContext) -> None:
        self._context = context
        self._datasets = context.writer.rows("datasets")
        self._calls = context.writer.rows("calls")
        self._count = itertools.count(_FIRST)
        #: Call stack that made each pipeline.
        self._made: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        #: Their numbers, 0 for one that has nothing to say.
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._iterators: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def arm(self, patches: PatchSet) -> None:
        """Look at pipelines as they are made, and at loops over them."""
        patches.wrap(dataset_ops.DatasetV2, "__init__", self._new)
        patches.wrap(iterator_ops.OwnedIterator, "__init__", self._iterated)
        patches.wrap(iterator_ops.OwnedIterator, "_next_internal", self._next)

    def _new(self, original: Callable[..., Any]) -> Callable[..., Any]:
        context = self._context

        @functools.wraps(original)
        def __init__(dataset: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(dataset, *args, **kwargs)
            if not context.state().busy and tf.executing_eagerly():
                try:
                    self._made[dataset] = context.sites.capture(sys._getframe(1))
                except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                    context.failed(error)

        return __init__

    def _iterated(self, original: Callable[..., Any]) -> Callable[..., Any]:
        context = self._context

        @functools.wraps(original)
        def __init__(iterator: Any, dataset: Any = None, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(iterator, dataset, *args, **kwargs)
            if dataset is not None and not context.state().busy and tf.executing_eagerly():
                try:
                    if number := self._number(dataset):
                        self._iterators[iterator] = number
                except Exception as error:  # noqa: BLE001
                    context.failed(error)

        return __init__

    def _next(self, original: Callable[..., Any]) -> Callable[..., Any]:
        context = self._context

        @functools.wraps(original)
        def _next_internal(iterator: Any) -> Any:
            number = self._iterators.get(iterator)
            state = context.state()
            if number is None or state.busy or not tf.executing_eagerly():
                return original(iterator)
            start = now_ns()
            result = original(iterator)
            try:
                where = context.where(sys._getframe(1), state)
                self._calls.append(
                    (start, now_ns() - start, context.string("next"), 0, number, *where)
                )
            except Exception as error:  # noqa: BLE001
                context.failed(error)
            return result

        return _next_internal

    # --- what a pipeline is made of ---------------------------------------------------------------

    def _number(self, dataset: Any) -> int:
        known = self._numbers.get(dataset)
        if known is None:
            known = self._numbers[dataset] = self._look(dataset)
        return known

    def _look(self, dataset: Any) -> int:
        """Write a pipeline's row, if a loop over it may have to wait; its number."""
        context = self._context
        stages = list(_stages(dataset))
        found = next(((s, r) for s in stages if (r := _python(s))), None)
        if found is None:
            found = next(((s, "serial") for s in stages if type(s).__name__ in _SERIAL), None)
        if found is None and not any(type(s).__name__ == _PREFETCH for s in stages):
            works = any(word in type(s).__name__ for s in stages for word in _WORK)
            found = (stages[0], "no prefetch") if works else None
        if found is None or found[0] not in self._made:
            return 0
        stage, reason = found
        number = next(self._count)
        self._datasets.append(
            (
                now_ns(), number, context.string(_SERIAL.get(type(stage).__name__, "")),
                context.string(reason), context.string(" > ".join(map(_name, reversed(stages)))),
                self._made[stage], context.state().thread,
            )
        )  # fmt: skip
        return number


def _stages(dataset: Any) -> Iterator[Any]:
    """The stages of a pipeline, the last one first, down to what keeps its elements."""
    if any(word in type(dataset).__name__ for word in _KEPT):
        return
    yield dataset
    for before in dataset._inputs():
        yield from _stages(before)


def _name(stage: Any) -> str:
    return type(stage).__name__.strip("_").removesuffix("V2").removesuffix("Dataset")


def _python(stage: Any) -> str:
    """What a serial stage calls: "generator", "python"; "" where it stays in TensorFlow."""
    if type(stage).__name__ not in _SERIAL:
        return ""
    function = getattr(stage, "_map_func", None) or getattr(stage, "_predicate", None)
    graph = function.function.graph if function is not None else None
    operations = {operation.type for operation in graph.get_operations()} if graph else set()
    if _GENERATOR in operations:
        return "generator"
    return "python" if operations & _PYTHON else ""
