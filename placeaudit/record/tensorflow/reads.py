"""Values that cross between the program and a device: constants made, tensors read or moved.

Python reads a tensor's value through one method (``.numpy()``, ``float()``, ``bool()``, printing)
and NumPy through the type's buffer (``np.asarray``, ufuncs, Keras' logs).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from tensorflow.python.framework import constant_op, ops

from placeaudit.record.clock import now_ns
from placeaudit.record.tensorflow.context import FIRST_TENSOR
from placeaudit.record.tensorflow.operands import NUMBERS, bytes_of
from placeaudit.record.tensorflow.operations import Call, Content, OperationRecorder, hash_array

if TYPE_CHECKING:
    from placeaudit.record.tensorflow.patches import PatchSet

__all__ = ["add_reads", "hook_buffer", "hook_buffer_with"]

#: Bytes of a Python list whose content is worth making an array of once more.
_LARGEST_LIST: Final = 1 << 12


def add_reads(patches: PatchSet, recorder: OperationRecorder) -> None:
    """Record constants, moves and reads."""
    patches.wrap(constant_op, "convert_to_eager_tensor", lambda f: _constant(f, recorder))
    patches.wrap(ops.EagerTensor, "_numpy_internal", lambda f: _numpy(f, recorder))
    patches.wrap(ops.EagerTensor, "_copy_to_device", lambda f: _move(f, recorder))
    hook_buffer(patches, recorder)


def _constant(original: Callable[..., Any], recorder: OperationRecorder) -> Callable[..., Any]:
    context = recorder.context

    def convert_to_eager_tensor(value: Any, ctx: Any, dtype: Any = None) -> Any:
        state = context.state()
        if state.busy or isinstance(value, ops.EagerTensor):
            return original(value, ctx, dtype)
        start = now_ns()
        state.busy += 1  # however it gets to the device, it is one upload
        try:
            result = original(value, ctx, dtype)
        finally:
            state.busy -= 1
        try:
            where = recorder.location(result)
            if not isinstance(value, NUMBERS) or not recorder.is_kept(value, dtype, where):
                call = Call("constant", start, state, sys._getframe(1))
                _made(recorder, call, value, result)
        except Exception as error:  # noqa: BLE001  (our failure is not the program's)
            context.failed(error)
        return result

    return convert_to_eager_tensor


def _made(recorder: OperationRecorder, call: Call, value: Any, result: Any) -> None:
    device = recorder.location(result)
    if device.is_host:
        return
    array = value
    if isinstance(value, (list, tuple)) and bytes_of(result) <= _LARGEST_LIST:
        array = np.asarray(value, dtype=result.dtype.as_numpy_dtype)
    found = hash_array(array) if isinstance(array, np.ndarray) else (0, 0)
    content = Content(bytes_of(result), result.dtype.name, result.shape, *found)
    host = recorder.context.host
    recorder.add(call, host, device, content, dst_storage=FIRST_TENSOR + result._id)


def _numpy(original: Callable[..., Any], recorder: OperationRecorder) -> Callable[..., Any]:
    context = recorder.context

    def _numpy_internal(self: Any) -> Any:
        state = context.state()
        if state.busy:
            return original(self)
        start = now_ns()
        result = original(self)
        try:
            _read(recorder, Call("numpy", start, state, sys._getframe(1)), self, result)
        except Exception as error:  # noqa: BLE001
            context.failed(error)
        return result

    return _numpy_internal


def _read(recorder: OperationRecorder, call: Call, tensor: Any, array: Any) -> None:
    source = recorder.location(tensor)
    if source.is_host:
        return
    found = hash_array(np.asarray(array)) if array is not None else (0, 0)
    content = Content(bytes_of(tensor), tensor.dtype.name, tensor.shape, *found)
    host, (storage, version) = recorder.context.host, recorder.variables.identity(tensor)
    recorder.add(
        call, source, host, content, src_storage=FIRST_TENSOR + storage, src_version=version
    )


def _move(original: Callable[..., Any], recorder: OperationRecorder) -> Callable[..., Any]:
    context = recorder.context

    def _copy_to_device(self: Any, device_name: str) -> Any:
        state = context.state()
        if state.busy:
            return original(self, device_name)
        start = now_ns()
        result = original(self, device_name)
        try:
            source, target = recorder.location(self), recorder.location(result)
            if source.number != target.number:
                recorder.copy(Call("copy", start, state, sys._getframe(1)), self, source, target)
        except Exception as error:  # noqa: BLE001
            context.failed(error)
        return result

    return _copy_to_device


# --- the buffer of the type ---------------------------------------------------------------------

#: ``tp_as_buffer`` in ``PyTypeObject``, in pointers: Include/cpython/object.h, the same from
#: CPython 3.8 to 3.14.
_AS_BUFFER: Final = 20
_GetBuffer = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p, ctypes.c_int)


def hook_buffer(patches: PatchSet, recorder: OperationRecorder) -> bool:
    """See ``np.asarray(tensor)`` and everything that asks NumPy for a tensor's memory.

    Returns:
        Whether it works here: the slot must hold a function and the hook must be reached.
    """
    context = recorder.context

    def make(original: Any) -> Callable[[Any, int, int], int]:
        def get_buffer(tensor: Any, view: int, flags: int) -> int:
            start = now_ns()
            try:
                status = int(original(tensor, view, flags))
            except BaseException:  # noqa: BLE001  (NumPy clears whatever it is and asks another way)
                return -1
            state = context.state()
            if status == 0 and not state.busy:
                state.busy += 1
                try:
                    array = tensor._numpy_internal()
                except Exception:  # noqa: BLE001
                    array = None
                finally:
                    state.busy -= 1
                try:
                    _read(recorder, Call("numpy", start, state, sys._getframe(1)), tensor, array)
                except Exception as error:  # noqa: BLE001
                    context.failed(error)
            return status

        return get_buffer

    return hook_buffer_with(patches, make)


def hook_buffer_with(
    patches: PatchSet, make: Callable[[Any], Callable[[Any, int, int], int]]
) -> bool:
    """Replace the function that gives NumPy a tensor's memory by what ``make`` makes of it."""
    slots = ctypes.cast(id(ops.EagerTensor), ctypes.POINTER(ctypes.c_void_p))
    if sys.implementation.name != "cpython" or not slots[_AS_BUFFER]:
        return False
    table = ctypes.cast(slots[_AS_BUFFER], ctypes.POINTER(ctypes.c_void_p))
    address = table[0]
    if not address:
        return False
    hook = _GetBuffer(make(_GetBuffer(address)))
    ours = table[0] = ctypes.cast(hook, ctypes.c_void_p).value
    # A C caller may be inside the hook while it is undone: it stays alive with the process.
    _hooks.append(hook)

    def undo() -> None:
        if table[0] == ours:
            table[0] = address

    patches.on_undo(undo)
    return True


_hooks: Final[list[Any]] = []
