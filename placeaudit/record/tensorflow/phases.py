"""Steps and phases: gradient tapes, optimizers, Keras' loops, and compiled functions."""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import tensorflow as tf
from tensorflow.python.eager import backprop
from tensorflow.python.eager.polymorphic_function import polymorphic_function
from tensorflow.python.framework import func_graph

from placeaudit.import_hook import ImportHook
from placeaudit.model import Phase
from placeaudit.record.clock import now_ns
from placeaudit.record.tensorflow.slots import SlotCensus

if TYPE_CHECKING:
    from placeaudit.record.tensorflow.context import TensorflowContext
    from placeaudit.record.tensorflow.patches import PatchSet

__all__ = ["PhaseSource"]

_CALLBACKS: Final = "keras.src.callbacks.callback_list"
_OPTIMIZER: Final = "keras.src.optimizers.base_optimizer"
_LAYER: Final = "keras.src.layers.layer"
_TRAINER: Final = "keras.src.backend.tensorflow.trainer"


class PhaseSource:
    """Spans and phases of a TensorFlow program."""

    def __init__(self, context: TensorflowContext, patches: PatchSet) -> None:
        self._context = context
        self._patches = patches
        self._hooks: list[ImportHook] = []

    def arm(self) -> None:
        """Wrap what is there; Keras when it gets imported."""
        self._patches.wrap(backprop.GradientTape, "gradient", self._backward)
        function = polymorphic_function.Function
        self._patches.wrap(function, "__call__", self._function)
        # What is read or made while a function is traced, and its variables' first values.
        self._patches.wrap(func_graph, "func_graph_from_py_func", self._once)
        self._patches.wrap(function, "_initialize_uninitialized_variables", self._once)
        self._when_imported(_CALLBACKS, self._keras_loops)
        self._when_imported(_OPTIMIZER, self._keras_optimizer)
        self._when_imported(_LAYER, self._keras_layer)
        self._when_imported(_TRAINER, self._keras_trainer)

    def disarm(self) -> None:
        """Await no more imports; the patches are undone by their set."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _when_imported(self, module: str, then: Callable[[Any], None]) -> None:
        def now() -> None:
            try:
                then(sys.modules[module])
            except Exception as error:  # noqa: BLE001  (an import of the program must not fail)
                self._context.failed(error)

        if module in sys.modules:
            now()
            return
        hook = ImportHook(module, now)
        hook.install()
        self._hooks.append(hook)

    def _spanned(
        self, original: Callable[..., Any], kind: str, name: Callable[[Any], str], phase: Phase
    ) -> Callable[..., Any]:
        """A method whose eager calls are spans of this kind, in this phase."""
        context = self._context

        @functools.wraps(original)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not tf.executing_eagerly():
                return original(self, *args, **kwargs)
            state = context.state()
            before, start = state.phase, now_ns()
            if phase is not Phase.OTHER:
                state.phase = int(phase)
            try:
                return original(self, *args, **kwargs)
            finally:
                state.phase = before
                context.add_span(kind, name(self), context.owner(self), start)

        return call

    def _backward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        return self._spanned(original, "backward", lambda _: "GradientTape", Phase.BACKWARD)

    def _function(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """A span; of a function in which an optimizer was seen while it was traced, its step too.

        Only tracing runs the optimizer's Python: later calls are known by the function.
        """
        context = self._context
        spanned = self._spanned(original, "module", lambda f: str(f._name), Phase.OTHER)
        known: weakref.WeakKeyDictionary[Any, tuple[str, int]] = weakref.WeakKeyDictionary()

        @functools.wraps(original)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not tf.executing_eagerly():
                return original(self, *args, **kwargs)
            start = now_ns()
            context.state().applied = None
            result = spanned(self, *args, **kwargs)
            traced = context.state().applied
            if traced is not None:
                known[self] = traced
            applied = known.get(self)
            if applied is not None:
                context.add_span("optimizer", *applied, start)
            return result

        return call

    def _once(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """A call that prepares a compiled function: setup, whenever it comes."""
        context = self._context

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            state = context.state()
            before, state.phase = state.phase, int(Phase.SETUP)
            try:
                return original(*args, **kwargs)
            finally:
                state.phase = before

        return call

    def _keras_optimizer(self, module: Any) -> None:
        context, census = self._context, SlotCensus(self._context)

        def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
            spanned = self._spanned(
                original, "optimizer", lambda o: type(o).__name__, Phase.OPTIMIZER
            )

            @functools.wraps(original)
            def apply(self: Any, *args: Any, **kwargs: Any) -> Any:
                result = spanned(self, *args, **kwargs)
                state = context.state()
                if not tf.executing_eagerly() and state.applied is None:
                    state.applied = type(self).__name__, context.owner(self)
                try:
                    census.look(self, sys._getframe(1))
                except Exception as error:  # noqa: BLE001  (our failure is not the program's)
                    context.failed(error)
                return result

            return apply

        self._patches.wrap(module.BaseOptimizer, "apply", wrap)

    def _keras_layer(self, module: Any) -> None:
        """Names the layer that runs; the outermost call, of a model for one, is a span."""
        context = self._context

        def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(original)
            def call(self: Any, *args: Any, **kwargs: Any) -> Any:
                state = context.state()
                layers, start = state.layers, now_ns()
                layers.append(context.string(str(getattr(self, "name", ""))))
                try:
                    return original(self, *args, **kwargs)
                finally:
                    layers.pop()
                    if not layers and tf.executing_eagerly():
                        context.add_span("module", type(self).__name__, context.owner(self), start)

            return call

        self._patches.wrap(module.Layer, "__call__", wrap)

    def _keras_loops(self, module: Any) -> None:
        """``fit`` marks its steps; ``evaluate`` and ``predict`` are a phase of their own."""
        loops = module.CallbackList
        self._patches.wrap(
            loops, "on_train_batch_end", lambda f: self._step_end(f, "batches of fit")
        )
        for name in ("test", "predict"):
            self._patches.wrap(
                loops, f"on_{name}_begin", lambda f: self._phase_from(f, Phase.EVALUATION)
            )
            self._patches.wrap(loops, f"on_{name}_end", lambda f: self._phase_to(f, Phase.OTHER))

    def _keras_trainer(self, module: Any) -> None:
        """``train_on_batch`` is a step, and no callback hears of it."""
        self._patches.wrap(
            module.TensorFlowTrainer,
            "train_on_batch",
            lambda f: self._step_end(f, "train_on_batch"),
        )

    def _step_end(self, original: Callable[..., Any], name: str) -> Callable[..., Any]:
        context = self._context

        @functools.wraps(original)
        def end(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return original(self, *args, **kwargs)
            finally:
                context.mark_step(name)

        return end

    def _phase_from(self, original: Callable[..., Any], phase: Phase) -> Callable[..., Any]:
        context = self._context

        @functools.wraps(original)
        def begin(self: Any, *args: Any, **kwargs: Any) -> Any:
            context.state().phase = int(phase)
            return original(self, *args, **kwargs)

        return begin

    def _phase_to(self, original: Callable[..., Any], phase: Phase) -> Callable[..., Any]:
        context = self._context

        @functools.wraps(original)
        def end(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return original(self, *args, **kwargs)
            finally:
                context.state().phase = int(phase)

        return end
