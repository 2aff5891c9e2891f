"""Eager operations: which of their inputs TensorFlow copies to another device before it runs them.

Every eager operation goes through two functions of TensorFlow's C module.  They are wrapped, so all
threads are seen, and nothing is registered that a program could find or reset.  An operation's
device is its outputs' device; an input is wanted there, unless the kernel asks for it in host
memory.  Where an input is elsewhere it gets copied, once: the copy stays with the tensor as its
*mirror* and later uses on that device are free.
"""

from __future__ import annotations

import collections
import itertools
import sys
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Any, Final, NamedTuple

import numpy as np
from tensorflow.python.framework import dtypes, ops
from tensorflow.python.ops import resource_variable_ops

from placeaudit.model import HashKind
from placeaudit.record.clock import now_ns
from placeaudit.record.tensorflow.context import FIRST_TENSOR, Known, TensorflowContext, ThreadState
from placeaudit.record.tensorflow.edges import hash_array
from placeaudit.record.tensorflow.graph_fallbacks import absent, is_lookup
from placeaudit.record.tensorflow.graphs import FunctionRecorder, is_function
from placeaudit.record.tensorflow.operands import (
    HOST_DTYPES,
    NUMBERS,
    RESOURCE,
    Signature,
    Types,
    bytes_of,
    device_of,
    number_type,
    types_of,
)
from placeaudit.record.tensorflow.partitions import WAITING
from placeaudit.record.tensorflow.variables import Variables
from placeaudit.simulate.tensorflow_gpu.kernels import KernelTable

__all__ = ["Call", "Content", "OperationRecorder", "hash_array"]

#: Pairs of tensor and device whose mirror is known; of more the oldest are forgotten.
_MIRRORS: Final = 1 << 16
_NONE: Final[frozenset[str]] = frozenset()
#: Types of outputs among which there may be 32-bit integers; 0 is one that is not known before.
_MAYBE_INT32: Final = frozenset({0, int(dtypes.int32.as_datatype_enum)})
_NO_HASH: Final = (0, int(HashKind.NONE))


class Call(NamedTuple):
    """One call into TensorFlow that may have copied something."""

    operation: str
    start_ns: int
    state: ThreadState
    frame: FrameType | None


class Content(NamedTuple):
    """What crossed."""

    bytes: int
    dtype: str
    shape: Any
    hash: int = 0
    hash_kind: int = int(HashKind.NONE)


class _Plan(NamedTuple):
    """What an operation's kernel does with host memory."""

    #: Arguments that it has there.
    host: frozenset[str]
    #: Of each output whether it is there; None where its type tells.  Empty where all types do.
    remembered: tuple[bool | None, ...]


