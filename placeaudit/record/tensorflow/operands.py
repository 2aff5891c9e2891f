"""What the arguments of an eager operation are: their names, types, sizes and devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tensorflow.python.framework import dtypes, op_def_registry, ops

__all__ = [
    "HOST_DTYPES",
    "NUMBERS",
    "RESOURCE",
    "Signature",
    "Types",
    "bytes_of",
    "device_of",
    "number_type",
    "types_of",
]

#: TensorFlow's numbers of types, by the attribute that holds each.
Types = dict[str, int]

RESOURCE: Final = dtypes.resource
#: Types that a GPU build keeps on the host.
HOST_DTYPES: Final = frozenset({dtypes.int32, dtypes.string, dtypes.resource, dtypes.variant})
#: Numbers of which TensorFlow keeps the tensors, for each device.
NUMBERS: Final = (int, float, complex)
#: Types of the tensors made of them where nothing else is asked for; a bool is an int too.
_DEFAULT: Final = {
    bool: dtypes.bool, int: dtypes.int32, float: dtypes.float32, complex: dtypes.complex128
}  # fmt: skip


class Signature:
    """The arguments of an operation, as its definition has them."""

    __slots__ = ("count", "inputs", "kinds", "outputs", "results", "types")

    def __init__(self, operation: str) -> None:
        definition: Any = op_def_registry.get(operation)
        arguments = definition.input_arg if definition is not None else ()
        self.inputs = tuple(a.name for a in arguments)
        #: The attribute that holds each input's type.
        self.types = tuple(a.type_attr for a in arguments)
        results = definition.output_arg if definition is not None else ()
        self.outputs = tuple(a.name for a in results)
        #: Of each output, the attribute that holds its type, "" with the type itself where it is
        #: fixed, or 0 where it is a list of types.
        self.results = tuple((a.type_attr, int(a.type)) for a in results)
        made = tuple(a.type_attr for a in results)
        #: Each attribute that holds a type, with the inputs and outputs of that type.
        self.kinds = tuple(
            (attribute, _places(attribute, self.types), _places(attribute, made))
            for attribute in dict.fromkeys((*self.types, *made))
            if attribute
        )
        #: Of each input, the attribute with its number of tensors, "" for a single one.
        self.count = tuple(a.number_attr or a.type_list_attr for a in arguments)


def device_of(inputs: Sequence[Any], result: Any) -> str | None:
    """Full name of the device an operation ran on: its output's, else its resource's."""
    first = result[0] if isinstance(result, (list, tuple)) and result else result
    if isinstance(first, ops.EagerTensor):
        return str(first.device)
    for value in inputs:
        if isinstance(value, ops.EagerTensor) and value.dtype == RESOURCE:
            return str(value.device)
    return None


def number_type(signature: Signature, name: str, inputs: Sequence[Any]) -> Any:
    """Type of the tensor made of a number that is argument ``name``: as the others of its kind."""
    place = signature.inputs.index(name)
    attribute, number = signature.types[place], inputs[place]
    for kind, value in zip(signature.types, inputs, strict=False):
        dtype = getattr(value, "dtype", None)
        if attribute and kind == attribute and dtype is not None:
            return dtypes.as_dtype(dtype).base_dtype
    return next(dtype for kind, dtype in _DEFAULT.items() if isinstance(number, kind))


def bytes_of(tensor: Any) -> int:
    """Bytes of an eager tensor's elements."""
    return int(tensor.shape.num_elements() or 0) * int(tensor.dtype.size)


def _type_of(value: Any) -> int:
    """TensorFlow's number of the type of a tensor, array or list of such; 0 if it has none."""
    first = value[0] if isinstance(value, (list, tuple)) and value else value
    dtype = getattr(first, "dtype", None)
    if isinstance(dtype, dtypes.DType):
        return int(dtype.as_datatype_enum)
    if dtype is None:
        return 0
    try:
        return int(dtypes.as_dtype(dtype).as_datatype_enum)
    except TypeError:
        return 0


def _places(attribute: str, attributes: Sequence[str]) -> tuple[int, ...]:
    return tuple(place for place, found in enumerate(attributes) if found == attribute)


def _first_type(values: Sequence[Any], places: Sequence[int]) -> int:
    for place in places:
        if place < len(values) and (kind := _type_of(values[place])):
            return kind
    return 0


def types_of(signature: Signature, arguments: Sequence[Any], outputs: Sequence[Any]) -> Types:
    """TensorFlow's numbers of the types by which an operation's kernel is chosen.

    ``arguments`` are its inputs, then attribute names and values in turn.  A Python number has no
    type of its own: it takes that of the other inputs of its kind, or the output tells.
    """
    types: Types = {}
    inputs = arguments[: len(signature.inputs)]
    for attribute, taken, made in signature.kinds:
        kind = _first_type(inputs, taken) or _first_type(outputs, made)
        if not kind:
            kind = next(
                (
                    int(number_type(signature, signature.inputs[place], inputs).as_datatype_enum)
                    for place in taken
                    if place < len(inputs) and isinstance(inputs[place], NUMBERS)
                ),
                0,
            )
        if kind:
            types[attribute] = kind
    rest = arguments[len(signature.inputs) :]
    for name, value in zip(rest[::2], rest[1::2], strict=False):
        if isinstance(value, dtypes.DType):
            types[name] = value.as_datatype_enum
    return types
