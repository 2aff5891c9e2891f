"""Assertions on blocks of a program, with and without a trace around them."""
# ruff: noqa: PT012 - the error comes from the end of the inner block, whatever it holds

from __future__ import annotations

import io
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

import placeaudit
from placeaudit.errors import StrayCopyError, UsageError
from placeaudit.record.session import current
from placeaudit.record.torch.interception import INTERCEPTION


@pytest.fixture(autouse=True)
def cuda() -> Iterator[None]:
    with placeaudit.simulate("cuda:2=h100"):
        yield


class Training:
    """A model on the device; ``step`` is what a test would call."""

    def __init__(self) -> None:
        self.model = torch.nn.Linear(64, 8).cuda()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.total = 0.0
        self.batches = iter(torch.randn(20, 16, 64))

    def forward(self) -> torch.Tensor:
        loss: torch.Tensor = self.model(next(self.batches).cuda()).square().mean()
        return loss

    def clean(self) -> None:
        loss = self.forward()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def stray(self) -> None:
        loss = self.forward()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.total += loss.item()  # read


def line_of(mark: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(i for i, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_stray_read_fails(steps: int) -> None:
    training = Training()
    with pytest.raises(StrayCopyError) as caught, placeaudit.assert_no_stray_copies():
        for _ in range(steps):
            training.stray()
    head, site, fix = str(caught.value).splitlines()
    assert head == "limited to no stray copies or waits but found 1 stray finding"
    assert f"test_assertions.py:{line_of('read')} in Training.stray: PA201 scalar-read" in site
    assert fix.startswith("      fix: keep the total on the device")
    assert [finding.rule for finding in caught.value.findings] == ["PA201"]
    assert isinstance(caught.value, AssertionError)
    assert (current(), INTERCEPTION._armed) == (None, [])


@pytest.mark.parametrize("steps", [1, 3])
def test_what_is_clean_passes(steps: int) -> None:
    training = Training()
    with placeaudit.assert_no_stray_copies():
        for _ in range(steps):
            training.clean()


@pytest.mark.parametrize("allow", [["PA201"], ["scalar-read"], ("pa201",)])
def test_allowed_rules(allow: Any) -> None:
    training = Training()
    with placeaudit.assert_no_stray_copies(allow=allow):
        training.stray()


def test_a_reasoned_exception() -> None:
    training = Training()
    with placeaudit.assert_no_stray_copies(max_copies=1):
        loss = training.forward()
        with placeaudit.allow("the caller decides on it"):
            assert loss.item() >= 0


def test_a_short_function_without_steps() -> None:
    device = torch.ones(4, device="cuda")

    @placeaudit.assert_no_stray_copies()
    def norm() -> float:
        """Docstring."""
        torch.cuda.synchronize()  # wait
        return 1.0

    assert norm.__name__ == "norm"
    for _ in range(2):
        with pytest.raises(StrayCopyError, match=r"PA205 explicit-sync"):
            norm()
    with placeaudit.assert_no_stray_copies():
        assert (device + 1).numel() == 4


BATCH = torch.randn(64, 64)


def unused(weight: torch.Tensor) -> torch.Tensor:
    batch = BATCH.cuda()  # noqa: F841 - that is the point
    return weight.sum()


def oversized(weight: torch.Tensor) -> torch.Tensor:
    return weight.cpu()[0] + 1


def rows(weight: torch.Tensor) -> None:
    host = torch.empty_like(weight, device="cpu").copy_(weight)
    for row in host:
        assert row.tolist()


def refilled(weight: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(weight).copy_(BATCH).sum()


READS: dict[str, Callable[[torch.Tensor], object]] = {
    "tolist": lambda weight: weight.cpu().tolist(),
    "numpy": lambda weight: weight.cpu().numpy().sum(),
    "asarray": lambda weight: np.asarray(weight.cpu()),
    "compare": lambda weight: (weight.cpu() == 1).all().item(),
    "equal": lambda weight: torch.equal(weight.cpu(), BATCH),
    "iterate": lambda weight: [float(row.sum()) for row in weight.cpu()],
    "format": lambda weight: f"{weight.cpu()}",
    "pickle": lambda weight: pickle.dumps(weight.cpu()),
    "save": lambda weight: torch.save(weight.cpu(), io.BytesIO()),
    "buffer": lambda weight: weight.cpu().numpy().tobytes(),
    "rows": rows,
    "refilled": refilled,
}


@pytest.mark.parametrize(("function", "rule"), [(unused, "PA104"), (oversized, "PA105")])
def test_one_copy_without_steps(function: Any, rule: str) -> None:
    weight = torch.ones(64, 64, device="cuda")
    with pytest.raises(StrayCopyError) as caught, placeaudit.assert_no_stray_copies():
        function(weight)
    assert [finding.rule for finding in caught.value.findings] == [rule]


@pytest.mark.parametrize("name", READS)
def test_what_is_read_is_used(name: str) -> None:
    weight = torch.ones(64, 64, device="cuda")
    with placeaudit.assert_no_stray_copies(allow=["PA2", "PA105"]):
        READS[name](weight)


def test_limits_count_needed_transfers_too() -> None:
    host = torch.ones(4)
    with placeaudit.assert_no_stray_copies(max_copies=2, max_bytes=32):
        host.cuda().to("cuda:1").add_(1)
    with (
        pytest.raises(StrayCopyError) as caught,
        placeaudit.assert_no_stray_copies(max_copies=2, max_bytes=40),
    ):
        host.cuda().to("cuda:1").to("cuda:0").add_(1)  # three
    where = f"  {_here()}:{line_of('three')} in test_limits_count_needed_transfers_too: "
    assert str(caught.value).splitlines() == [
        "limited to no stray copies or waits and 2 copies and 40 B but made 3 and copied 48 B",
        where + "2 d2d copies, 32 B",
        where + "1 h2d copy, 16 B",
    ]
    assert caught.value.findings == ()


def _here() -> str:
    file = Path(__file__)
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else __file__


def test_the_blocks_own_exception_passes() -> None:
    training = Training()
    with pytest.raises(ZeroDivisionError), placeaudit.assert_no_stray_copies():
        training.stray()
        raise ZeroDivisionError
    assert current() is None


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match="PA201"):
        placeaudit.assert_no_stray_copies(allow=["PA2O1"])
    with pytest.raises(UsageError, match="list of rules"):
        placeaudit.assert_no_stray_copies(allow="PA201")
    with pytest.raises(UsageError, match="max_copies"):
        placeaudit.assert_no_stray_copies(max_copies=-1)
    with pytest.raises(UsageError, match="runs later"):

        @placeaudit.assert_no_stray_copies()
        def batches() -> Any:
            yield 1


def test_inside_a_running_trace() -> None:
    training = Training()
    with placeaudit.trace() as run:
        for _ in range(3):
            training.stray()
        with placeaudit.assert_no_stray_copies():
            training.clean()
        with pytest.raises(StrayCopyError) as caught, placeaudit.assert_no_stray_copies():
            training.stray()
        training.stray()
    assert [finding.rule for finding in caught.value.findings] == ["PA201"]
    assert caught.value.findings[0].count == 1
    (stray,) = (finding for finding in run.findings if finding.rule == "PA201")
    assert stray.count == 5
    assert run.copies.num_rows == 6 + 5
    assert not [finding for finding in run.findings if finding.rule == "PA901"]


def test_what_came_before_the_block_is_not_held_against_it() -> None:
    with placeaudit.trace():
        made = torch.zeros(64, 64)
        with placeaudit.assert_no_stray_copies():
            made.cuda()


def test_a_download_nobody_waited_for_counts_inside_a_trace() -> None:
    device = torch.ones(64, device="cuda")
    with (
        placeaudit.trace(),
        pytest.raises(StrayCopyError, match="made 1"),
        placeaudit.assert_no_stray_copies(max_copies=0),
    ):
        device.to("cpu", non_blocking=True)


def test_nested_and_concurrent_blocks_share_one_record() -> None:
    training = Training()
    with pytest.raises(StrayCopyError) as outer, placeaudit.assert_no_stray_copies():
        for _ in range(2):
            with pytest.raises(StrayCopyError), placeaudit.assert_no_stray_copies():
                training.stray()
        with placeaudit.assert_no_stray_copies():
            training.clean()
    assert len(outer.value.findings) == 1

    begun, done = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def other() -> None:
        try:
            with placeaudit.assert_no_stray_copies(max_copies=0):
                begun.set()
                done.wait(30)
        except StrayCopyError as error:
            errors.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    assert begun.wait(30)
    with placeaudit.assert_no_stray_copies():
        torch.ones(2, device="cuda").to("cuda:1")
    done.set()
    thread.join()
    assert len(errors) == 1
    assert current() is None


def test_under_a_guard() -> None:
    host = torch.ones(4)
    with placeaudit.guard(d2h="disallow"), placeaudit.assert_no_stray_copies(max_copies=1):
        device = host.cuda()
        with pytest.raises(placeaudit.TransferError):
            device.cpu()


def test_its_error_pickles() -> None:
    training = Training()
    with pytest.raises(StrayCopyError) as caught, placeaudit.assert_no_stray_copies():
        training.stray()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.findings) == (str(caught.value), caught.value.findings)