class _Recent:
    """A set that forgets its oldest members."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._order: collections.deque[object] = collections.deque()
        self._members: set[object] = set()

    def __contains__(self, key: object) -> bool:
        return key in self._members

    def add(self, key: object) -> None:
        self._members.add(key)
        self._order.append(key)
        if len(self._order) > self._size:
            self._members.discard(self._order.popleft())


class OperationRecorder:
    """Turns the inputs of eager operations that cross devices into rows of ``copies``."""

    def __init__(
        self,
        context: TensorflowContext,
        kernels: KernelTable,
        host_dtypes: frozenset[Any] = HOST_DTYPES,
        functions: FunctionRecorder | None = None,
    ) -> None:
        self.context = context
        self._kernels = kernels
        self._host_dtypes = host_dtypes
        self._signatures: dict[str, Signature] = {}
        self._plans: dict[tuple[object, ...], _Plan] = {}
        self._mirrors = _Recent(_MIRRORS)
        #: Tensors whose device is a GPU and whose memory is the host's, by the kernel's wish.
        self._on_host = _Recent(_MIRRORS)
        #: Tensors of a type that is else on the host, which a kernel made in the GPU's memory.
        self._on_device = _Recent(_MIRRORS)
        self._numbers = _Recent(_MIRRORS)
        #: Is told the operation and the device of every call that was looked at; a function is
        #: called "".
        self.looked: Callable[[str, str], None] | None = None
        self._functions = functions or FunctionRecorder(context)
        #: Which tensors hold the value of which variable.
        self.variables = Variables()

    def wrap_fast(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """``TFE_Py_FastPathExecute`` with a look at its inputs."""
        context = self.context

        def fast_path_execute(running: Any, operation: str, name: Any, *arguments: Any) -> Any:
            start = now_ns()
            result = original(running, operation, name, *arguments)
            state = context.state()
            if not state.busy:
                try:
                    call = Call(operation, start, state, sys._getframe(1))
                    self.after(call, arguments, result, running.device_name)
                except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                    context.failed(error)
            return result

        return fast_path_execute

    def wrap_slow(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """``TFE_Py_Execute`` likewise: its inputs are tensors already, lists laid flat."""
        context = self.context

        def execute(handle: Any, device: Any, operation: Any, inputs: Any, *rest: Any) -> Any:
            if is_function(operation) and not context.state().busy:
                name = operation.decode() if isinstance(operation, bytes) else operation
                frame = sys._getframe(1)
                try:
                    self.variables.passed(inputs)
                    if device and "/job:" in device:
                        self._functions.elsewhere(device, frame)
                except Exception as error:  # noqa: BLE001
                    context.failed(error)
                result = self._functions.call(
                    name, inputs, lambda: original(handle, device, operation, inputs, *rest), frame
                )
                if self.looked is not None:
                    self.looked("", "")
                return result
            start = now_ns()
            result = original(handle, device, operation, inputs, *rest)
            state = context.state()
            if not state.busy:
                try:
                    name = operation.decode() if isinstance(operation, bytes) else operation
                    call = Call(name, start, state, sys._getframe(1))
                    self.after(call, self._grouped(name, list(inputs)), result, device)
                except Exception as error:  # noqa: BLE001
                    context.failed(error)
            return result

        return execute

    def _signature(self, operation: str) -> Signature:
        known = self._signatures.get(operation)
        if known is None:
            known = self._signatures[operation] = Signature(operation)
        return known

    def _grouped(self, operation: str, inputs: list[Any]) -> list[Any]:
        """Flat inputs as the signature has them; its lists are as long as each other."""
        signature = self._signature(operation)
        lists = sum(map(bool, signature.count))
        if not lists:
            return inputs
        size = 1 + (len(inputs) - len(signature.inputs)) // lists
        rest = iter(inputs)
        return [
            list(itertools.islice(rest, size)) if count else next(rest, None)
            for count in signature.count
        ]

    # --- one operation --------------------------------------------------------------------------

    def after(self, call: Call, arguments: Sequence[Any], result: Any, asked: str | None) -> None:
        """Record what an operation had to copy; it has just run, ``asked`` onto a device."""
        signature = self._signature(call.operation)
        inputs = arguments[: len(signature.inputs)]
        # Without outputs or resources, as a print: where it was asked, else the host.
        here = self.context.device(device_of(inputs, result) or asked or "")
        if self.looked is not None:
            self.looked(call.operation, here.name)
        self.variables.after(call.operation, inputs, result)
        if asked and here.is_host:
            self._fallback(call, inputs, self.context.device(asked), here)
        self.take(call, signature, arguments, result, here)

    def take(
        self, call: Call, signature: Signature, arguments: Sequence[Any], result: Any, here: Known
    ) -> None:
        """Look at each input of an operation that runs ``here``."""
        host: frozenset[str] = _NONE
        if not here.is_host:
            host = self._host_arguments(call.operation, signature, arguments, result)
            if call.operation in WAITING:
                self._wait(call, here)
        inputs = arguments[: len(signature.inputs)]
        for name, value in zip(signature.inputs, inputs, strict=False):
            wanted = self.context.host if name in host else here
            if isinstance(value, (list, tuple)):
                for tensor in value:
                    self._input(call, tensor, wanted)
            elif isinstance(value, NUMBERS):
                if not wanted.is_host:
                    self._number(call, value, number_type(signature, name, inputs), wanted)
            else:
                self._input(call, value, wanted)

    def _fallback(self, call: Call, inputs: Sequence[Any], asked: Known, here: Known) -> None:
        """Asked onto a GPU, it ran on the host."""
        if asked.is_host or asked.name.startswith("CPU"):
            return
        context = self.context
        if any(isinstance(v, ops.EagerTensor) and v.dtype == RESOURCE for v in inputs):
            # Other resources without a kernel are TensorFlow's own doing.
            nowhere = is_lookup(call.operation) and not self._kernels.gpu_kernel(call.operation, {})
            reason = "no kernel" if nowhere else "resource"
        else:
            reason = absent(context, asked.name) or "no kernel"
        flat = [t for v in inputs for t in (v if isinstance(v, (list, tuple)) else (v,))]
        types = ", ".join(
            str(getattr(t.dtype, "name", t.dtype)) for t in flat if hasattr(t, "dtype")
        )
        context.fallbacks.append(
            (
                call.start_ns, context.string(call.operation), asked.number, here.number,
                context.string(reason), context.string(types),
                *context.where(call.frame, call.state),
            )
        )  # fmt: skip

    def _wait(self, call: Call, here: Known) -> None:
        context = self.context
        context.excuse(call.start_ns, call.state)
        where = context.where(call.frame, call.state)
        cause = context.string(call.operation)
        context.add_wait((call.start_ns, now_ns() - call.start_ns, cause, here.number, *where))

    def _host_arguments(
        self, operation: str, signature: Signature, arguments: Sequence[Any], result: Any
    ) -> frozenset[str]:
        """Arguments that the accelerator's kernel has in host memory."""
        outputs = result if isinstance(result, (list, tuple)) else (result,)
        types = types_of(signature, arguments, outputs)
        key = (operation, *types.items())
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._plan(operation, signature, types)
        if plan.remembered:
            self._remember(plan, outputs)
        return plan.host

    def _plan(self, operation: str, signature: Signature, types: Types) -> _Plan:
        kernel = self._kernels.gpu_kernel(operation, types)
        if kernel is None:  # nothing can be said of its outputs
            return _Plan(_NONE, ())
        outputs = [
            name in kernel.host or (False if types.get(attribute, fixed) in _MAYBE_INT32 else None)
            for name, (attribute, fixed) in zip(signature.outputs, signature.results, strict=True)
        ]
        return _Plan(kernel.host, tuple(outputs) if set(outputs) != {None} else ())

    def _remember(self, plan: _Plan, outputs: Sequence[Any]) -> None:
        """Where the memory of outputs is, as far as their type and device do not tell."""
        places: Iterable[bool | None] = plan.remembered
        if len(plan.remembered) == 1:  # one output may be a list
            places = itertools.repeat(plan.remembered[0], len(outputs))
        for on_host, tensor in zip(places, outputs, strict=False):
            if on_host is None or not isinstance(tensor, ops.EagerTensor):
                continue
            if on_host:
                self._on_host.add(tensor._id)
            elif tensor.dtype == dtypes.int32:
                self._on_device.add(tensor._id)

    def location(self, tensor: Any) -> Known:
        """Where the memory of an eager tensor is."""
        found = self.context.device(tensor.backing_device)
        if found.is_host:
            return found
        made_there = tensor.dtype not in self._host_dtypes or tensor._id in self._on_device
        return found if made_there and tensor._id not in self._on_host else self.context.host

    def _input(self, call: Call, value: Any, wanted: Known) -> None:
        if isinstance(value, ops.EagerTensor):
            if value.dtype == RESOURCE:
                return
            source = self.location(value)
            if source.number == wanted.number:
                return
            key = (value._id, wanted.number)
            if key not in self._mirrors:
                self.copy(call, value, source, wanted)
                self._mirrors.add(key)
        elif isinstance(value, resource_variable_ops.BaseResourceVariable):
            self._variable(call, value, wanted)
        elif not wanted.is_host and value is not None:
            self._made_of(call, value, wanted)

    def _variable(self, call: Call, variable: Any, wanted: Known) -> None:
        """Each use reads a variable into a new tensor, which has no mirror yet."""
        source = self.context.device(variable.handle.device)
        if source.number == wanted.number or variable.dtype in self._host_dtypes:
            return
        size = (variable.shape.num_elements() or 0) * variable.dtype.size
        content = Content(size, variable.dtype.name, variable.shape)
        storage = FIRST_TENSOR + variable.handle._id
        self.add(call, source, wanted, content, src_storage=storage)

    def _made_of(self, call: Call, value: Any, wanted: Known) -> None:
        """A NumPy array that the operation itself made a tensor of."""
        if isinstance(value, np.ndarray):
            content = Content(value.nbytes, value.dtype.name, value.shape, *hash_array(value))
            self.add(call, self.context.host, wanted, content)

    def _number(self, call: Call, value: complex, dtype: Any, wanted: Known) -> None:
        """A Python number that the operation itself made a tensor of."""
        if dtype not in HOST_DTYPES and not self.is_kept(value, dtype, wanted):
            self.add(call, self.context.host, wanted, Content(dtype.size, dtype.name, ()))

    def is_kept(self, value: complex, dtype: Any, device: Known) -> bool:
        """Whether TensorFlow has made a tensor of this number there before: it keeps them all.

        It looks for the number, its Python type and the type that was asked for, None where none
        was.  (``TFE_TensorHandleCache``, python/eager/pywrap_tensor_conversion.cc)
        """
        asked = None if dtype is None else dtypes.as_dtype(dtype)
        key = (type(value), value, asked, device.number)
        if key in self._numbers:
            return True
        self._numbers.add(key)
        return False

    # --- rows -----------------------------------------------------------------------------------

    def copy(self, call: Call, tensor: Any, source: Known, wanted: Known) -> None:
        """An eager tensor was copied between devices."""
        found = _NO_HASH
        if source.is_host and tensor.dtype.is_numpy_compatible:
            call.state.busy += 1
            try:
                found = hash_array(np.asarray(tensor._numpy_internal()))
            finally:
                call.state.busy -= 1
        content = Content(bytes_of(tensor), tensor.dtype.name, tensor.shape, *found)
        storage, version = self.variables.identity(tensor)
        self.add(
            call, source, wanted, content, src_storage=FIRST_TENSOR + storage, src_version=version
        )

    def add(
        self,
        call: Call,
        source: Known,
        wanted: Known,
        content: Content,
        *,
        src_storage: int = -1,
        dst_storage: int = -1,
        src_version: int = 0,
    ) -> None:
        """One row of ``copies``, unless it is empty.  A tensor's content never changes.

        TensorFlow's own copies are from and to pageable memory, and its synchronous executor
        waits for each that the host has a part in.
        """
        if not content.bytes:
            return
        context = self.context
        context.excuse(call.start_ns, call.state)
        kind = context.string(content.dtype)
        waits = source.is_host or wanted.is_host
        context.add_copy(
            (
                call.start_ns, now_ns() - call.start_ns, source.number, wanted.number,
                content.bytes, kind, kind, context.shape(content.shape), False, False, waits,
                src_storage, dst_storage, src_version if src_storage >= 0 else -1,
                0 if dst_storage >= 0 else -1, content.hash, content.hash_kind,
                context.string(call.operation), -1, *context.where(call.frame, call.state),
            )
        )  # fmt: skip
