"""Every patch of torch's Python surface that recording makes, each with its undo.

Operators are not patched here: ``backends`` puts kernels before them.  A patch replaces one
attribute by a function that looks like the original and calls it; :meth:`Patch.undo` puts the
original back.  Names that the program imported before (``from torch import zeros``) keep the
original: such calls are simply not seen.
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
from placeaudit.record.torch.context import BACKWARD_KEY, BackwardPass, TorchContext

__all__ = ["Patch", "Patches"]

#: Host factories (PA103), in the ``torch`` namespace.
FACTORIES: Final = (
    "arange", "empty", "empty_like", "eye", "full", "full_like", "linspace", "logspace", "ones",
    "ones_like", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm",
    "tensor", "zeros", "zeros_like",
)  # fmt: skip

#: Python functions that make the host wait, as (path under torch, name, cause).
SYNCHRONIZING: Final = (
    ("cuda", "synchronize", "synchronize"),
    ("cuda", "empty_cache", "empty_cache"),
    ("cuda.Stream", "synchronize", "Stream.synchronize"),
    ("cuda.Event", "synchronize", "Event.synchronize"),
    ("accelerator", "synchronize", "synchronize"),
    ("accelerator", "empty_cache", "empty_cache"),
    ("xpu", "synchronize", "synchronize"),
    ("xpu", "empty_cache", "empty_cache"),
    ("xpu.Stream", "synchronize", "Stream.synchronize"),
    ("xpu.Event", "synchronize", "Event.synchronize"),
    ("mps", "synchronize", "synchronize"),
    ("mps", "empty_cache", "empty_cache"),
)

_MISSING: Final = object()

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


def _is_initialized(module: Any) -> bool:
    known: Callable[[], bool] | None = getattr(module, "is_initialized", None)
    return known is None or known()


def _device_name(device_type: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The device that a synchronizing call waited for: its argument's, else the current one."""
    subject = args[0] if args else kwargs.get("device")
    if isinstance(subject, str):
        subject = torch.device(subject)
    for name in ("index", "device_index"):  # a torch.device, a stream
        index = getattr(subject, name, None)
        if isinstance(index, int):
            return f"{device_type}:{index}"
    if not isinstance(subject, int):
        subject = getattr(getattr(subject, "device", None), "index", None)  # an event
    if subject is None:
        subject = torch.accelerator.current_device_index()
    return f"{device_type}:{subject}"


class Patch:
    """One attribute of somebody else's object, replaced by ours."""

    def __init__(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        self.owner = owner
        self.name = name
        #: What stood in the owner itself; an inherited attribute is deleted again, not copied.
        self._own = vars(owner).get(name, _MISSING)
        self.original = getattr(owner, name)
        self.replacement = make(self.original)
        setattr(owner, name, self.replacement)

    def undo(self) -> None:
        """Put the original back, unless somebody patched over ours since."""
        if vars(self.owner).get(self.name) is not self.replacement:
            return
        if self._own is _MISSING:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self._own)


class Patches:
    """Makes, keeps and undoes the patches of one session.

    A replacement that somebody still holds after the undo passes on without recording.
    """

    def __init__(self, context: TorchContext) -> None:
        self._context = context
        self._patches: list[Patch] = []
        self._undo: list[Callable[[], None]] = []
        self._active = True

    def arm(self) -> None:
        """Make every patch."""
        self._engine()
        for path, name, cause in SYNCHRONIZING:
            self._synchronize(path, name, cause)
        self._loader()
        self._checkpoints()
        self._moves()
        self._unobserved()
        self._factories()
        self._pinning()

    def disarm(self) -> None:
        """Undo every patch, the latest first."""
        self._active = False
        for undo in reversed(self._undo):
            undo()
        for patch in reversed(self._patches):
            patch.undo()
        self._patches.clear()
        self._undo.clear()

    def _patch(self, owner: Any, name: str, make: Callable[[Any], Any]) -> Patch | None:
        if owner is None or not hasattr(owner, name):
            return None
        patch = Patch(owner, name, make)
        self._patches.append(patch)
        return patch

    def _engine(self) -> None:
        """``_engine_run_backward``: what ``Tensor.backward`` and ``autograd.grad`` both call."""
        context = self._context

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            def inner(*args: Any, **kwargs: Any) -> Any:
                if not self._active or torch.compiler.is_compiling():
                    return original(*args, **kwargs)
                state = context.state()
                stack = context.sites.capture(sys._getframe(1))
                outer = context.current_pass()
                phase, state.phase = state.phase, int(Phase.BACKWARD)
                # The engine hands this to its threads, which have no Python frame to ask.
                torch._C._stash_obj_in_tls(BACKWARD_KEY, BackwardPass(stack, state))
                start = now_ns()
                try:
                    return original(*args, **kwargs)
                finally:
                    context.add_span("backward", "backward", -1, start)
                    state.phase = phase
                    if outer is None:
                        torch._C._remove_obj_from_tls(BACKWARD_KEY)
                    else:
                        torch._C._stash_obj_in_tls(BACKWARD_KEY, outer)

            context.engine_code = inner.__code__
            return functools.wraps(original)(inner)

        patch = self._patch(torch.autograd.graph, "_engine_run_backward", make)
        if patch is not None:
            # torch.autograd imported the function by name.
            self._patch(torch.autograd, "_engine_run_backward", lambda _: patch.replacement)

    def _synchronize(self, path: str, name: str, cause: str) -> None:
        owner: Any = torch
        for part in path.split("."):
            owner = getattr(owner, part, None)
        context = self._context

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(original)
            def synchronize(*args: Any, **kwargs: Any) -> Any:
                state = context.state()
                if not self._active or state.waiting:
                    return original(*args, **kwargs)
                try:
                    where = context.where(sys._getframe(1), state, in_graph=None)
                except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                    context.failed(error)
                    return original(*args, **kwargs)
                state.waiting += 1
                start = now_ns()
                try:
                    result = original(*args, **kwargs)
                finally:
                    state.waiting -= 1
                end = now_ns()
                if name == "empty_cache" and not _is_initialized(owner):
                    return result  # there was nothing to empty, nor a device to wait for
                try:
                    device = context.string(_device_name(context.device_type, args, kwargs))
                    operation = context.operation(cause)
                    context.add_wait((start, end - start, operation, device, *where))
                    if name == "synchronize":
                        # Of a stream or event too: a download on that one is what it is for.
                        context.waited(state, -1)
                except Exception as error:  # noqa: BLE001
                    context.failed(error)
                return result

            return synchronize

        self._patch(owner, name, make)

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
            result = original(*args, **kwargs)
            if not self._active or torch.compiler.is_compiling():
                return result
            try:
                if result.is_cpu:
                    frame = sys._getframe(1)
                    stack = context.sites.capture(frame)
                    thread = context.state().thread
                    storages.born(result, Birth(now_ns(), stack, thread))
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
