from __future__ import annotations

import threading
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from placeaudit.record.torch.context import current_pass

pytestmark = pytest.mark.usefixtures("cuda")

#: Its ``apply`` is untyped.
Function: Any = torch.autograd.Function

FORWARD_LINE, BACKWARD_CALL, OWN_LINE = 1, 2, 0


def test_a_copy_in_backward_stands_at_the_forward_line(record: Any) -> None:
    host = torch.ones(4, requires_grad=True)

    def program() -> None:
        moved = host.to("cuda")  # forward
        loss = (moved * 2).sum()
        loss.backward()

    done = record(program)
    up, mirror = done.copies
    assert (up["src_device"], mirror["src_device"]) == ("cpu", "cuda:0")
    assert mirror["backward"] == FORWARD_LINE
    assert mirror["phase"] == 4
    assert done.line(mirror).endswith("# forward")
    assert mirror["stack"] == up["stack"]


def test_two_moves_are_told_apart(record: Any) -> None:
    host = torch.ones(4, requires_grad=True)

    def program() -> None:
        first = host.to("cuda:0")  # first
        between = (first * 2).relu()
        second = between.to("cuda:1")  # second
        torch.ones(3).to("cuda")  # no part of the graph
        (second * 3).sum().backward()

    done = record(program)
    lines = [done.line(r).rpartition("# ")[2] for r in done.copies if r["backward"]]
    assert lines == ["second", "first"]


def test_a_mask_index_waits_again_in_backward_at_its_line(record: Any) -> None:
    device = torch.randn(8, device="cuda", requires_grad=True)

    def program() -> None:
        picked = device[device > -100]  # mask
        torch.ones(1).cuda()
        device.max().item()
        picked.sum().backward()

    done = record(program)
    assert [w["cause"] for w in done.waits] == ["nonzero"] * len(done.waits)
    assert {w["backward"] for w in done.waits} == {0, FORWARD_LINE}
    assert {done.line(w).rpartition("# ")[2] for w in done.waits} == {"mask"}


def test_autograd_grad_is_a_backward_pass_too(record: Any) -> None:
    host = torch.ones(4, requires_grad=True)

    def program() -> None:
        moved = host.to("cuda")  # forward
        torch.autograd.grad(moved.sum(), host)

    done = record(program)
    assert done.line(done.copies[1]).endswith("# forward")
    assert [s["kind"] for s in done.spans] == ["backward"]


def test_a_forward_that_was_not_recorded_falls_to_the_backward_call(record: Any) -> None:
    host = torch.ones(4, requires_grad=True)
    loss = host.to("cuda").sum()

    def program() -> None:
        loss.backward()  # call

    done = record(program)
    (row,) = done.copies
    assert row["backward"] == BACKWARD_CALL
    assert done.line(row).endswith("# call")


def test_a_users_own_backward_is_its_own_line(record: Any) -> None:
    class Detour(Function):
        @staticmethod
        def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
            return value * 1

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            return gradient.cpu().cuda()  # detour

    device = torch.ones(4, device="cuda", requires_grad=True)
    done = record(lambda: Detour.apply(device).sum().backward())
    down, up = done.copies
    for row in (down, up):
        assert row["backward"] == OWN_LINE
        assert row["phase"] == 4
        assert done.line(row).endswith("# detour")


def test_a_hook_is_its_own_line(record: Any) -> None:
    device = torch.ones(4, device="cuda", requires_grad=True)

    def program() -> None:
        product = device * 2
        product.register_hook(lambda gradient: gradient.cpu().cuda())  # hook
        product.sum().backward()

    done = record(program)
    assert {done.line(r).endswith("# hook") for r in done.copies} == {True}


def test_a_librarys_hook_is_its_line_under_the_backward_call(record: Any) -> None:
    library: dict[str, Any] = {}
    code = "def hook(gradient):\n    return gradient.cpu().cuda()\n"
    exec(compile(code, "/x/site-packages/exchange/hooks.py", "exec"), library)
    weight = torch.ones(4, device="cuda", requires_grad=True)
    weight.register_hook(library["hook"])

    def program() -> None:
        (weight * 2).sum().backward()  # call

    done = record(program)
    down, up = done.copies
    for row in (down, up):
        assert row["backward"] == OWN_LINE
        innermost = row["frames"][0]
        assert (innermost["package"], innermost["function"]) == ("exchange", "hook")
        assert done.line(row).endswith("# call")  # the user's innermost line


def test_sequence_numbers_of_two_threads_do_not_mix(record: Any) -> None:
    def program() -> None:
        hosts = [torch.ones(4, requires_grad=True) for _ in range(2)]

        def one() -> None:
            moved = hosts[0].to("cuda")  # one
            moved.sum().backward()

        def two() -> None:
            moved = hosts[1].to("cuda")  # two
            moved.sum().backward()

        for function in (one, two):
            thread = threading.Thread(target=function)
            thread.start()
            thread.join()

    done = record(program)
    lines = [(r["backward"], done.line(r).rpartition("# ")[2]) for r in done.copies]
    assert lines == [(0, "one"), (1, "one"), (0, "two"), (1, "two")]


def test_a_backward_inside_backward_keeps_both_calls(record: Any) -> None:
    inner_host = torch.ones(2, requires_grad=True)
    inner_loss = inner_host.to("cuda").sum()
    outer_host = torch.ones(2, requires_grad=True)
    outer_moved = outer_host.to("cuda")

    class Nested(Function):
        @staticmethod
        def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
            return value * 1

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            inner_loss.backward()  # inner
            return gradient

    def program() -> None:
        Nested.apply(outer_moved).sum().backward()  # outer

    done = record(program)
    lines = {done.line(r).rpartition("# ")[2] for r in done.copies}
    assert "outer" in lines
    assert len(done.copies) == 2
    assert current_pass() is None


def test_a_backward_inside_backward_is_no_pass_of_its_own(record: Any) -> None:
    from torch.utils.checkpoint import checkpoint

    layer = torch.nn.LSTM(3, 2).cuda()
    x = torch.ones(4, 1, 3, device="cuda", requires_grad=True)

    def program() -> None:
        layer(x)[0].sum().backward()
        checkpoint(torch.sin, x, use_reentrant=True).sum().backward()

    spans = record(program).spans
    assert [s["kind"] for s in spans if s["kind"] != "module"] == ["backward", "backward"]


def test_an_error_in_backward_passes_and_the_phase_is_restored(record: Any) -> None:
    class Broken(Function):
        @staticmethod
        def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
            return value * 1

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            raise ZeroDivisionError("theirs")

    device = torch.ones(4, device="cuda", requires_grad=True)

    def program() -> None:
        with pytest.raises(ZeroDivisionError, match="theirs"):
            Broken.apply(device).sum().backward()
        torch.ones(1).cuda()

    (row,) = record(program).copies
    assert row["phase"] == 0
    assert current_pass() is None
