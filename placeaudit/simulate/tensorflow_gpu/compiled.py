"""Keras' steps that a GPU would have compiled by XLA.

Keras lets XLA compile the step of ``fit``, ``evaluate`` and ``predict`` where a GPU is listed and
nobody says otherwise (``compile(jit_compile="auto")``).  On the CPU that stands for the GPU, XLA
would take long, round otherwise and draw other random numbers than the program does without us.
So such a step stays as it is on a machine without a GPU, and only its placement is XLA's: all of
it on the GPU, whatever devices and host-only types it names, with nothing that crosses inside.

``jit_compile=True`` is the program's own choice on every machine: it is left alone.

LSTM and GRU layers take cuDNN's kernels where a GPU is listed, which a CPU build lacks: they stay
with the loop that they have on a machine without a GPU.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from placeaudit.import_hook import ImportHook

if TYPE_CHECKING:
    from placeaudit.simulate.tensorflow_gpu.patches import Patches
    from placeaudit.simulate.tensorflow_gpu.placement import Placement

__all__ = ["add_compiled_steps"]

_RECURRENT: Final = "keras.src.backend.tensorflow.rnn"
_TRAINER: Final = "keras.src.backend.tensorflow.trainer"
_METHODS: Final = (
    "compile", "_resolve_auto_jit_compile", "_make_function", "make_predict_function"
)  # fmt: skip
_Method = Callable[..., Any]


def add_compiled_steps(patches: Patches, placement: Placement) -> None:
    """Change Keras' trainer, now or once it is imported."""

    def arm() -> None:
        trainer: Any = getattr(sys.modules[_TRAINER], "TensorFlowTrainer", None)
        if all(hasattr(trainer, name) for name in _METHODS):
            steps = _Steps(placement)
            for name, change in zip(_METHODS, steps.changes(), strict=True):
                # Keras compares methods with its own class's: they change where they are defined.
                owner = next(kind for kind in trainer.__mro__ if name in vars(kind))
                patches.replace(owner, name, change(vars(owner)[name]))

    def without_cudnn() -> None:
        patches.replace(sys.modules[_RECURRENT], "_is_gpu_available", lambda: False)

    _when_imported(_TRAINER, arm, patches)
    _when_imported(_RECURRENT, without_cudnn, patches)


def _when_imported(module: str, then: Callable[[], None], patches: Patches) -> None:
    if module in sys.modules:
        then()
        return
    hook = ImportHook(module, then)
    hook.install()
    patches.on_undo(hook.remove)


class _Steps:
    """Which models' steps a GPU would compile, and their placement."""

    def __init__(self, placement: Placement) -> None:
        self._placement = placement
        self._models: weakref.WeakSet[Any] = weakref.WeakSet()

    def changes(self) -> tuple[Callable[[_Method], _Method], ...]:
        """How each of the trainer's methods is wrapped, in the order of their names."""
        return self._compile, self._resolve, self._make, self._make_predict

    def _compile(self, original: _Method) -> _Method:
        @functools.wraps(original)
        def compile(model: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: A001
            self._models.discard(model)  # what was said before holds no more
            return original(model, *args, **kwargs)

        return compile

    def _resolve(self, original: _Method) -> _Method:
        @functools.wraps(original)
        def resolve_auto_jit_compile(model: Any) -> bool:
            if original(model):
                self._models.add(model)
            return False

        return resolve_auto_jit_compile

    def _make(self, original: _Method) -> _Method:
        @functools.wraps(original)
        def make_function(model: Any, step: _Method) -> Any:
            return original(model, self._whole(step) if self._is_compiled(model) else step)

        return make_function

    def _make_predict(self, original: _Method) -> _Method:
        @functools.wraps(original)
        def make_predict_function(model: Any, *args: Any, **kwargs: Any) -> Any:
            before = model.predict_function
            found = original(model, *args, **kwargs)
            made = model.predict_function
            if made is not before and self._is_compiled(model):
                model.predict_function = self._whole(made)
            return found

        return make_predict_function

    def _is_compiled(self, model: Any) -> bool:
        return not model.jit_compile and not model.run_eagerly and model in self._models

    def _whole(self, step: _Method) -> _Method:
        """What ``step`` traces is one piece on the GPU."""

        @functools.wraps(step)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._placement.one_piece():
                return step(*args, **kwargs)

        return call
