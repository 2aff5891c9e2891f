"""Python kernels on the CUDA key: run each operator on host aliases of its device tensors.

One closure per operator, made from its schema: which arguments are tensors, which results are the
arguments themselves.  Everything above the CUDA key (autograd, autocast, views, version counters)
is PyTorch's own and runs before and after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from placeaudit.simulate.torch_cuda.devices import (
    Operand,
    current_index,
    index_of,
    make_mismatch,
)
from placeaudit.simulate.torch_cuda.dtypes import run_wider
from placeaudit.simulate.torch_cuda.outputs import is_alias, out_kernel, overlapping_run
from placeaudit.simulate.torch_cuda.retag import to_device, to_host, to_plain_host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from placeaudit.simulate.torch_cuda.catalogue import Declaration

    Kernel = Callable[..., Any]

__all__ = [
    "generic_kernel",
    "operands_of",
    "result_sources",
    "shared_kernel",
    "view_kernel",
]

Tensor = torch.Tensor
_CPU_KEYS: Final = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
_set_index: Final = torch._C._accelerator_setDeviceIndex
_CPU: Final = torch.device("cpu")
_NUMBERS: Final = (bool, int, float, complex)


def view_kernel(operator: Any) -> Kernel:  # torch has no public type for it
    """A view moves no data: the CPU kernel makes it on the device tensor itself."""
    call = torch.library.get_kernel(operator, "CPU").call_boxed

    def kernel(*args: object, **kwargs: object) -> object:
        return call(_CPU_KEYS, *args, **kwargs)

    return kernel


def shared_kernel(operator: Any, key: str) -> Kernel:
    """The one implementation of every device, registered for ``key``, on device tensors."""
    call = torch.library.get_kernel(operator, key).call_boxed
    keys = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, key))
    types = [str(argument.type) for argument in operator._schema.arguments]
    numbers = [place for place, kind in enumerate(types) if place and kind == "Tensor"]

    def kernel(*args: object, **kwargs: object) -> object:
        for place in numbers:  # wrapped numbers arrive as numbers
            if place < len(args) and not isinstance(args[place], Tensor):
                args = (*args[:place], torch.tensor(args[place], device=_CPU), *args[place + 1 :])
        before, index = current_index(), _index_among((*args, *kwargs.values()))
        if index in {-1, before}:
            return call(keys, *args, **kwargs)
        _set_index(index)  # as the guard in every kernel of a device
        try:
            return call(keys, *args, **kwargs)
        finally:
            _set_index(before)

    return kernel


def _index_among(arguments: Iterable[object]) -> int:
    """The device of the first device tensor, or that is asked for; -1 where there is neither."""
    for argument in arguments:
        if isinstance(argument, Tensor):
            if argument.is_cuda:
                return argument.get_device()
        elif isinstance(argument, torch.device) and argument.type == "cuda":
            return index_of(argument)
    return -1


class _HostValues:
    """Turns arguments into the host's view of them.

    ``index`` is the device the call runs on, -1 until a device tensor or device was seen;
    ``has_mix`` says that not every tensor is on it.
    """

    __slots__ = ("has_mix", "index")

    def __init__(self, index: int) -> None:
        self.index = index
        self.has_mix = False

    def value(self, argument: Any) -> Any:
        """The host's view of one argument, lists and tuples included."""
        if isinstance(argument, Tensor):
            if not argument.is_cuda:
                self.has_mix = True
                return argument
            device = argument.get_device()
            if self.index < 0:
                self.index = device
            elif device != self.index:
                self.has_mix = True
            return to_host(argument)
        if isinstance(argument, (list, tuple)):
            return [self.value(item) for item in argument]
        if isinstance(argument, torch.device) and argument.type == "cuda":
            self.index = index_of(argument)
            return _CPU
        return argument


def _wrap(result: object, index: int) -> object:
    if isinstance(result, Tensor):
        return to_device(result, index)
    if isinstance(result, (list, tuple)):
        return type(result)(_wrap(item, index) for item in result)
    return result


