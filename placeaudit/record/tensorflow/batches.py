"""How many examples an iterator gives, where a graph leaves the size of its batch open.

A compiled function that takes an iterator, as the steps of Keras' ``fit`` do, gets no tensor whose
shape would tell.  The data set behind it knows: what ``batch`` was called with, or the batch size
that Keras cuts arrays into.  A smaller last batch counts as a full one.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from tensorflow.python.data.ops import iterator_ops
from tensorflow.python.framework import dtypes, ops, tensor_util

from placeaudit.import_hook import ImportHook

if TYPE_CHECKING:
    from placeaudit.record.tensorflow.context import TensorflowContext
    from placeaudit.record.tensorflow.patches import PatchSet

__all__ = ["BatchSizes"]

_ADAPTER: Final = "keras.src.trainers.data_adapters.array_data_adapter"
#: Their elements are not their input's, so that the size of those says nothing.
_OTHER_ELEMENTS: Final = ("FlatMap", "Interleave", "Unbatch", "Rebatch", "Window", "GroupBy")
#: Data sets are as deep as programs chain them; more than this is none.
_DEEPEST: Final = 64


class BatchSizes:
    """The batch size of each iterator that is alive."""

    def __init__(self, context: TensorflowContext) -> None:
        self._context = context
        #: By the identity of the iterator's resource.
        self._iterators: dict[int, weakref.ref[Any]] = {}
        self._of_arrays: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def arm(self, patches: PatchSet) -> None:
        """See iterators and Keras' data sets being made."""
        patches.wrap(iterator_ops.OwnedIterator, "_create_iterator", self._iterator)

        def keras() -> None:
            adapter = getattr(sys.modules[_ADAPTER], "ArrayDataAdapter", None)
            if hasattr(adapter, "get_tf_dataset"):
                patches.wrap(adapter, "get_tf_dataset", self._arrays)

        if _ADAPTER in sys.modules:
            keras()
        else:
            hook = ImportHook(_ADAPTER, keras)
            hook.install()
            patches.on_undo(hook.remove)

    def of_inputs(self, inputs: list[Any]) -> int | None:
        """The first dimension of the first input that has one, or what an iterator gives.

        Arguments come first, then what the function captured: a constant's size is no batch.
        """
        for value in inputs:
            if isinstance(value, np.ndarray):
                if value.ndim:
                    return int(value.shape[0])
            elif isinstance(value, ops.EagerTensor):
                if value.dtype == dtypes.resource:
                    if self.is_iterator(value):
                        return self.of(value)
                elif value.shape.rank:
                    return int(value.shape[0])
        return None

    def is_iterator(self, resource: Any) -> bool:
        """Whether the resource is that of an iterator which is alive."""
        return resource._id in self._iterators

    def of(self, resource: Any) -> int | None:
        """What the iterator with this resource gives at once; None if it is not known."""
        made = self._iterators.get(resource._id)
        iterator = made() if made is not None else None
        if iterator is None:
            return None
        state = self._context.state()
        state.busy += 1  # to read the number may be a copy: ours
        try:
            return self._of_data(iterator._dataset, 0)
        finally:
            state.busy -= 1

    def _of_data(self, dataset: Any, depth: int) -> int | None:
        known = self._of_arrays.get(dataset)
        if known is not None:
            return known
        size = getattr(dataset, "_batch_size", None)
        if size is not None:
            value = tensor_util.constant_value(size)
            return None if value is None else int(value)
        name = type(dataset).__name__
        if depth >= _DEEPEST or any(word in name for word in _OTHER_ELEMENTS):
            return None
        for one in dataset._inputs():
            found = self._of_data(one, depth + 1)
            if found is not None:
                return found
        return None

    def _iterator(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def create_iterator(iterator: Any, dataset: Any) -> Any:
            result = original(iterator, dataset)
            try:
                self._remember(iterator)
            except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                self._context.failed(error)
            return result

        return create_iterator

    def _remember(self, iterator: Any) -> None:
        number = getattr(iterator._iterator_resource, "_id", None)  # in a graph it has none
        if number is not None:
            forget = self._iterators.pop
            self._iterators[number] = weakref.ref(iterator, lambda _: forget(number, None))

    def _arrays(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def get_tf_dataset(adapter: Any) -> Any:
            result = original(adapter)
            try:
                self._of_arrays[result] = min(adapter._batch_size, adapter._num_samples)
            except Exception as error:  # noqa: BLE001
                self._context.failed(error)
            return result

        return get_tf_dataset
