"""Where operations run: as TensorFlow would choose with the simulated GPUs there.

With a real GPU the runtime chooses by its registered kernels: a GPU where one has a kernel for
these types, else the CPU.  In simulation all devices are CPUs to it, so the choice is made here
from the kernel table and handed over as an explicit device:

* an operation without a device runs on ``GPU:0`` if a GPU would take it, else on the host;
* an operation that is asked onto a GPU which has no kernel for it falls to the host where soft
  placement is on (the default), and is refused in TensorFlow's words where it is off;
* operations on resources (variables, iterators) and calls of functions are left to the runtime,
  which sends them to where the resource is;
* what XLA would compile into one piece (``compiled.py``) is on ``GPU:0`` altogether.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from tensorflow.python.eager import context as eager_context
from tensorflow.python.framework import constant_op, dtypes, errors_impl, op_def_registry, ops

from placeaudit.simulate.tensorflow_gpu.kernels import KernelTable

if TYPE_CHECKING:
    from placeaudit.simulate.tensorflow_gpu.names import Names
    from placeaudit.simulate.tensorflow_gpu.patches import Patches

__all__ = ["Placement", "add_placement", "in_one_piece"]

#: Of this process, whatever its job is called: a parameter server's coordinator renames it.
_PREFIX: Final = "/device:CPU:"
_HOST: Final = _PREFIX + "0"
_RESOURCE: Final = dtypes.resource.as_datatype_enum
#: Types that TensorFlow keeps on the host when a constant is made of them.
_HOST_TYPES: Final = frozenset(
    t.as_datatype_enum for t in (dtypes.int32, dtypes.string, dtypes.resource, dtypes.variant)
)
#: Tell about their input's shape and run where it is, whatever its type.
_METADATA: Final = frozenset({"Shape", "ShapeN", "Size", "Rank"})
#: How the names of traced functions begin, and the attribute of those that XLA compiles.
_FUNCTION: Final = "__"
_MUST_COMPILE: Final = "_XlaMustCompile"
#: Where an argument of a function is, its caller says.
_LEFT_ALONE: Final = frozenset({"Placeholder", "_Arg", "_Retval", "NoOp"})
#: Graphs that are one piece on the first GPU.
_ONE_PIECE: Final[weakref.WeakSet[Any]] = weakref.WeakSet()


def in_one_piece(graph: Any) -> bool:
    """Whether a traced graph is one piece on a GPU, as XLA would make it of a step."""
    return graph in _ONE_PIECE


class _Signature:
    """How the arguments of an operation's fast path tell its types."""

    __slots__ = ("has_resource", "inputs", "is_known")

    def __init__(self, name: str) -> None:
        definition: Any = op_def_registry.get(name)
        self.is_known = definition is not None
        #: Per input argument: the attribute that holds its type, or "".
        self.inputs: tuple[str, ...] = ()
        self.has_resource = False
        if definition is not None:
            self.inputs = tuple(argument.type_attr for argument in definition.input_arg)
            self.has_resource = any(a.type == _RESOURCE for a in definition.input_arg)


