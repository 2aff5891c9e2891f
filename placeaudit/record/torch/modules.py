"""Modules: the path of the module an event ran in, the phases of forward, and the census."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch.nn.modules import module as torch_module

from placeaudit.model import Phase
from placeaudit.record.clock import now_ns
from placeaudit.record.torch.context import TorchContext, is_tracing

__all__ = ["Census", "ModuleSource"]

#: Tensors of arguments and results are looked for this deep in lists, tuples and dicts.
_DEPTH: Final = 3
#: Calls of a root module after which its tensors are listed anew: parameters may be replaced
#: without any call that would tell.
_RELIST_CALLS: Final = 256
#: Tensors whose last placement is remembered; above, unchanged ones are written once more.
MAX_TENSORS: Final = 30_000


class Census:
    """Writes ``placements``: a row for a tensor's first sight and for every change."""

    def __init__(self, context: TorchContext) -> None:
        self._context = context
        self._rows = context.writer.rows("placements")
        self._seen: dict[tuple[int, str, str], tuple[int, torch.dtype, int]] = {}

    def add(
        self,
        kind: str,
        owner: object,
        name: str,
        tensor: torch.Tensor,
        expected: torch.Tensor | None = None,
    ) -> None:
        """Note where ``tensor`` lives; ``expected`` is the parameter it belongs to."""
        context = self._context
        index = tensor.get_device()
        key = (context.owner(owner), kind, name)
        # A batch's size may change from step to step; where it lives and of what type should not.
        nbytes = tensor.nbytes if tensor.layout is torch.strided else -1
        size = 0 if kind in {"input", "output"} else nbytes
        value = (index, tensor.dtype, size)
        if self._seen.get(key) == value:
            return
        if len(self._seen) >= MAX_TENSORS:
            self._seen.clear()
        self._seen[key] = value
        self._rows.append(
            (
                now_ns(),
                context.string(kind),
                context.string(type(owner).__name__),
                context.string(name),
                context.device(index),
                context.dtype(tensor.dtype),
                context.shape(tensor.shape),
                nbytes,
                context.device(expected.get_device()) if expected is not None else -1,
                key[0],
                context.sites.capture(sys._getframe(1)),
            )
        )

    def forget(self) -> None:
        """In a forked child."""
        self._seen.clear()


@dataclass(slots=True)
class _Root:
    """What is known of a module that was called from outside any module."""

    listed: list[tuple[str, str, weakref.ref[torch.Tensor]]] = field(default_factory=list)
    fingerprint: tuple[int, ...] = ()
    moves: int = -1
    calls: int = 0
    start_ns: int = 0
    phase: int = 0


class ModuleSource:
    """Global forward hooks: they see every module, also of libraries, and change none."""

    def __init__(self, context: TorchContext, census: Census) -> None:
        self._context = context
        self._census = census
        self._roots: weakref.WeakKeyDictionary[torch.nn.Module, _Root] = weakref.WeakKeyDictionary()
        self._handles: list[Any] = []

    def arm(self) -> None:
        """Register the hooks."""
        self._handles = [
            torch_module.register_module_forward_pre_hook(self._before),
            torch_module.register_module_forward_hook(self._after, always_call=True),
        ]

    def disarm(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _before(self, module: torch.nn.Module, args: Any) -> None:
        if torch.compiler.is_compiling() or is_tracing():
            return
        state = self._context.state()
        state.modules.append(module)
        if len(state.modules) > 1:
            return
        try:
            root = self._root(module)
            if root is not None:
                root.start_ns = now_ns()
                root.phase = state.phase
            training = module.training and torch.is_grad_enabled()
            state.phase = int(Phase.FORWARD if training else Phase.EVALUATION)
            self._tensors("input", module, args)
        except Exception as error:  # noqa: BLE001  (our failure is not the program's)
            self._context.failed(error)

    def _after(self, module: torch.nn.Module, _args: Any, output: Any) -> None:
        if torch.compiler.is_compiling() or is_tracing():
            return
        state = self._context.state()
        modules = state.modules
        # An interrupt leaves modules behind whose hook never ran: they end with the one outside.
        if not any(running is module for running in modules):
            return
        while modules.pop() is not module:
            pass
        if modules:
            return
        try:
            root = self._root(module)
            state.phase = root.phase if root is not None else int(Phase.OTHER)
            if root is not None:
                name = type(module).__name__
                self._context.add_span("module", name, self._context.owner(module), root.start_ns)
                self._tensors("output", module, output)
                self._survey(module, root)
        except Exception as error:  # noqa: BLE001
            self._context.failed(error)

    def _root(self, module: torch.nn.Module) -> _Root | None:
        try:
            known = self._roots.get(module)
            if known is None:
                known = self._roots[module] = _Root()
        except TypeError:  # the user's class defines equality but no hash
            return None
        return known

    def _tensors(self, kind: str, module: torch.nn.Module, value: Any) -> None:
        for name, tensor in _walk(value, "", _DEPTH):
            self._census.add(kind, module, name, tensor)

    def _survey(self, module: torch.nn.Module, root: _Root) -> None:
        """The census of parameters and buffers, if anything may have changed."""
        root.calls += 1
        moved = root.moves != self._context.moves
        if not moved and root.calls % _RELIST_CALLS:
            tensors = (reference() for _, _, reference in root.listed)
            if root.fingerprint == _fingerprint(tensors):
                return
        root.moves = self._context.moves
        listed = [
            *(("parameter", name, tensor) for name, tensor in module.named_parameters()),
            *(("buffer", name, tensor) for name, tensor in module.named_buffers()),
        ]
        root.listed = [(kind, name, weakref.ref(tensor)) for kind, name, tensor in listed]
        root.fingerprint = _fingerprint(tensor for _, _, tensor in listed)
        for kind, name, tensor in listed:
            self._census.add(kind, module, name, tensor)


def _fingerprint(tensors: Iterable[torch.Tensor | None]) -> tuple[int, ...]:
    return tuple([-2 if tensor is None else tensor.get_device() for tensor in tensors])


def _walk(value: Any, name: str, depth: int) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in ``value`` with their dotted paths."""
    if isinstance(value, torch.Tensor):
        yield name or "0", value
    elif depth and isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _walk(item, f"{name}.{index}" if name else str(index), depth - 1)
    elif depth and isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(item, f"{name}.{key}" if name else str(key), depth - 1)
