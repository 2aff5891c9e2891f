"""Asks the guard in force about what a TensorFlow program copies, before it is copied.

An operation's device is foretold from what was asked and the kernels there are; where that cannot
be (a kernel that nobody knows, the first call of a compiled function) the answer comes right after,
and the error says so.

A number that TensorFlow makes a tensor of and keeps (``x * 2.0``) crosses once in a process: it is
not asked about.  Neither is a copy that an earlier use is known to have left on the device.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, Final, cast

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context as eager_context
from tensorflow.python.framework import constant_op, dtypes, ops
from tensorflow.python.framework import kernels as registry

from placeaudit.errors import TransferError
from placeaudit.record.clock import now_ns
from placeaudit.record.guard import LOCAL, is_refusal
from placeaudit.record.tensorflow.context import Known, TensorflowContext
from placeaudit.record.tensorflow.gate_functions import GuardedFunctions, ask, ask_wait
from placeaudit.record.tensorflow.graphs import FunctionRecorder, is_function
from placeaudit.record.tensorflow.nowhere import NoSites, Nowhere
from placeaudit.record.tensorflow.operands import HOST_DTYPES, NUMBERS, bytes_of, device_of
from placeaudit.record.tensorflow.operations import Call, Content, OperationRecorder
from placeaudit.record.tensorflow.patches import PatchSet
from placeaudit.record.tensorflow.reads import hook_buffer_with
from placeaudit.record.tensorflow.sessions import SessionRecorder
from placeaudit.simulate.tensorflow_gpu.installation import active
from placeaudit.simulate.tensorflow_gpu.kernels import KernelTable
from placeaudit.simulate.tensorflow_gpu.names import Names
from placeaudit.simulate.tensorflow_gpu.placement import Placement

__all__ = ["GATE", "Gate"]

__tracebackhide__ = is_refusal

_LATER: Final = "at {place} (made already: where this operation runs could not be foretold)"


class _Operations(OperationRecorder):
    """Looks at operations before they run, and asks instead of recording."""

    def __init__(
        self, context: TensorflowContext, kernels: KernelTable, functions: FunctionRecorder
    ) -> None:
        super().__init__(context, kernels, functions=functions)
        self._placement = Placement(Names(1), kernels)

    def wrap_fast(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """``TFE_Py_FastPathExecute``."""

        def fast_path_execute(running: Any, operation: str, name: Any, *arguments: Any) -> Any:
            state = self.context.state()
            if state.busy:
                return original(running, operation, name, *arguments)
            call = Call(operation, now_ns(), state, sys._getframe(1))
            asked = running.device_name
            with self._asked(call, arguments, asked) as told:
                return told(original(running, operation, name, *arguments))

        return fast_path_execute

    def wrap_slow(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """``TFE_Py_Execute`` and its kin."""

        def execute(handle: Any, device: Any, operation: Any, inputs: Any, *rest: Any) -> Any:
            state = self.context.state()
            if state.busy:
                return original(handle, device, operation, inputs, *rest)
            name = operation.decode() if isinstance(operation, bytes) else operation
            frame = sys._getframe(1)
            if is_function(operation):
                return self._functions.call(
                    name, inputs, lambda: original(handle, device, operation, inputs, *rest), frame
                )
            flat = (*self._grouped(name, list(inputs)), *(rest[0] or () if rest else ()))
            with self._asked(Call(name, now_ns(), state, frame), flat, device) as told:
                return told(original(handle, device, operation, inputs, *rest))

        return execute

    @contextlib.contextmanager
    def _asked(
        self, call: Call, arguments: Sequence[Any], asked: str | None
    ) -> Iterator[Callable[[Any], Any]]:
        """Ask before the call; what the block yields takes its result."""
        foretold = self._guarded(lambda: self._foretold(call.operation, arguments, asked))
        if foretold is not None:
            here = self.context.device(foretold)
            self._guarded(lambda: self._look(call, arguments, (), here))

        def told(result: Any) -> Any:
            def after() -> None:
                signature = self._signature(call.operation)
                device = device_of(arguments[: len(signature.inputs)], result)
                here = self.context.device(device or asked or "")
                if foretold is None or (device and here.name != self.context.device(foretold).name):
                    self._where = _LATER
                    try:
                        self._look(call, arguments, result, here)
                    finally:
                        self._where = ""
                elif not here.is_host:
                    self._host_arguments(call.operation, signature, arguments, result)

            self._guarded(after)
            return result

        yield told

    def _guarded(self, action: Callable[[], Any]) -> Any:
        """A refusal is the program's to hear of; any other failure is ours."""
        try:
            return action()
        except TransferError:
            raise
        except Exception as error:  # noqa: BLE001
            self.context.failed(error)
            return None

    def _look(self, call: Call, arguments: Sequence[Any], result: Any, here: Known) -> None:
        signature = self._signature(call.operation)
        self.take(call, signature, arguments, result, here)

    def _foretold(self, operation: str, arguments: Sequence[Any], asked: str | None) -> str | None:
        """Full name of the device it will run on, "" the host; None where that is open."""
        inputs = arguments[: len(self._signature(operation).inputs)]
        resource = device_of(inputs, None)
        if resource is not None:
            return resource
        if asked and self.context.device(asked).is_host:
            return asked
        accepts = self._placement.accepts(operation, arguments)
        if accepts is None:
            return None
        takes, prefers = accepts
        if asked:
            return asked if takes else ""
        return first_gpu() if takes and prefers else ""

    _where = ""

    def _wait(self, call: Call, here: Known) -> None:
        ask_wait(call.operation, here, call.frame)

    def _fallback(self, call: Call, inputs: Sequence[Any], asked: Known, here: Known) -> None:
        """No copy."""

    def is_kept(self, value: complex, dtype: Any, device: Known) -> bool:  # noqa: ARG002
        """Numbers are not asked about."""
        return True

    def copy(self, call: Call, tensor: Any, source: Known, wanted: Known) -> None:
        """An eager tensor is about to be copied between devices."""
        ask(source, wanted, bytes_of(tensor), call.operation, call.frame, where=self._where)

    def add(
        self,
        call: Call,
        source: Known,
        wanted: Known,
        content: Content,
        *,
        src_storage: int = -1,  # noqa: ARG002
        dst_storage: int = -1,  # noqa: ARG002
        src_version: int = 0,  # noqa: ARG002
    ) -> None:
        """A variable or array is."""
        ask(source, wanted, content.bytes, call.operation, call.frame, where=self._where)


