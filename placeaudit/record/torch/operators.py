"""What PyTorch's own schemas say about an operator: what it reads, writes and merely looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch

__all__ = ["EXPORTS", "READS", "VIEWS", "WRITES", "WRITES_ONLY", "Operator", "operator"]

#: How an operation uses a tensor it takes (``operations.input_access``).
READS, VIEWS, WRITES, WRITES_ONLY = 0, 1, 2, 3

#: In-place operators that do not look at what was there before.
_OVERWRITING: Final = frozenset(
    {
        "copy_", "fill_", "zero_", "normal_", "uniform_", "random_", "exponential_", "bernoulli_",
        "cauchy_", "geometric_", "log_normal_", "one_", "eye_", "_foreach_copy_", "_foreach_zero_",
    }
)  # fmt: skip
#: Operators that take a tensor without looking at its values, whatever their schema says.
_METADATA: Final = frozenset(
    {
        "detach_", "lift_fresh", "set_", "resize_", "requires_grad_", "retain_grad", "is_pinned",
        "record_stream", "is_same_size", "is_set_to", "size", "stride", "numel", "sym_size",
        "sym_numel", "is_floating_point", "is_complex", "result_type", "can_cast", "empty_like",
        "new_empty", "new_empty_strided", "new_zeros", "new_ones", "new_full", "zeros_like",
        "ones_like", "full_like", "rand_like", "randn_like", "randint_like", "t_", "transpose_",
        "squeeze_", "unsqueeze_", "as_strided_", "resolve_conj",
    }
)  # fmt: skip
#: What ``.numpy()``, ``tolist()`` and ``__array__`` call last, on the host and outside any other
#: operator: from there on the values are read where the profiler cannot see it.
EXPORTS: Final = frozenset({"resolve_neg"})


@dataclass(frozen=True, slots=True)
class Operator:
    """One overload, as the window needs to know it."""

    #: Without "aten::".
    name: str
    #: Has no kernel of its own: it is what the operators below it do.
    composite: bool
    #: ``input_access`` by position of the argument; what is not listed reads.
    access: dict[int, int]
    #: What stands for the arguments that are not listed.
    default: int
    #: Only makes a view of its first argument.
    view: bool
    exports: bool


_known: Final[dict[tuple[str, str], Operator]] = {}


def operator(name: str, overload: str) -> Operator:
    """What is known of ``aten::name.overload``; an unknown name reads all it takes."""
    found = _known.get((name, overload))
    if found is None:
        found = _known[name, overload] = _describe(name, overload)
    return found


def _describe(name: str, overload: str) -> Operator:
    short = name.removeprefix("aten::")
    schema = _schema(name, overload)
    if schema is None:
        # "MmBackward0", a user's annotation: what runs inside says what is read.
        return Operator(short, True, {}, READS, False, short in EXPORTS)
    qualified = f"{name}.{overload}" if overload else name
    composite = torch._C._dispatch_has_kernel_for_dispatch_key(
        qualified, "CompositeImplicitAutograd"
    )
    access = {}
    for position, argument in enumerate(schema.arguments):
        alias = argument.alias_info
        if alias is not None and alias.is_write:
            only = short in _OVERWRITING or argument.kwarg_only
            access[position] = WRITES_ONLY if only else WRITES
    returns = [r.alias_info for r in schema.returns]
    view = bool(returns) and all(a is not None and not a.is_write for a in returns)
    metadata = short in _METADATA
    default = VIEWS if metadata else READS
    if view and not metadata:
        # `x[i]` as a view looks at no value of x.
        access.update(
            {
                position: VIEWS
                for position, argument in enumerate(schema.arguments)
                if argument.alias_info is not None
            }
        )
    if metadata:
        access = {}
    return Operator(short, composite, access, default, view or metadata, short in EXPORTS)


def _schema(name: str, overload: str) -> Any:
    try:
        return torch._C._get_schema(name, overload)
    except RuntimeError:
        return None