class Placement:
    """The choice, with a memory of those made."""

    def __init__(self, names: Names, kernels: KernelTable) -> None:
        self._names = names
        self._kernels = kernels
        self._signatures: dict[str, _Signature] = {}
        self._chosen: dict[tuple[object, ...], tuple[bool, bool]] = {}
        self._specs: dict[str | None, int] = {}
        self._compiled: dict[str, bool] = {}
        self._local = threading.local()

    @contextlib.contextmanager
    def one_piece(self) -> Iterator[None]:
        """Graphs that this thread builds inside run on the first GPU as a whole."""
        before = getattr(self._local, "whole", False)
        self._local.whole = True
        try:
            yield
        finally:
            self._local.whole = before

    @property
    def first_gpu(self) -> str:
        """Name of the logical device that stands for ``GPU:0``."""
        return _PREFIX + str(self._names.first)

    def device_of(self, asked: str | None) -> int:
        """What the device string of a scope asks for: -1 nothing, 0 a CPU, 1 a simulated GPU."""
        known = self._specs.get(asked)
        if known is None:
            known = self._specs[asked] = self._read(asked)
        return known

    def _read(self, asked: str | None) -> int:
        head, _, index = (asked or "").rpartition(":")
        if not head.endswith("CPU"):
            return -1
        return int(index.isdigit() and self._names.stands_for_gpu(int(index)))

    def signature(self, operation: str) -> _Signature:
        """Its signature, remembered."""
        known = self._signatures.get(operation)
        if known is None:
            known = self._signatures[operation] = _Signature(operation)
        return known

    def eager(self, operation: str, arguments: Sequence[Any], asked: str | None) -> str | None:
        """The device for a call of the fast path; None to leave it as it is.

        ``arguments`` are its inputs, then attribute names and values in turn.
        """
        if not self._names.gpus:
            return None
        wanted = self.device_of(asked)
        if wanted == 0:
            return None
        if operation.startswith(_FUNCTION):
            return self.first_gpu if wanted < 0 and self._is_compiled(operation) else None
        takes = self._known(operation, arguments)
        if takes is None:
            return None
        if wanted > 0:
            return None if takes[0] else self.fall_back(operation, asked)
        return self.first_gpu if all(takes) else None

    def _is_compiled(self, function: str) -> bool:
        """Whether XLA makes one piece of a traced function: a GPU that is there gets it."""
        known = self._compiled.get(function)
        if known is None:
            definition = eager_context.context().get_function_def(function)
            known = self._compiled[function] = definition.attr[_MUST_COMPILE].b
        return known

    def accepts(self, operation: str, arguments: Sequence[Any]) -> tuple[bool, bool] | None:
        """Whether a GPU takes an operation, and prefers it to the host.

        None where its kernels are not known, or the runtime sends it to a resource.
        """
        return self._known(operation, arguments) if self._kernels.knows(operation) else None

    def _known(self, operation: str, arguments: Sequence[Any]) -> tuple[bool, bool] | None:
        signature = self.signature(operation)
        if signature.has_resource or not signature.is_known:
            return None
        types = _types(signature, arguments)
        if types is None:
            return None
        key = (operation, *types.items())
        found = self._chosen.get(key)
        if found is None:
            takes = self._takes(operation, types)
            found = self._chosen[key] = takes, takes and self._prefers(operation, types)
        return found

    def _takes(self, operation: str, types: dict[str, int]) -> bool:
        known = self._kernels
        return not known.knows(operation) or known.gpu_kernel(operation, types) is not None

    def _prefers(self, operation: str, types: dict[str, int]) -> bool:
        return self._kernels.prefers_gpu(operation, types)

    def fall_back(self, operation: str, asked: str | None) -> str:
        """The host, for an operation that no GPU takes.

        Raises:
            InvalidArgumentError: soft placement is off.
        """
        if eager_context.context().soft_device_placement:
            return _HOST
        shown = self._names.to_shown(asked or "")
        raise errors_impl.InvalidArgumentError(
            None,
            None,
            f"Could not satisfy device specification '/device:{shown}': no supported kernel of "
            f"{operation} for GPU devices is available, and soft placement is off.",
        )

    def constant(self, dtype: int, asked: str | None) -> str | None:
        """The device for a new constant of this type."""
        if not self._names.gpus or self.device_of(asked) == 0:
            return asked
        if dtype in _HOST_TYPES:
            return _HOST
        return self.first_gpu if self.device_of(asked) < 0 else asked

    def in_graph(self, operation: Any) -> str | None:
        """The device for an operation that was just added to a graph; None to leave it."""
        name = operation.type
        if not self._names.gpus or name in _LEFT_ALONE:
            return None
        if self.signature(name).has_resource or not self._kernels.knows(name):
            return None
        if getattr(self._local, "whole", False):
            _ONE_PIECE.add(operation.graph)
            return self.first_gpu
        return self._by_kernel(operation)

    def _by_kernel(self, operation: Any) -> str | None:
        name = operation.type
        wanted = self.device_of(operation.device or None)
        if wanted == 0:
            return None
        if wanted < 0 and name in _METADATA:
            return operation.inputs[0].op.device or None
        types = _attributes(operation)
        takes = self._kernels.gpu_kernel(name, types) is not None
        if wanted < 0:
            return self.first_gpu if takes and self._prefers(name, types) else None
        if takes:
            return None
        return _HOST if _soft() else None


def _soft() -> bool:
    running: Any = eager_context.context()
    return running._soft_device_placement is not False


def _types(signature: _Signature, arguments: Sequence[Any]) -> dict[str, int] | None:
    """The operation's types by attribute; None where an input is a resource's handle."""
    types: dict[str, int] = {}
    inputs = signature.inputs
    for attribute, value in zip(inputs, arguments, strict=False):
        first = value[0] if isinstance(value, (list, tuple)) and value else value
        dtype = getattr(first, "dtype", None)
        if dtype is None or not attribute:
            continue
        kind = _enum(dtype)
        if kind == _RESOURCE:
            return None
        types.setdefault(attribute, kind)
    rest = arguments[len(inputs) :]
    for name, value in zip(rest[::2], rest[1::2], strict=False):
        if isinstance(value, dtypes.DType):
            types[name] = value.as_datatype_enum
        elif isinstance(value, int) and not isinstance(value, bool) and name in _TYPE_NAMES:
            types[name] = value
    return types


