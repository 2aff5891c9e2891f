"""Which frame of a call stack an event belongs to, and who asked for it.

The site is the user's innermost frame.  Where an installed package made the copy on the user's
behalf, the site also holds that package's innermost frame (so one ``trainer.fit()`` line is not
one site); where the user's line asked for it explicitly, it holds none.  ``PASS_THROUGH`` is the
one place that says which frames of the framework only carry out what the user's line asks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from placeaudit.model import Frame, Site

__all__ = ["PASS_THROUGH", "PassThrough", "Place", "locate", "module_path"]


@dataclass(frozen=True, slots=True)
class PassThrough:
    """Frames of the framework that add nothing of their own.

    ``path`` is a file, or a folder ending in "/", as seen from where packages are installed.
    ``functions`` limits it to functions whose qualified name ends in one of these; empty: all.
    """

    path: str
    why: str
    functions: tuple[str, ...] = ()


#: Methods of a Keras model that hand their arguments to the compiled step, and that step itself.
_BATCH_METHODS: Final = (
    "train_on_batch", "test_on_batch", "predict_on_batch", "one_step_on_data",
    "one_step_on_iterator", "multi_step_on_iterator", "function", "wrapper",
)  # fmt: skip

#: Checked first match first.  What is not listed here acts on the user's behalf.
PASS_THROUGH: Final[tuple[PassThrough, ...]] = (
    PassThrough("torch/_tensor.py", "methods of the tensor itself: format, tolist, in, backward"),
    PassThrough("torch/_tensor_str.py", "print(tensor) and f-strings of one: the user's line"),
    PassThrough("torch/functional.py", "Python halves of torch.unique, torch.norm, …"),
    PassThrough("torch/_jit_internal.py", "chooses between overloads of torch.unique, …"),
    PassThrough("torch/overrides.py", "hands a call over to __torch_function__"),
    PassThrough("torch/__init__.py", "torch.sym_* and checks on behalf of plain calls"),
    PassThrough("torch/_ops.py", "torch.ops: an operator called by name"),
    PassThrough("torch/_refs/", "reference implementations of the operator that was called"),
    PassThrough("torch/_prims/", "as torch._refs"),
    PassThrough("torch/_prims_common/", "as torch._refs"),
    PassThrough("torch/_decomp/", "decompositions of the operator that was called"),
    PassThrough("torch/_compile.py", "keeps the compiler out of a call"),
    PassThrough("torch/_dynamo/", "as torch._compile"),
    PassThrough("torch/library.py", "the user's own operator"),
    PassThrough("torch/_library/", "the user's own operator"),
    PassThrough("torch/storage.py", "moves a storage where it was told to"),
    PassThrough("torch/_utils.py", "Tensor.cuda/.type of old, rebuilding on load"),
    PassThrough("torch/serialization.py", "torch.save and torch.load copy what they are given"),
    PassThrough("torch/utils/_contextlib.py", "decorators such as @torch.no_grad()"),
    PassThrough("torch/utils/_device.py", "`with torch.device(…)`"),
    PassThrough("torch/utils/checkpoint.py", "runs the user's function again"),
    PassThrough("torch/utils/hooks.py", "calls the user's hooks"),
    PassThrough("torch/nn/modules/module.py", "calls, moves and loads the user's module as told"),
    PassThrough("torch/nn/modules/container.py", "calls the modules inside"),
    PassThrough("torch/autograd/__init__.py", "backward() and grad()"),
    PassThrough("torch/autograd/function.py", "calls the user's autograd function"),
    PassThrough(
        "torch/autograd/graph.py",
        "enters the engine; the rest of the file (save_on_cpu) copies on its own",
        ("_engine_run_backward",),
    ),
    PassThrough("torch/autograd/grad_mode.py", "switches gradients"),
    PassThrough("torch/amp/autocast_mode.py", "@autocast: calls the user's function"),
    PassThrough("torch/optim/optimizer.py", "wraps step(); loads state as told"),
    PassThrough("torch/optim/lr_scheduler.py", "wraps the optimizer's step", ("wrapper",)),
    PassThrough("torch/cuda/", "synchronize, empty_cache, streams and events are asked for"),
    PassThrough("torch/accelerator/", "as torch.cuda"),
    PassThrough("torch/random.py", "seeds and generator states are asked for"),
    PassThrough("torch/utils/data/", "calls the user's Dataset, sampler and collate function"),
    PassThrough("tensorflow/python/ops/", "the operation that was called, its gradient"),
    PassThrough("tensorflow/python/framework/", "methods of the tensor itself, constants"),
    PassThrough("tensorflow/python/eager/", "runs operations, tapes and traced functions"),
    PassThrough("tensorflow/python/client/session.py", "feeds and fetches what the line says"),
    PassThrough("tensorflow/python/profiler/trace.py", "names what runs for the profiler"),
    PassThrough("tensorflow/python/util/", "decorators: dispatch, tracebacks"),
    PassThrough("tensorflow/python/autograph/", "calls the user's function"),
    PassThrough("tensorflow/core/function/", "makes tensors of a traced function's arguments"),
    PassThrough("tensorflow/python/module/", "as torch.nn.modules.module"),
    PassThrough("keras/src/utils/traceback_utils.py", "shortens tracebacks"),
    PassThrough("keras/src/layers/layer.py", "calls the user's layer"),
    PassThrough("keras/src/ops/operation.py", "calls the user's layer"),
    PassThrough("keras/src/ops/function.py", "as keras/src/layers/layer.py"),
    PassThrough("keras/src/models/functional.py", "a model calls its layers"),
    PassThrough("keras/src/models/sequential.py", "a model calls its layers"),
    PassThrough("keras/src/tree/", "maps a function over nested arguments"),
    PassThrough("optree/", "maps a function over nested arguments"),
    PassThrough("keras/src/dtype_policies/", "converts what a layer is called with"),
    PassThrough("keras/src/backend/common/variables.py", "a variable's own methods"),
    PassThrough("keras/src/backend/tensorflow/core.py", "conversions that are asked for"),
    PassThrough(
        "keras/src/backend/tensorflow/trainer.py",
        "the compiled step, with the very arrays it is called with",
        _BATCH_METHODS,
    ),
)

#: Frames in these make their copies part of saving or loading state, not of training.
_CHECKPOINT_FILES: Final = ("torch/serialization.py", "torch/distributed/checkpoint/")
_CHECKPOINT_FUNCTIONS: Final = frozenset(
    {"load_state_dict", "state_dict", "_load_from_state_dict", "__deepcopy__", "deepcopy"}
)

#: What a host tensor is made in if it is data: a Dataset, loader, sampler or collate function.
_DATA_FOLDER: Final = "torch/utils/data/"
_DATA_FUNCTION: Final = re.compile(
    r"(^|\.)(__getitem__|__getitems__|__iter__|__next__|collate\w*|\w*_collate|collate_fn)$"
)

_FRAMEWORKS: Final = frozenset({"torch", "tensorflow"})

_STDLIB: Final = "<stdlib>"
_OURS: Final = "placeaudit"


@dataclass(frozen=True, slots=True)
class Place:
    """What one call stack says: the site, and what the event was part of."""

    site: Site
    #: Saves or loads state (``torch.save``, ``load_state_dict``, …).
    checkpoint: bool = False
    #: Ran inside a Dataset, loader, sampler or collate function.
    data: bool = False


def module_path(frame: Frame) -> str:
    """The frame's file as seen from where its package is installed: "torch/_tensor.py"."""
    file = frame.file.replace("\\", "/")
    start = file.rfind(f"/{frame.package}/")
    if start >= 0 and frame.package:
        # A package may hold a folder of its own name (torch/_inductor/…/torch/): take the outermost
        # one below site-packages where that can be told.
        packages = max(file.rfind("/site-packages/"), file.rfind("/dist-packages/"))
        first = file.find(f"/{frame.package}/", max(packages, 0))
        return file[(first if packages >= 0 else start) + 1 :]
    return file


