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
from placeaudit.model import Phase
from placeaudit.record.clock import now_ns
from placeaudit.record.vector_source import VectorSource, states_of
from placeaudit.record.vectors import (
    OPERATIONS,
    REGISTRY,
    Registration,
    device_of,
    dtype_of,
    named_tensors,
    nbytes_of,
)
from placeaudit.store.writer import WAKE_ROWS

if TYPE_CHECKING:
    from placeaudit.record.sites import Sites
    from placeaudit.record.vector_source import Surroundings
    from placeaudit.store.writer import RecordWriter

__all__ = ["VectorLibrary"]

#: Where vectors are defined.
_VECTORS: Final = {
    "declearn.model.torch._vector": "TorchVector",
    "declearn.model.tensorflow._vector": "TensorflowVector",
    "declearn.model.sklearn._np_vec": "NumpyVector",
}
#: Methods of every vector; the private one is what subclasses write operations of their own with.
_OPERATIONS: Final = (*OPERATIONS, "__eq__", "minimum", "maximum", "_apply_operation")
_FUNCTIONS: Final = ("apply_func", "sign", "sum")
_PACKING: Final = ("pack", "flatten")
_UNPACKING: Final = ("unpack", "unflatten")
#: Plug-ins by module: base class, what it is, and methods in which its state meets other vectors.
_PLUGINS: Final = {
    "declearn.optimizer.modules": (
        "OptiModule", "module", ("run", "process_aux_var", "collect_aux_var"),
    ),
    "declearn.optimizer.regularizers": ("Regularizer", "regularizer", ("run",)),
    "declearn.aggregator": (
        "Aggregator", "aggregator", ("prepare_for_sharing", "finalize_updates"),
    ),
    "declearn.utils._aggregate": ("Aggregate", "aggregate", ("aggregate",)),
}  # fmt: skip
_OPTIMIZER: Final = "declearn.optimizer._base"
#: Serializers keep the functions that were registered with them; ours go there too.
_SERIALIZERS: Final = "declearn.utils.serialize._base"
#: Plug-ins are looked for this deep in each other: Adam's two moving averages.
_DEPTH: Final = 2
#: Added to the numbers of plug-ins, so that they meet no module or optimizer of a framework.
_FIRST_OWNER: Final = 1 << 40


class VectorLibrary:
    """Waits for declearn's modules and wraps what they define."""

    def __init__(
        self, source: VectorSource, writer: RecordWriter, sites: Sites, surroundings: Surroundings
    ) -> None:
        self._source = source
        self._writer = writer
        self._sites = sites
        self._around = surroundings
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
                self._wrap_vector(getattr(module, _VECTORS[name]))
            elif name in _PLUGINS:
                base, role, methods = _PLUGINS[name]
                self._wrap_plugins(getattr(module, base), role, methods)
            else:
                self._source.replace(
                    module.Optimizer, "compute_updates_from_gradients", self._optimizer
                )
        except Exception as error:  # noqa: BLE001  (the program runs on, unobserved, and we say so)
            self._writer.note("PA903", f"vectors of {name} are not observed: {error!r}")

    def _wrap_vector(self, cls: type) -> None:
        there = functools.partial(_there, cls)
        registration = Registration(
            there(_OPERATIONS), _coefficients, there(_FUNCTIONS), there(_PACKING), there(_UNPACKING)
        )
        REGISTRY.add_library(self._source, cls, registration)
        serializers = sys.modules.get(_SERIALIZERS)
        for known in getattr(serializers, "_SERIAL_REGISTRY", {}).values():
            spec = known.get(cls)
            if spec is not None:
                self._source.replace(spec, "encoder", lambda _: functools.partial(_packed))
                self._source.replace(spec, "decoder", lambda _: functools.partial(_unpacked, cls))

    def _wrap_plugins(self, base: type, role: str, methods: tuple[str, ...]) -> None:
        """``base``, everything below it, and what the program will derive from it."""
        for cls in _classes(base):
            self._wrap_plugin(cls, role, methods)
        self._source.replace_class_method(
            base, "__init_subclass__", functools.partial(self._derived, role, methods)
        )

    def _wrap_plugin(self, cls: type, role: str, methods: tuple[str, ...]) -> None:
        for method in methods:
            if method in vars(cls):
                self._source.replace(cls, method, functools.partial(self._source.plugin, role))
        if "set_state" in vars(cls):
            self._source.replace(cls, "set_state", self._source.restoring)

    def _derived(
        self, role: str, methods: tuple[str, ...], original: Callable[..., Any]
    ) -> Callable[..., Any]:
        """``__init_subclass__`` of a plug-in's base class."""

        @functools.wraps(original)
        def derived(cls: Any, *args: Any, **kwargs: Any) -> None:
            original(cls, *args, **kwargs)
            if self._source.active:
                try:
                    self._wrap_plugin(cls, role, methods)
                except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                    self._source.failed(error)

        return derived

    def _optimizer(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """``Optimizer.compute_updates_from_gradients``: its phase, and where its states live."""

        @functools.wraps(original)
        def compute(optimizer: Any, model: Any, gradients: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._source.active:
                return original(optimizer, model, gradients, *args, **kwargs)
            leave = self._around.in_phase(Phase.OPTIMIZER)
            try:
                result = original(optimizer, model, gradients, *args, **kwargs)
            finally:
                leave()
            try:
                frame = sys._getframe(1)  # noqa: SLF001
                expected = dict(named_tensors(gradients))
                for plugin in (*optimizer.regularizers, *optimizer.modules):
                    self._census(plugin, type(plugin).__name__, expected, frame)
            except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                self._source.failed(error)
            return result

        return compute

    def _census(self, plugin: Any, path: str, expected: dict[str, Any], frame: FrameType) -> None:
        """A row for each tensor of a plug-in's state that is new or has moved."""
        owner = self._owner(plugin)
        for name, value in getattr(plugin, "__dict__", {}).items():
            if path.count(".") < _DEPTH and hasattr(value, "run") and hasattr(value, "get_state"):
                self._census(value, f"{path}.{name}", expected, frame)
        for state, vector in states_of(plugin):
            for key, tensor in named_tensors(vector):
                if key not in expected:
                    continue
                name = f"{key}.{state}"
                where = device_of(tensor), device_of(expected[key])
                if self._seen.get((owner, name)) != where:
                    self._seen[owner, name] = where
                    self._placed(
                        path, owner=owner, name=name, tensor=tensor, where=where, frame=frame
                    )

    def _placed(
        self,
        path: str,
        *,
        owner: int,
        name: str,
        tensor: Any,
        where: tuple[str, str],
        frame: FrameType,
    ) -> None:
        string = self._writer.string
        rows = self._writer.rows("placements")
        rows.append(
            (
                now_ns(),
                string("plugin-state"),
                string(path),
                string(name),
                string(where[0]),
                string(dtype_of(tensor)),
                string("x".join(map(str, tensor.shape))),
                nbytes_of(tensor),
                string(where[1]),
                owner,
                self._sites.capture(frame),
            )
        )
        if len(rows) >= WAKE_ROWS:
            self._writer.pressure(len(rows))

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


def _there(cls: type, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if callable(getattr(cls, name, None)))


def _packed(vector: Any) -> Any:
    """What a serializer asks of a vector: its own method, which is recorded."""
    return vector.pack()


def _unpacked(cls: Any, data: Any) -> Any:
    return cls.unpack(data)


def _is_half_imported(module: Any) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))
