"""declearn's vectors, optimizer plug-ins and aggregators, once the program has imported them.

Nothing of declearn is imported here, and none of its files changes: methods are wrapped at run time
by the session's ``VectorSource``, which undoes it.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from placeaudit.import_hook import ImportHook
from placeaudit.record.clock import now_ns
from placeaudit.record.vectors import REGISTRY, Registration, VectorSource, device_of, nbytes_of

if TYPE_CHECKING:
    from placeaudit.record.sites import Sites
    from placeaudit.store.writer import RecordWriter

__all__ = ["VectorLibrary"]

#: Where vectors are defined.  All arithmetic of one goes through ``_apply_operation``.
_VECTORS: Final = {
    "declearn.model.torch._vector": "TorchVector",
    "declearn.model.tensorflow._vector": "TensorflowVector",
    "declearn.model.sklearn._np_vec": "NumpyVector",
}
#: Plug-ins by module: base class and the methods in which their state meets other vectors.
_PLUGINS: Final = {
    "declearn.optimizer.modules": ("OptiModule", ("run", "process_aux_var", "collect_aux_var")),
    "declearn.optimizer.regularizers": ("Regularizer", ("run",)),
    "declearn.aggregator": ("Aggregator", ("prepare_for_sharing", "finalize_updates")),
}
_OPTIMIZER: Final = "declearn.optimizer._base"
#: Plug-ins are looked for this deep in each other: Adam's two moving averages.
_DEPTH: Final = 2
#: Added to the numbers of plug-ins, so that they meet no module or optimizer of a framework.
_FIRST_OWNER: Final = 1 << 40


class VectorLibrary:
    """Waits for declearn's modules and wraps what they define."""

    def __init__(self, source: VectorSource, writer: RecordWriter, sites: Sites) -> None:
        self._source = source
        self._writer = writer
        self._sites = sites
        self._hooks: list[ImportHook] = []
        self._owners: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._next_owner = _FIRST_OWNER
        #: By owner and name: where a state was and where it was expected, when last written.
        self._seen: dict[tuple[int, str], tuple[str, str]] = {}

    def arm(self) -> None:
        """Wrap what is imported already and wait for the rest."""
        for name in (*_VECTORS, *_PLUGINS, _OPTIMIZER):
            module = sys.modules.get(name)
            if module is not None and not _is_half_imported(module):
                self._imported(name)
            else:
                hook = ImportHook(name, functools.partial(self._imported, name))
                hook.install()
                self._hooks.append(hook)

    def disarm(self) -> None:
        """Wait no longer."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def after_fork(self) -> None:
        """In a forked child, whose record is its own."""
        self._seen.clear()

    def _imported(self, name: str) -> None:
        try:
            module = sys.modules[name]
            if name in _VECTORS:
                cls = getattr(module, _VECTORS[name])
                REGISTRY.add(Registration(cls, ("_apply_operation",), _coefficients))
            elif name in _PLUGINS:
                base, methods = _PLUGINS[name]
                for cls in _classes(getattr(module, base)):
                    self._wrap_plugin(cls, methods)
            else:
                self._source.replace(
                    module.Optimizer, "compute_updates_from_gradients", self._optimizer
                )
        except Exception as error:  # noqa: BLE001  (the program runs on, unobserved, and we say so)
            self._writer.note("PA903", f"vectors of {name} are not observed: {error!r}")

    def _wrap_plugin(self, cls: type, methods: tuple[str, ...]) -> None:
        for method in methods:
            if method in vars(cls):
                self._source.replace(cls, method, self._source.plugin)

    def _optimizer(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """``Optimizer.compute_updates_from_gradients``: the census of the plug-ins' states."""

        @functools.wraps(original)
        def compute(optimizer: Any, model: Any, gradients: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._source.active:
                return original(optimizer, model, gradients, *args, **kwargs)
            plugins: list[Any] = []
            try:
                plugins = [*optimizer.regularizers, *optimizer.modules]
                for plugin in plugins:  # the program's own classes come after declearn's import
                    self._wrap_plugin(type(plugin), ("run", "process_aux_var"))
            except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                self._source.failed(error)
            result = original(optimizer, model, gradients, *args, **kwargs)
            try:
                frame = sys._getframe(1)  # noqa: SLF001
                for plugin in plugins:
                    self._census(plugin, gradients, frame, _DEPTH)
            except Exception as error:  # noqa: BLE001
                self._source.failed(error)
            return result

        return compute

    def _census(self, plugin: Any, gradients: Any, frame: FrameType, depth: int) -> None:
        """A row for each tensor of a plug-in's state that is new or has moved."""
        expected = getattr(gradients, "coefs", {})
        owner = self._owner(plugin)
        for state, value in vars(plugin).items():
            if depth and hasattr(value, "run") and hasattr(value, "get_state"):
                self._census(value, gradients, frame, depth - 1)
            if REGISTRY.of(value) is None:
                continue
            for key, tensor in value.coefs.items():
                if key not in expected:
                    continue
                name = f"{key}.{state}"
                where = device_of(tensor), device_of(expected[key])
                if self._seen.get((owner, name)) != where:
                    self._seen[owner, name] = where
                    self._placed(
                        plugin, owner=owner, name=name, tensor=tensor, where=where, frame=frame
                    )

    def _placed(
        self,
        plugin: Any,
        *,
        owner: int,
        name: str,
        tensor: Any,
        where: tuple[str, str],
        frame: FrameType,
    ) -> None:
        string = self._writer.string
        self._writer.rows("placements").append(
            (
                now_ns(),
                string("plugin-state"),
                string(type(plugin).__name__),
                string(name),
                string(where[0]),
                string(_dtype(tensor)),
                string("x".join(map(str, tensor.shape))),
                nbytes_of(tensor),
                string(where[1]),
                owner,
                self._sites.capture(frame),
            )
        )

    def _owner(self, plugin: Any) -> int:
        known = self._owners.get(plugin)
        if known is None:
            known = self._owners[plugin] = self._next_owner
            self._next_owner += 1
        return known


def _coefficients(vector: Any) -> Iterator[Any]:
    for value in vector.coefs.values():
        # IndexedSlices hold a tensor; what has neither shape nor device is no tensor at all.
        tensor = getattr(value, "values", value) if not hasattr(value, "ndim") else value
        if getattr(tensor, "shape", None) is not None:
            yield tensor


def _classes(base: type) -> Iterator[type]:
    """``base`` and everything below it."""
    yield base
    below: list[type] = base.__subclasses__()
    for cls in below:
        yield from _classes(cls)


def _dtype(tensor: Any) -> str:
    return str(getattr(tensor.dtype, "name", tensor.dtype)).removeprefix("torch.")


def _is_half_imported(module: Any) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))
