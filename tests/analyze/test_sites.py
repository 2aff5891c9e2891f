from __future__ import annotations

import pytest

from placeaudit.analyze.sites import locate, module_path
from placeaudit.model import Frame, Site
from tests.analyze.builder import torch_frame

USER = Frame("/work/train.py", "train", 10, 10, 4, 20)
OUTER = Frame("/work/main.py", "main", 3)
CALL = torch_frame("torch/nn/modules/module.py", "Module._call_impl")
STDLIB = Frame("/usr/lib/python3.11/logging/__init__.py", "Logger.info", 5, package="<stdlib>")


def place(*frames: Frame, own: tuple[str, ...] = ()) -> Site:
    return locate(frames, via_backward=False, own=own).site


def test_the_users_innermost_frame_is_the_site() -> None:
    assert place(USER, OUTER) == Site(USER)
    assert place(USER, CALL, OUTER) == Site(USER)


@pytest.mark.parametrize(
    "below",
    [
        (torch_frame("torch/_tensor.py", "Tensor.__format__"),),
        (
            torch_frame("torch/_tensor_str.py", "_str_intern"),
            torch_frame("torch/_tensor.py", "Tensor.__repr__"),
        ),
        (
            torch_frame("torch/nn/modules/module.py", "Module._apply"),
            torch_frame("torch/nn/modules/module.py", "Module.to"),
        ),
        (torch_frame("torch/cuda/__init__.py", "synchronize"),),
        (torch_frame("torch/_tensor_str.py", "_str"), STDLIB),
        (torch_frame("torch/serialization.py", "save"),),
    ],
)
def test_what_the_line_asked_for_is_the_users(below: tuple[Frame, ...]) -> None:
    assert place(*below, USER, OUTER) == Site(USER)


def test_a_package_that_acts_on_the_users_behalf_is_named() -> None:
    inner = torch_frame("torch/amp/grad_scaler.py", "GradScaler._maybe_opt_step", 350)
    outer = torch_frame("torch/amp/grad_scaler.py", "GradScaler.step", 460)
    assert place(inner, outer, USER) == Site(USER, inner)


def test_lines_of_one_big_library_call_stay_apart() -> None:
    fit = torch_frame("lightning/trainer.py", "Trainer.fit", 1)
    one, two = (torch_frame("lightning/loop.py", "Loop.advance", n) for n in (10, 20))
    item = torch_frame("torch/_tensor.py", "Tensor.__float__")
    assert place(item, one, fit, USER) != place(item, two, fit, USER)
    assert place(item, one, fit, USER).library == one


def test_where_libraries_call_each_other_the_innermost_is_named() -> None:
    pipeline = Frame("/site-packages/sklearn/pipeline.py", "Pipeline.fit", 1, package="sklearn")
    net = Frame("/site-packages/skorch/net.py", "NeuralNet.train_step", 2, package="skorch")
    scaler = torch_frame("torch/amp/grad_scaler.py", "GradScaler._maybe_opt_step", 350)
    assert place(scaler, net, CALL, pipeline, USER) == Site(USER, net)


def test_own_packages_are_the_users() -> None:
    mine = torch_frame("mytools/loop.py", "run", 4)
    assert place(mine, USER) == Site(USER, mine)
    assert place(mine, USER, own=("mytools",)) == Site(mine)


def test_without_a_user_there_is_a_library_or_nothing() -> None:
    pin = torch_frame("torch/utils/data/_utils/pin_memory.py", "_pin_memory_loop")
    assert place(pin, STDLIB) == Site(None, pin)
    assert place() == Site(None)


def test_checkpoints_and_data_are_marked() -> None:
    load = torch_frame("torch/nn/modules/module.py", "Module.load_state_dict")
    fetch = torch_frame("torch/utils/data/_utils/fetch.py", "_MapDatasetFetcher.fetch")
    item = Frame("/work/data.py", "Noise.__getitem__", 4)
    assert locate((load, USER), via_backward=False, own=()).checkpoint
    assert locate((item, fetch, USER), via_backward=False, own=()).data
    assert locate((item, USER), via_backward=False, own=()).data
    assert not locate((USER,), via_backward=False, own=()).data


def test_a_package_path_is_told_from_where_packages_lie() -> None:
    frame = Frame(
        "/home/torch/env/site-packages/torch/_inductor/x/torch/y.py", "f", 1, package="torch"
    )
    assert module_path(frame) == "torch/_inductor/x/torch/y.py"
