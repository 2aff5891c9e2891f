"""Guards: refused before the copy, at the line, in backward too; and what an allowance says."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

import placeaudit
from placeaudit.errors import TransferError, UsageError
from placeaudit.record.guard import LOCAL, SCOPES
from placeaudit.record.torch.context import current_pass
from placeaudit.record.torch.interception import INTERCEPTION

pytestmark = pytest.mark.usefixtures("cuda")

#: Its ``apply`` is untyped.
Function: Any = torch.autograd.Function


def line_of(mark: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(i for i, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))


def guard_against(*directions: str) -> Any:
    levels: dict[str, Any] = dict.fromkeys(directions, "disallow")
    return placeaudit.guard(**levels)


@pytest.mark.parametrize(
    ("direction", "size", "call"),
    [
        ("h2d", 12, lambda host, device: host.cuda()),
        ("h2d", 12, lambda host, device: torch.tensor([1.0, 2.0, 3.0], device="cuda")),
        ("h2d", 12, lambda host, device: device.__setitem__(slice(None), host)),
        ("h2d", 6, lambda host, device: host.to("cuda", torch.float16)),
        ("d2h", 12, lambda host, device: device.cpu()),
        ("d2h", 4, lambda host, device: device.sum().item()),
        ("d2h", 12, lambda host, device: device.tolist()),
        ("d2d", 12, lambda host, device: device.to("cuda:1")),
        ("sync", 0, lambda host, device: device.nonzero()),
        ("sync", 0, lambda host, device: device[device > 1]),
        ("sync", 0, lambda host, device: torch.cuda.synchronize()),
        ("sync", 0, lambda host, device: torch.cuda.current_stream().synchronize()),
        ("sync", 12, lambda host, device: device.copy_(host, non_blocking=True)),
        ("sync", 4, lambda host, device: float(device.sum())),
    ],
)
def test_what_is_disallowed_raises(
    direction: str, size: int, call: Callable[[Any, Any], object]
) -> None:
    host, device = torch.ones(3), torch.zeros(3).cuda()
    call(host, device.clone())
    with guard_against(direction), pytest.raises(TransferError) as caught:
        call(host, device)
    error = caught.value
    assert (error.direction, error.bytes) == (direction, size)
    assert f'guard({direction}="allow")' in str(error)
    assert 'placeaudit.allow("reason")' in str(error)
    assert "\n" not in str(error)
    others = {"h2d", "d2h", "d2d", "sync"} - {direction}
    if direction == "sync":
        others.discard("h2d" if size == 12 else "d2h")
    elif direction != "d2d":
        others.discard("sync")
    with guard_against(*others):
        call(host, device)


def test_the_copy_is_not_made() -> None:
    target = torch.zeros(3, device="cuda")
    with placeaudit.guard(h2d="disallow"), pytest.raises(TransferError) as caught:
        target.copy_(torch.ones(3))  # refused
    assert target.sum().item() == 0
    assert (caught.value.src, caught.value.dst) == ("cpu", "cuda:0")
    assert f"{__file__}:{line_of('refused')}" in str(caught.value)


def test_what_does_not_cross_is_free() -> None:
    device = torch.ones(3, device="cuda")
    with placeaudit.guard(h2d="disallow", d2h="disallow", d2d="disallow", sync="disallow"):
        assert (device.clone() + device).to(torch.float16).shape == (3,)
        torch.empty(0).cuda()
        device[:0].cpu()
        torch.ones(2).copy_(torch.zeros(2))
        pinned = torch.ones(3).pin_memory()
    with placeaudit.guard(sync="disallow"):
        device.copy_(pinned, non_blocking=True)


def test_guards_nest_and_inherit() -> None:
    host = torch.ones(1)
    with placeaudit.guard(h2d="disallow", d2d="disallow"):
        with placeaudit.guard(h2d="allow"):
            device = host.cuda()
            with pytest.raises(TransferError):
                device.to("cuda:1")
            with placeaudit.guard(), pytest.raises(TransferError):
                device.to("cuda:1")
        with pytest.raises(TransferError):
            host.cuda()
        with placeaudit.allow("once"):
            host.cuda().to("cuda:1")
            with placeaudit.guard(h2d="disallow"), pytest.raises(TransferError):
                host.cuda()
    host.cuda()


def test_nothing_is_left_behind() -> None:
    assert (SCOPES.guards, LOCAL.scope, INTERCEPTION._armed) == (0, None, [])
    original = torch.cuda.synchronize
    with placeaudit.guard(), placeaudit.guard(d2h="log"):
        assert INTERCEPTION._armed
        assert torch.cuda.synchronize is not original
    assert (SCOPES.guards, LOCAL.scope, INTERCEPTION._armed) == (0, None, [])
    assert torch.cuda.synchronize is original


def test_a_guard_holds_for_its_thread() -> None:
    done: list[object] = []

    def other() -> None:
        try:
            done.append(torch.ones(1).cuda().device.type)
        except TransferError as error:  # pragma: no cover
            done.append(error)

    with placeaudit.guard(h2d="disallow"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert done == ["cuda"]


def test_as_decorators() -> None:
    @placeaudit.guard(h2d="disallow")
    def step(depth: int = 0) -> int:
        if depth < 2:
            step(depth + 1)
        size: int = upload()
        return size

    @placeaudit.allow("the table is new in each step")
    def upload() -> int:
        return torch.ones(2).cuda().numel()

    assert step() == 2
    assert LOCAL.scope is None
    with pytest.raises(UsageError, match="whose body runs later"):

        @placeaudit.guard(h2d="disallow")
        def batches() -> Any:
            yield 1


@pytest.mark.parametrize("reason", ["", "  ", None, 3])
def test_an_allowance_needs_a_reason(reason: Any) -> None:
    with pytest.raises(UsageError, match="needs a reason"):
        placeaudit.allow(reason)


def test_an_unknown_level() -> None:
    with pytest.raises(UsageError, match="one of"):
        placeaudit.guard(h2d="forbid")  # type: ignore[arg-type]


def test_the_log_names_each_line_once(caplog: pytest.LogCaptureFixture) -> None:
    device = torch.ones(2, device="cuda")
    with caplog.at_level(logging.WARNING, "placeaudit"):
        for _ in range(3):
            with placeaudit.guard(d2h="log"):
                device.cpu()  # logged
                device.sum().item()  # logged too
    assert [record.name for record in caplog.records] == ["placeaudit"] * 2
    first, second = (record.getMessage() for record in caplog.records)
    assert first.endswith(f"at {__file__}:{line_of('logged')}")
    assert "device-to-host copy of 8 bytes from cuda:0 to cpu" in first
    assert second.endswith(f":{line_of('logged too')}")


@pytest.mark.parametrize("recording", [False, True])
def test_backward_is_guarded(recording: bool, tmp_path: Path) -> None:
    host = torch.ones(4, requires_grad=True)

    def program() -> TransferError:
        with placeaudit.guard(d2h="disallow"):
            loss = (host.to("cuda") * 2).sum()  # forward line
            with pytest.raises(TransferError) as caught:
                loss.backward()
        return caught.value

    if recording:
        with placeaudit.trace(tmp_path / "run"):
            error = program()
    else:
        error = program()
    assert (error.direction, error.src, error.bytes) == ("d2h", "cuda:0", 16)
    assert f"in the backward of {__file__}:{line_of('forward line')}" in str(error)
    assert host.grad is None
    assert current_pass() is None
    host.to("cuda").sum().backward()
    assert host.grad is not None


def test_a_backward_whose_forward_was_not_guarded() -> None:
    host = torch.ones(4, requires_grad=True)
    loss = host.to("cuda").sum()
    with placeaudit.guard(d2h="disallow"), pytest.raises(TransferError, match="ToCopyBackward"):
        loss.backward()
    with placeaudit.allow("outside of any guard"):
        (host.to("cuda") * 2).sum().backward()


def test_an_allowance_reaches_the_backward_of_its_lines() -> None:
    host = torch.ones(4, requires_grad=True)
    with placeaudit.guard(d2h="disallow"):
        with placeaudit.allow("the embedding lives on the host"):
            moved = host.to("cuda")
        moved.sum().backward()
        loss = host.to("cuda").sum()
        with placeaudit.allow("around backward"):
            loss.backward()
    assert host.grad is not None


def test_a_users_own_backward_and_hooks_are_guarded() -> None:
    class Detour(Function):
        @staticmethod
        def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
            return value * 1

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            return gradient.cpu().cuda()  # detour

    device = torch.ones(4, device="cuda", requires_grad=True)
    with placeaudit.guard(d2h="disallow"), pytest.raises(TransferError) as caught:
        Detour.apply(device).sum().backward()
    assert f"at {__file__}:{line_of('detour')}" in str(caught.value)

    def hook(gradient: torch.Tensor) -> None:
        with placeaudit.allow("a histogram of gradients"):
            gradient.cpu()
        with pytest.raises(TransferError):
            gradient.cpu()

    with placeaudit.guard(d2h="disallow"):
        product = device * 2
        product.register_hook(hook)
        product.sum().backward()
    assert device.grad is not None


def test_a_guard_beside_a_session(record: Any) -> None:
    host = torch.ones(3)

    def program() -> None:
        with placeaudit.guard(h2d="disallow"):
            with pytest.raises(TransferError):
                host.cuda()
            with placeaudit.allow("needed  here"):
                host.cuda()  # allowed
                torch.cuda.synchronize()
        host.cuda()  # free

    done = record(program)
    assert [done.line(row) for row in done.copies] == [
        "host.cuda()  # allowed",
        "host.cuda()  # free",
    ]
    strings = done.process.tables["strings"].column("text").to_pylist()
    allowed = [(r["time_ns"], r["thread"], strings[r["reason"]]) for r in done.allowed]
    assert allowed == [
        (row["time_ns"], row["thread"], "needed here") for row in (done.copies[0], done.waits[0])
    ]


def test_a_session_that_begins_and_ends_inside_a_guard(record: Any) -> None:
    with placeaudit.guard(h2d="disallow"):
        done = record(lambda: torch.ones(2, device="cuda").cpu())
        assert len(done.copies) == 1
        with pytest.raises(TransferError):
            torch.ones(2).cuda()
    assert INTERCEPTION._armed == []


def test_a_guard_that_ends_inside_a_session(record: Any) -> None:
    guard = placeaudit.guard(h2d="disallow")
    guard.__enter__()

    def program() -> None:
        guard.__exit__(None, None, None)
        torch.ones(2).cuda()

    assert len(record(program).copies) == 1


def test_its_error_pickles() -> None:
    error = TransferError("message", direction="d2h", bytes=4, src="cuda:0", dst="cpu")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.direction, again.bytes) == ("message", "d2h", 4)
    assert (again.src, again.dst) == ("cuda:0", "cpu")


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_guard_before_torch_and_before_the_device() -> None:
    code = """
import sys, placeaudit
with placeaudit.guard(h2d="disallow"):
    assert "torch" not in sys.modules
    import torch
    with placeaudit.simulate("cuda"):
        try:
            torch.ones(1).cuda()
        except placeaudit.TransferError as error:
            print(error.direction)
"""
    assert run(code) == "h2d\n"


def test_a_guard_loads_no_framework() -> None:
    code = """
import sys, placeaudit
before = list(sys.meta_path)
with placeaudit.guard(h2d="disallow"), placeaudit.allow("nothing to do"):
    assert sys.meta_path != before
print({"torch", "numpy", "pyarrow"} & set(sys.modules), sys.meta_path == before)
"""
    assert run(code) == "set() True\n"
