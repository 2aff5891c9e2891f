"""The patches of torch's Python surface that only recording needs, each with its undo.

Those that guards need too stand in ``calls``, where it is also said what a patch is.  Under
``placeaudit trace`` and in child processes they are there before the program can import anything of
torch.  Where a trace begins later (``placeaudit.trace()``, a test), names that were imported before
(``from torch import zeros``, ``save``, ``load``) keep the original, and such calls are not seen as
the birth of a tensor or as a checkpoint; copies, waits, guards, modules and optimizers do not
depend on names.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final

import torch

from placeaudit.model import Phase
from placeaudit.record.clock import now_ns
from placeaudit.record.content import Birth
from placeaudit.record.torch.calls import Patch, PatchSet
from placeaudit.record.torch.context import TorchContext

__all__ = ["Patches"]

#: Host factories (PA103), in the ``torch`` namespace.
FACTORIES: Final = (
    "arange", "empty", "empty_like", "eye", "full", "full_like", "linspace", "logspace", "ones",
    "ones_like", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm",
    "tensor", "zeros", "zeros_like",
)  # fmt: skip

#: Loaded tensors are looked for this deep in dicts, lists and tuples, and no more than so many.
_LOADED_DEPTH: Final = 6
MAX_LOADED: Final = 10_000


def _host_tensors(value: Any, depth: int) -> Iterator[torch.Tensor]:
    """The host tensors in what ``torch.load`` returned; a pickled tensor arrives as a storage."""
    if isinstance(value, torch.storage.TypedStorage):
        value = value._untyped_storage
    if isinstance(value, torch.UntypedStorage):
        if value.device.type == "cpu":
            yield torch.empty(0, dtype=torch.uint8).set_(value)
    elif isinstance(value, torch.Tensor):
        if value.is_cpu:
            yield value
    elif depth and isinstance(value, (list, tuple)):
        for item in value:
            yield from _host_tensors(item, depth - 1)
    elif depth and isinstance(value, dict):
        for item in value.values():
            yield from _host_tensors(item, depth - 1)


class Patches(PatchSet):
    """Makes, keeps and undoes the patches of one session.

    A replacement that somebody still holds after the undo passes on without recording.
    """

    def __init__(self, context: TorchContext) -> None:
        super().__init__()
        self._context = context

    def arm(self) -> None:
        """Make every patch."""
        self._loader()
        self._checkpoints()
        self._moves()
        self._unobserved()
        self._factories()
        self._pinning()
        self._ranks()

    def _loader(self) -> None:
        """Every batch a DataLoader hands out: the wait for it is phase ``loading``."""
        from torch.utils.data.dataloader import _BaseDataLoaderIter

        def name(iterator: Any) -> str:
            return type(iterator).__name__.strip("_")

        self._patch(_BaseDataLoaderIter, "__next__", self._timed("loading", Phase.LOADING, name))

    def _checkpoints(self) -> None:
        def name(_: Any) -> str:
            return "checkpoint"

        timed = self._timed("checkpoint", Phase.CHECKPOINT, name, owned=False)
        self._patch(torch, "save", timed)
        self._patch(torch, "load", lambda original: self._loaded(timed(original)))

    def _loaded(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """``torch.load``: where the host tensors in what it returns came from."""
        context = self._context

        @functools.wraps(original)
        def load(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if not self._active:
                return result
            try:
                stack = context.sites.capture(sys._getframe(1))
                birth = functools.partial(Birth, now_ns(), stack, context.state().thread)
                for tensor in itertools.islice(_host_tensors(result, _LOADED_DEPTH), MAX_LOADED):
                    context.storages.born(tensor, birth(kind="load"))
            except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                context.failed(error)
            return result

        return load

    def _pinning(self) -> None:
        """``Tensor.pin_memory`` (PA207).  A call of a tensor that is pinned already returns it."""
        context = self._context

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(original)
            def pin_memory(tensor: Any, *args: Any, **kwargs: Any) -> Any:
                start = now_ns()
                result = original(tensor, *args, **kwargs)
                if not self._active or result is tensor or torch.compiler.is_compiling():
                    return result
                try:
                    end = now_ns()
                    where = context.where(sys._getframe(1), context.state(), in_graph=None)
                    kind, storage = context.string("pin_memory"), context.storages.number(result)
                    context.calls.append((start, end - start, kind, result.nbytes, storage, *where))
                except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                    context.failed(error)
                return result

            return pin_memory

        self._patch(torch.Tensor, "pin_memory", make)

    def _ranks(self) -> None:
        """``init_process_group``: which rank a program gives itself, without a launcher."""
        facts = self._context.writer.facts

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(original)
            def init_process_group(*args: Any, **kwargs: Any) -> Any:
                result = original(*args, **kwargs)
                if self._active and torch.distributed.is_initialized():
                    facts["rank"] = torch.distributed.get_rank()
                    facts["world_size"] = torch.distributed.get_world_size()
                return result

            return init_process_group

        if torch.distributed.is_available():
            self._patch(torch.distributed, "init_process_group", make)

    def _timed(
        self, kind: str, phase: Phase, name: Callable[[Any], str], *, owned: bool = True
    ) -> Callable[[Any], Any]:
        """A wrapper that sets ``phase`` and writes a span for each call that returns."""
        context = self._context

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(original)
            def timed(*args: Any, **kwargs: Any) -> Any:
                if not self._active:
                    return original(*args, **kwargs)
                state = context.state()
                outer, state.phase = state.phase, int(phase)
                start = now_ns()
                try:
                    result = original(*args, **kwargs)
                finally:
                    state.phase = outer
                first = args[0] if args else None
                label = original.__name__ if not owned else name(first)
                context.add_span(kind, label, context.owner(first) if owned else -1, start)
                return result

            return timed

        return make

    def _moves(self) -> None:
        """``Module._apply``, below ``.to()``, ``.cuda()``, ``.half()``: span ``model-move``."""
        context = self._context

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(original)
            def _apply(module: Any, *args: Any, **kwargs: Any) -> Any:
                if not self._active or torch.compiler.is_compiling():
                    return original(module, *args, **kwargs)
                state = context.state()
                state.moving += 1
                start = now_ns()
                try:
                    return original(module, *args, **kwargs)
                finally:
                    state.moving -= 1
                    if not state.moving:
                        context.moves += 1
                        context.add_span(
                            "model-move", type(module).__name__, context.owner(module), start
                        )

            return _apply

        self._patch(torch.nn.Module, "_apply", make)

    def _unobserved(self) -> None:
        """What runs without our kernels: captured graphs and compiled functions (PA902)."""
        context = self._context

        def make(text: str) -> Callable[[Any], Any]:
            def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
                noted: set[int] = set()

                @functools.wraps(original)
                def unobserved(*args: Any, **kwargs: Any) -> Any:
                    if self._active:
                        stack = context.sites.capture(sys._getframe(1))
                        if stack not in noted:
                            noted.add(stack)
                            context.writer.note("PA902", text, stack)
                    return original(*args, **kwargs)

                return unobserved

            return wrap

        graph = getattr(torch.cuda, "CUDAGraph", None)
        text = "copies and waits inside this captured CUDA graph are not seen when it is replayed"
        self._patch(graph, "capture_begin", make(text))
        text = "operations inside this compiled function are seen only where it runs eagerly"
        self._patch(torch, "compile", make(text))

    def _factories(self) -> None:
        """The host factories of the ``torch`` namespace, for the births of what is uploaded.

        A kernel before ``aten::empty.memory_format`` on the CPU key would see these and more, but
        also what CPU operators allocate inside: about 150 calls in a step of a ResNet-like net or
        a transformer, 3.4 µs each before anything is recorded.  And it would run on intra-op
        threads while their caller holds the GIL, which deadlocks.  The functions cost 2.8 µs, and
        only where the program calls one.
        """
        from torch.utils import _device

        # Cached on first use and compared by identity: must hold the originals.
        _device._device_constructors()
        for name in FACTORIES:
            patch = self._patch(torch, name, self._factory)
            if patch is not None:
                self._known_to_jit(patch)

    def _factory(self, original: Callable[..., Any]) -> Callable[..., Any]:
        context = self._context
        storages = context.storages

        @functools.wraps(original)
        def factory(*args: Any, **kwargs: Any) -> Any:
            start = now_ns()
            result = original(*args, **kwargs)
            if not self._active or torch.compiler.is_compiling():
                return result
            try:
                if result.is_cpu:
                    frame = sys._getframe(1)
                    stack = context.sites.capture(frame)
                    thread = context.state().thread
                    storages.born(result, Birth(start, stack, thread))
            except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                context.failed(error)
            return result

        # Pickled by name: the built-in's own qualified name leads to a class, not to the function.
        factory.__module__, factory.__qualname__ = "torch", original.__name__
        return factory

    def _known_to_jit(self, patch: Patch) -> None:
        """``torch.jit.script`` finds operators by the identity of the function it is given."""
        builtins: ModuleType | None = sys.modules.get("torch.jit._builtins")
        table: dict[int, str] | None = builtins._get_builtin_table() if builtins else None
        operator = table.get(id(patch.original)) if table is not None else None
        if table is None or operator is None:
            return
        key = id(patch.replacement)
        table[key] = operator

        def undo() -> None:
            table.pop(key, None)

        self._undo.append(undo)