def _passes_through(frame: Frame) -> bool:
    path = module_path(frame)
    for entry in PASS_THROUGH:
        inside = path.startswith(entry.path) if entry.path.endswith("/") else path == entry.path
        if inside and (not entry.functions or frame.function.rpartition(".")[2] in entry.functions):
            return True
    return False


def locate(frames: Sequence[Frame], *, via_backward: bool, own: Collection[str]) -> Place:
    """The place of the stack ``frames`` (innermost first).

    ``own`` names installed packages that count as the user's code.
    """
    users = next(
        (i for i, f in enumerate(frames) if not f.package or f.package in own), len(frames)
    )
    below = [f for f in frames[:users] if f.package not in {_STDLIB, _OURS}]
    acting = [f for f in below if not _passes_through(f)]
    user = frames[users] if users < len(frames) else None
    library: Frame | None = None
    if acting:
        # Who decided on it: libraries call each other (a pipeline its estimator, a trainer the
        # loader), and the framework does what the innermost of them says.  The frame itself keeps
        # one big call's lines apart.
        library = next((f for f in acting if f.package not in _FRAMEWORKS), acting[0])
    elif user is None and below:
        library = below[0]
    return Place(
        Site(user, library, via_backward),
        checkpoint=any(map(_saves_or_loads, frames)),
        data=is_data(frames),
    )


def _saves_or_loads(frame: Frame) -> bool:
    if frame.function.rpartition(".")[2] in _CHECKPOINT_FUNCTIONS:
        return True
    return frame.package == "torch" and module_path(frame).startswith(_CHECKPOINT_FILES)


def is_data(frames: Iterable[Frame]) -> bool:
    """Whether a stack runs inside a Dataset, a loader, a sampler or a collate function."""
    return any(
        _DATA_FUNCTION.search(f.function) is not None
        or (f.package == "torch" and module_path(f).startswith(_DATA_FOLDER))
        for f in frames
    )