def first_gpu() -> str:
    """Full name of the device that takes operations which name none; "" where there is no GPU."""
    installation = active()
    if installation is None:
        gpus = tf.config.list_logical_devices("GPU")
        return str(gpus[0].name) if gpus else ""
    names = installation.names
    eager_context.context().ensure_initialized()
    return f"/device:CPU:{names.first}" if names.gpus else ""


class Gate:
    """The wrapped entry points, while guards are in force."""

    def __init__(self) -> None:
        self._patches: PatchSet | None = None
        self._context: TensorflowContext | None = None
        self._installation: Any = None

    def begin(self) -> None:
        """The first guard was entered."""
        if self._patches is not None:
            return
        installation = self._installation = active()
        names = installation.names if installation is not None else Names.real()
        writer, sites = cast("Any", Nowhere()), cast("Any", NoSites())
        context = self._context = TensorflowContext(writer, sites, names)
        kernels = (
            installation.kernels
            if installation is not None
            else KernelTable.from_registry(registry.get_all_registered_kernels().kernel)
        )
        patches = self._patches = PatchSet()
        functions = GuardedFunctions(context, kernels)
        functions.arm(patches)
        SessionRecorder(functions).arm(patches)
        operations = _Operations(context, kernels, functions)
        native: Any = ops.pywrap_tfe
        patches.wrap(native, "TFE_Py_FastPathExecute", operations.wrap_fast)
        patches.wrap(native, "TFE_Py_Execute", operations.wrap_slow)
        patches.wrap(native, "TFE_Py_ExecuteCancelable", operations.wrap_slow)
        patches.wrap(constant_op, "convert_to_eager_tensor", lambda f: _constant(f, operations))
        patches.wrap(ops.EagerTensor, "_numpy_internal", lambda f: _numpy(f, operations))
        patches.wrap(ops.EagerTensor, "_copy_to_device", lambda f: _move(f, operations))
        _buffer(patches, operations)

    def end(self) -> None:
        """The last one was left."""
        if self._patches is not None and self._context is not None:
            self._patches.undo()
            self._context.close()
            self._patches = None

    def rearm(self) -> None:
        """A simulated device was installed or is gone."""
        if self._patches is not None and self._installation is not active():
            self.end()
            self.begin()