def operands_of(
    operator: Any,
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> list[Operand]:
    """Every tensor argument with its schema name, out arguments first as PyTorch checks them."""
    arguments = operator._schema.arguments
    pairs = [(arguments[i], value) for i, value in enumerate(args)]
    by_name = {argument.name: argument for argument in arguments}
    pairs = [*((by_name[name], value) for name, value in kwargs.items()), *pairs]
    found: list[Operand] = []
    for argument, value in pairs:
        is_output = argument.alias_info is not None and argument.alias_info.is_write
        items = value if isinstance(value, (list, tuple)) else (value,)
        tensors = (item for item in items if isinstance(item, Tensor))
        found.extend(Operand(argument.name, tensor, is_output=is_output) for tensor in tensors)
    return found


def _number_fixer(operator: Any) -> Callable[[list[Any]], None] | None:
    """Numbers that arrive where the schema wants a tensor become tensors of the common type.

    The dispatcher hands wrapped numbers to Python kernels as plain numbers; only some operators
    take them back, and those must: a number of its own computes in full precision (half * 1e5),
    a tensor of the common type has overflowed before.
    """
    if torch._C._should_allow_numbers_as_tensors(operator._schema.name.partition("::")[2]):
        return None
    positions = [
        i
        for i, argument in enumerate(operator._schema.arguments)
        if str(argument.type) in {"Tensor", "Optional[Tensor]"} and not argument.kwarg_only
    ]
    if len(positions) < 2:  # noqa: PLR2004  # one tensor: it is what brought the call here
        return None

    def fix(host: list[Any]) -> None:
        for i in positions:
            if i < len(host) and type(host[i]) in _NUMBERS:
                like = next((x for x in host if isinstance(x, Tensor)), None)
                dtype = None if like is None else torch.result_type(like, host[i])
                host[i] = torch.scalar_tensor(host[i], dtype=dtype, device=_CPU)

    return fix


def _sees_lazy_bits(operator: Any) -> bool:
    """Whether conjugate or negative tensors reach the kernel instead of being resolved above it."""
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    name = operator.name()
    return bool(has(name, "Conjugate") or has(name, "Negative"))


def result_sources(operator: Any) -> list[int | str | None]:
    """For each result, the argument it is (in place, ``out=``): position, keyword or None."""
    schema = operator._schema
    sources: list[int | str | None] = []
    for result in schema.returns:
        source: int | str | None = None
        if result.alias_info is not None and result.alias_info.is_write:
            wanted = result.alias_info.before_set
            for i, argument in enumerate(schema.arguments):
                if argument.alias_info is not None and argument.alias_info.before_set == wanted:
                    source = argument.name if argument.kwarg_only else i
        sources.append(source)
    return sources


def generic_kernel(operator: Any, declaration: Declaration) -> Kernel:
    """The kernel of one operator overload that CPU implements too."""
    sources = result_sources(operator)
    fix_numbers = _number_fixer(operator)
    mismatch = make_mismatch(declaration)
    call = operator._op
    run = _Runner(operator, call, fix_numbers, mismatch)
    if any(isinstance(source, str) for source in sources):
        return out_kernel(run, [s for s in sources if isinstance(s, str)])
    if len(sources) == 1 and sources[0] is not None:
        return _in_place_kernel(run, sources[0])
    if not sources:
        return lambda *args, **kwargs: run(args, kwargs)[0]
    if all(source is None for source in sources):

        def kernel(*args: object, **kwargs: object) -> object:
            result, index = run(args, kwargs)
            if isinstance(result, Tensor):
                return to_device(result, index)
            return _wrap(result, index)

        return kernel
    return _mixed_kernel(run, sources)


class _Runner:
    """Calls the CPU operator; gives its result and the index of the device it belongs to."""

    __slots__ = ("_alias", "_call", "_fix_numbers", "_mismatch", "_operator")

    def __init__(
        self,
        operator: Any,
        call: Callable[..., Any],
        fix_numbers: Callable[[list[Any]], None] | None,
        mismatch: Callable[[list[Operand]], None],
    ) -> None:
        self._operator = operator
        self._alias = to_host if _sees_lazy_bits(operator) else to_plain_host
        self._call = call
        self._fix_numbers = fix_numbers
        self._mismatch = mismatch

    def __call__(  # noqa: C901, PLR0912  # one loop without calls: every operator pays for it
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        given: tuple[tuple[Any, ...], dict[str, Any]] | None = None,
    ) -> tuple[Any, int]:
        """Run on host views.  ``given`` is what to check devices by, if it is not all there."""
        index = -1
        has_mix = has_number = False
        host: list[Any] = []
        alias = self._alias
        for argument in args:
            if isinstance(argument, Tensor):
                device = argument.get_device()
                if device >= 0:
                    if index < 0:
                        index = device
                    elif index != device:
                        has_mix = True
                    argument = alias(argument)  # noqa: PLW2901  # the hot loop
                else:
                    has_mix = True
            elif isinstance(argument, (list, tuple)):
                values = _HostValues(index)
                host.append(values.value(argument))
                index = values.index
                has_mix = has_mix or values.has_mix
                continue
            elif isinstance(argument, _NUMBERS):
                has_number = True
            host.append(argument)
        host_kwargs = kwargs
        if kwargs:
            values = _HostValues(index)
            host_kwargs = {name: values.value(value) for name, value in kwargs.items()}
            index = values.index
            has_mix = has_mix or values.has_mix
        if has_mix:
            self._check(*(given or (args, kwargs)))
        if has_number and self._fix_numbers is not None:
            self._fix_numbers(host)
        if index < 0:
            index = current_index()
        try:
            return self._call(*host, **host_kwargs), index
        except RuntimeError as error:
            return run_wider(self._operator, host, host_kwargs, error), index

    def _check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        operands = operands_of(self._operator, args, kwargs)
        if len({operand.tensor.device for operand in operands}) > 1:
            self._mismatch(operands)


def _in_place_kernel(run: _Runner, source: int | str) -> Kernel:
    position = source if isinstance(source, int) else 0

    def kernel(*args: Any, **kwargs: Any) -> Any:
        if len(args) > 1 and isinstance(args[1], Tensor) and is_alias(args[0], args[1]):
            overlapping_run(run, args, kwargs)
        else:
            run(args, kwargs)
        return args[position]

    return kernel


def _mixed_kernel(run: _Runner, sources: list[int | str | None]) -> Kernel:
    def kernel(*args: Any, **kwargs: Any) -> Any:
        result, index = run(args, kwargs)
        pairs = zip(result, sources, strict=True)
        return tuple(
            args[source] if isinstance(source, int) else _wrap(item, index)
            for item, source in pairs
        )

    return kernel