#: Attributes that hold a type and reach the fast path as its number.
_TYPE_NAMES: Final = frozenset({"T", "dtype", "DstT", "SrcT", "out_type", "Tidx", "output_type"})


def _enum(dtype: Any) -> int:
    if isinstance(dtype, dtypes.DType):
        return int(dtype.as_datatype_enum)
    try:
        return int(dtypes.as_dtype(dtype).as_datatype_enum)
    except TypeError:
        return 0


def _attributes(operation: Any) -> dict[str, int]:
    attributes = operation.node_def.attr
    return {name: value.type for name, value in attributes.items() if value.type}


def add_placement(patches: Patches, placement: Placement) -> None:
    """Choose for eager operations, for constants, and for operations of graphs."""
    _add_eager(patches, placement)
    _add_constants(patches, placement)
    _add_graphs(patches, placement)


def _add_eager(patches: Patches, placement: Placement) -> None:
    native: Any = ops.pywrap_tfe
    fast: Callable[..., Any] = native.TFE_Py_FastPathExecute

    def fast_path_execute(running: Any, operation: str, name: str | None, *arguments: Any) -> Any:
        local = running._thread_local_data
        asked = local.device_name
        device = placement.eager(operation, arguments, asked)
        if device is None:
            return fast(running, operation, name, *arguments)
        local.device_name = device
        try:
            return fast(running, operation, name, *arguments)
        finally:
            local.device_name = asked

    def slow_path(execute: Callable[..., Any]) -> Callable[..., Any]:
        def call(
            handle: Any, asked: str, operation: Any, inputs: Any, attributes: Any, *rest: Any
        ) -> Any:
            name = operation.decode() if isinstance(operation, bytes) else operation
            arguments = (*_grouped(placement, name, inputs), *(attributes or ()))
            device = placement.eager(name, arguments, asked)
            device = asked if device is None else device
            return execute(handle, device, operation, inputs, attributes, *rest)

        return call

    patches.replace(native, "TFE_Py_FastPathExecute", fast_path_execute)
    for name in ("TFE_Py_Execute", "TFE_Py_ExecuteCancelable"):
        patches.replace(native, name, slow_path(getattr(native, name)))


def _grouped(placement: Placement, operation: str, inputs: Sequence[Any]) -> Iterable[Any]:
    """As many inputs as the signature has, first of each list: the slow path has them flat."""
    wanted = len(placement.signature(operation).inputs)
    flat = list(inputs)[:wanted]
    return flat + [None] * (wanted - len(flat))


def _add_constants(patches: Patches, placement: Placement) -> None:
    eager_tensor: Any = ops.EagerTensor

    def convert_to_eager_tensor(value: Any, ctx: Any, dtype: Any = None) -> Any:
        if isinstance(value, eager_tensor):
            return convert(value, ctx, dtype)
        asked = ctx.device_name
        if placement.device_of(asked) == 0:
            return convert(value, ctx, dtype)
        ctx.ensure_initialized()
        kind = _kind(value, dtype)
        if kind is None:  # only TensorFlow knows what becomes of it: make it on the host first
            made = eager_tensor(value, _HOST, dtype and dtypes.as_dtype(dtype).as_datatype_enum)
            device = placement.constant(made.dtype.as_datatype_enum, asked)
            return made if device in {None, _HOST} else made._copy_to_device(device)
        if isinstance(value, np.ndarray):
            value = value.copy()  # as TensorFlow does: the tensor must not share its memory
        device = placement.constant(kind, asked)
        return eager_tensor(value, device, None if dtype is None else kind)

    convert = patches.replace(constant_op, "convert_to_eager_tensor", convert_to_eager_tensor)


def _kind(value: Any, dtype: Any) -> int | None:
    if dtype is not None:
        return dtype if isinstance(dtype, int) else int(dtypes.as_dtype(dtype).as_datatype_enum)
    if isinstance(value, (np.ndarray, np.generic)):
        try:
            return _enum(value.dtype)
        except (TypeError, ValueError):
            return None
    return None


def _add_graphs(patches: Patches, placement: Placement) -> None:
    graph_type: Any = ops.Graph

    def apply_device_functions(self: Any, operation: Any) -> None:
        apply(self, operation)
        device = placement.in_graph(operation)
        if device is not None:
            operation._set_device_from_string(device)

    apply = patches.replace(graph_type, "_apply_device_functions", apply_device_functions)