#: The one of this process.
GATE: Final = Gate()


# --- constants and reads ------------------------------------------------------------------------


def _constant(original: Callable[..., Any], recorder: _Operations) -> Callable[..., Any]:
    def convert_to_eager_tensor(value: Any, ctx: Any, dtype: Any = None) -> Any:
        state = recorder.context.state()
        if state.busy or isinstance(value, ops.EagerTensor):
            return original(value, ctx, dtype)
        if LOCAL.scope is not None and not isinstance(value, NUMBERS):
            frame = sys._getframe(1)
            recorder._guarded(lambda: _ask_constant(recorder, value, ctx, dtype, frame))
        state.busy += 1
        try:
            return original(value, ctx, dtype)
        finally:
            state.busy -= 1

    return convert_to_eager_tensor


def _ask_constant(
    recorder: _Operations, value: Any, ctx: Any, dtype: Any, frame: FrameType
) -> None:
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    kind = dtypes.as_dtype(array.dtype if dtype is None else dtype)
    if dtype is None and not isinstance(value, (np.ndarray, np.generic)):
        # Python's numbers are made of half the size that NumPy gives them.
        kind = {dtypes.float64: dtypes.float32, dtypes.int64: dtypes.int32}.get(kind, kind)
    if kind in HOST_DTYPES:
        return
    target = recorder.context.device(ctx.device_name or first_gpu())
    if not target.is_host:
        size = array.size * kind.size
        ask(recorder.context.host, target, size, "constant", frame)


def _numpy(original: Callable[..., Any], recorder: _Operations) -> Callable[..., Any]:
    def _numpy_internal(self: Any) -> Any:
        frame = sys._getframe(1)
        if not recorder.context.state().busy and not _ours(frame):
            recorder._guarded(lambda: _ask_read(recorder, self, frame))
        return original(self)

    return _numpy_internal


def _ours(frame: FrameType) -> bool:
    """Whether recording reads a tensor, to hash it."""
    return str(frame.f_globals.get("__name__", "")).startswith("placeaudit.")


def _ask_read(recorder: _Operations, tensor: Any, frame: FrameType | None) -> None:
    source = recorder.location(tensor)
    if not source.is_host:
        ask(source, recorder.context.host, bytes_of(tensor), "numpy", frame)


def _move(original: Callable[..., Any], recorder: _Operations) -> Callable[..., Any]:
    def _copy_to_device(self: Any, device_name: str) -> Any:
        frame = sys._getframe(1)
        if not recorder.context.state().busy and not _ours(frame):
            recorder._guarded(lambda: _ask_move(recorder, self, device_name, frame))
        return original(self, device_name)

    return _copy_to_device


def _ask_move(recorder: _Operations, tensor: Any, name: str, frame: FrameType) -> None:
    source, target = recorder.location(tensor), recorder.context.device(name)
    if tensor.dtype not in HOST_DTYPES and source.name != target.name:
        ask(source, target, bytes_of(tensor), "copy", frame)


def _buffer(patches: PatchSet, recorder: _Operations) -> None:
    """``np.asarray``: refused here, NumPy asks again in a way that can say why."""

    def make(original: Any) -> Callable[[Any, int, int], int]:
        def get_buffer(tensor: Any, view: int, flags: int) -> int:
            if not recorder.context.state().busy:
                try:
                    _ask_read(recorder, tensor, sys._getframe(1))
                except TransferError:
                    return -1
                except Exception as error:  # noqa: BLE001
                    recorder.context.failed(error)
            try:
                return int(original(tensor, view, flags))
            except BaseException:  # noqa: BLE001  (as in reads.py)
                return -1

        return get_buffer

    with contextlib.suppress(AttributeError, ctypes.ArgumentError):
        hook_buffer_with(patches, make)
