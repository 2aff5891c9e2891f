"""What makes the host wait: PyTorch's own expressions, and every kind of copy.

The expressions are those of ``test_sync_warning`` in PyTorch's ``test_torch.py``, asked of PyTorch
in the same way; ``tests/gpu`` runs this file on a real device.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.nn import functional

import placeaudit
from placeaudit.crossing import COPIES, Copy, crosses_as_is

pytestmark = pytest.mark.usefixtures("cuda")

SIZE = 4
TEXT = "called a synchronizing CUDA operation"


@pytest.fixture(autouse=True)
def _quiet(cuda: object) -> Iterator[None]:
    torch.empty(1, pin_memory=True).to("cuda")
    yield
    torch.cuda.set_sync_debug_mode("default")


class Inputs:
    """The tensors of PyTorch's test."""

    def __init__(self) -> None:
        self.x = torch.rand(SIZE, device="cuda")
        self.y = torch.rand((), device="cuda")
        self.ind = torch.randint(SIZE, (3,), device="cuda")
        self.ind_cpu = self.ind.cpu()
        self.repeats = torch.full((1,), 2, device="cuda")
        self.mask = torch.tensor([True, False, True, True], device="cuda")
        self.mask_cpu = self.mask.cpu()


def _put(x: torch.Tensor, index: torch.Tensor, value: Any) -> None:
    x[index] = value


Expression = Callable[[Inputs], object]

NO_WAIT: dict[str, Expression] = {
    "x[mask] = 1.": lambda t: _put(t.x, t.mask, 1.0),
    "x[mask_cpu] = y": lambda t: _put(t.x, t.mask_cpu, t.y),
    "x[ind] = y": lambda t: _put(t.x, t.ind, t.y),
    "x[mask_cpu]": lambda t: t.x[t.mask_cpu],
    "x[ind]": lambda t: t.x[t.ind],
    "one_hot(ind, num_classes)": lambda t: functional.one_hot(t.ind, num_classes=SIZE),
    "randperm": lambda t: torch.randperm(20000, device=t.x.device),
    "repeat_interleave(x, 2, output_size)": lambda t: torch.repeat_interleave(
        t.x, 2, output_size=2 * SIZE
    ),
    "repeat_interleave(x, repeats, output_size)": lambda t: torch.repeat_interleave(
        t.x, t.repeats, output_size=2 * SIZE
    ),
    "any(y)": lambda t: torch.any(t.y),
}
WAIT: dict[str, Expression] = {
    "x[mask] = y": lambda t: _put(t.x, t.mask, t.y),
    "x[ind_cpu] = y": lambda t: _put(t.x, t.ind_cpu, t.y),
    "x[mask]": lambda t: t.x[t.mask],
    "x[ind_cpu]": lambda t: t.x[t.ind_cpu],
    "nonzero": lambda t: t.x.nonzero(),
    "if y": lambda t: t.x if t.y else 2 * t.x,
    "one_hot(ind)": lambda t: functional.one_hot(t.ind),
    "repeat_interleave(x, repeats)": lambda t: torch.repeat_interleave(t.x, t.repeats),
}
#: (bytes up, bytes down, causes of waits that are no copies) of one call.
RECORDED: dict[str, tuple[int, int, list[str]]] = {
    "x[mask] = 1.": (0, 0, []),
    "x[mask_cpu] = y": (24, 0, []),
    "x[ind] = y": (0, 0, []),
    "x[mask_cpu]": (24, 0, []),
    "x[ind]": (0, 0, []),
    "one_hot(ind, num_classes)": (0, 0, []),
    "randperm": (0, 0, []),
    "repeat_interleave(x, 2, output_size)": (0, 0, []),
    "repeat_interleave(x, repeats, output_size)": (0, 0, []),
    "any(y)": (0, 0, []),
    "x[mask] = y": (0, 0, ["nonzero"]),
    "x[ind_cpu] = y": (24, 0, []),
    "x[mask]": (0, 0, ["nonzero"]),
    "x[ind_cpu]": (24, 0, []),
    "nonzero": (0, 0, ["nonzero"]),
    "if y": (0, 4, []),
    "one_hot(ind)": (0, 8, []),
    "repeat_interleave(x, repeats)": (0, 0, ["repeat_interleave"]),
}


@pytest.mark.parametrize("name", NO_WAIT)
def test_pytorch_says_that_nobody_waits(name: str) -> None:
    inputs = Inputs()
    torch.cuda.set_sync_debug_mode("error")
    NO_WAIT[name](inputs)


@pytest.mark.parametrize("name", WAIT)
def test_pytorch_says_that_the_host_waits(name: str) -> None:
    inputs = Inputs()
    torch.cuda.set_sync_debug_mode("error")
    with pytest.raises(RuntimeError, match=TEXT):
        WAIT[name](inputs)
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        WAIT[name](inputs)
    assert {str(warning.message).partition(" (")[0] for warning in said} == {TEXT}


@pytest.mark.parametrize("name", RECORDED)
def test_the_record_says_the_same(name: str) -> None:
    inputs = Inputs()
    expression = (NO_WAIT | WAIT)[name]
    with placeaudit.trace() as run:
        expression(inputs)
    copies = run.copies.to_pylist()
    up = sum(row["bytes"] for row in copies if row["direction"] == "h2d")
    down = sum(row["bytes"] for row in copies if row["direction"] == "d2h")
    causes = [row["cause"] for row in run.waits.to_pylist() if row["cause"] != "copy_"]
    assert (up, down) == RECORDED[name][:2]
    assert [cause for cause in causes if "scalar" not in cause] == RECORDED[name][2]
    assert any(row["waits"] for row in copies) or bool(RECORDED[name][2]) == (name in WAIT)


# --- copies -----------------------------------------------------------------------------------

SHAPE = (4, 6)


def _host_side(row: Copy) -> torch.Tensor:
    """A host tensor that crosses as the row says, six bytes times four."""
    shape = SHAPE if row.as_is else (SHAPE[0], 2 * SHAPE[1])
    tensor = torch.ones(shape, dtype=torch.uint8)
    tensor = tensor.pin_memory() if row.pinned else tensor
    return tensor if row.as_is else tensor[:, ::2]


def _name(row: Copy) -> str:
    words = [row.direction, "pinned" if row.pinned else "pageable"]
    words += ["non_blocking"] * row.non_blocking + ["strided"] * (not row.as_is)
    return " ".join(words)


@pytest.mark.parametrize("row", COPIES, ids=_name)
def test_copies_wait_as_the_table_says(row: Copy) -> None:
    host, device = _host_side(row), torch.zeros(SHAPE, dtype=torch.uint8, device="cuda")
    target, source = (device, host) if row.direction == "h2d" else (host, device)
    assert crosses_as_is(host, target, source) is row.as_is
    with placeaudit.trace() as run:
        target.copy_(source, non_blocking=row.non_blocking)
        torch.cuda.synchronize()
    (copy,) = run.copies.to_pylist()
    assert (copy["direction"], copy["bytes"]) == (row.direction, 24)
    assert copy["waits"] is row.waits
    assert torch.equal(host, device.cpu())


@pytest.mark.parametrize("row", [row for row in COPIES if row.as_is], ids=_name)
def test_pytorch_knows_of_blocking_copies_only(row: Copy) -> None:
    host, device = _host_side(row), torch.zeros(SHAPE, dtype=torch.uint8, device="cuda")
    target, source = (device, host) if row.direction == "h2d" else (host, device)
    torch.cuda.set_sync_debug_mode("error")
    if row.non_blocking:
        target.copy_(source, non_blocking=True)
    else:
        with pytest.raises(RuntimeError, match=TEXT):
            target.copy_(source)


#: direction, non_blocking -> bytes per element of a copy between uint8 on the source's side and
#: float32 on the target's.
CONVERTED = {
    ("h2d", False): 4,  # on the host, before
    ("h2d", True): 1,  # on the device, after
    ("d2h", False): 1,  # on the host, after
    ("d2h", True): 4,  # on the device, before
}


@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize(("direction", "non_blocking"), CONVERTED)
def test_converting_copies_convert_where_the_table_says(
    direction: str, non_blocking: bool, pinned: bool
) -> None:
    host = torch.ones(SHAPE, dtype=torch.uint8 if direction == "h2d" else torch.float32)
    host = host.pin_memory() if pinned else host
    device = torch.ones(
        SHAPE, dtype=torch.float32 if direction == "h2d" else torch.uint8, device="cuda"
    )
    target, source = (device, host) if direction == "h2d" else (host, device)
    with placeaudit.trace() as run:
        target.copy_(source, non_blocking=non_blocking)
        torch.cuda.synchronize()
    (copy,) = run.copies.to_pylist()
    assert copy["bytes"] == CONVERTED[direction, non_blocking] * 24
    assert copy["waits"] is not (pinned and non_blocking)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: torch.empty(0).to("cuda"), []),
        (lambda: torch.empty(0, 3, device="cuda").cpu(), []),
        (lambda: torch.tensor(1.0).to("cuda"), [("h2d", 4, True)]),
        (lambda: torch.tensor(1.0, device="cuda").cpu(), [("h2d", 4, True), ("d2h", 4, True)]),
        (lambda: torch.ones(3, device="cuda").to("cpu", non_blocking=True), [("d2h", 12, False)]),
        (lambda: torch.ones(3, device="cuda").clone(), []),
        (lambda: torch.ones(3, device="cuda").double(), []),
        (lambda: torch.ones(3, 2).t().to("cuda"), [("h2d", 24, True)]),
        (lambda: torch.ones(1).expand(5).to("cuda"), [("h2d", 20, True)]),
        (lambda: torch.zeros(2, 3, device="cuda").copy_(torch.ones(3)), [("h2d", 24, True)]),
        (lambda: torch.tensor([1, 2], device="cuda"), [("h2d", 16, True)]),
        (lambda: torch.as_tensor(3.0, device="cuda"), [("h2d", 4, True)]),
        (lambda: torch.full((3,), 2.0, device="cuda"), []),
    ],
)
def test_what_crosses(call: Callable[[], object], expected: list[tuple[str, int, bool]]) -> None:
    with placeaudit.trace() as run:
        call()
        torch.cuda.synchronize()
    rows = run.copies.to_pylist()
    assert [(row["direction"], row["bytes"], row["waits"]) for row in rows] == expected


def test_copies_between_devices_cross_once_and_nobody_waits() -> None:
    x = torch.ones(8, device="cuda:0")
    with placeaudit.trace() as run:
        x.to("cuda:1")
        x.to("cuda:1", torch.float64)
    rows = run.copies.to_pylist()
    assert [(row["direction"], row["waits"]) for row in rows] == [("d2d", False)] * 2
    assert (rows[0]["src"], rows[0]["dst"]) == ("cuda:0", "cuda:1")


# --- backward ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        (lambda x: x.to("cuda"), [("h2d", True), ("d2h", True)]),
        (lambda x: x.pin_memory().to("cuda", non_blocking=True), [("h2d", False), ("d2h", True)]),
        (lambda x: x.to("cuda").cpu(), [("h2d", True), ("d2h", True)] * 2),
        (lambda x: x.to("cuda").double(), [("h2d", True), ("d2h", True)]),
    ],
)
def test_backward_makes_the_mirror_copies(
    forward: Callable[[torch.Tensor], torch.Tensor], expected: list[tuple[str, bool]]
) -> None:
    x = torch.ones(3, requires_grad=True)
    with placeaudit.trace() as run:
        forward(x).sum().backward()
        torch.cuda.synchronize()
    rows = sorted(run.copies.to_pylist(), key=lambda row: row["time_s"])
    found = [(row["direction"], row["waits"]) for row in rows]
    assert found[: len(expected) // 2] == expected[: len(expected) // 2]
    assert sorted(found) == sorted(expected)


def test_backward_of_a_host_mask_uploads_it_again() -> None:
    x = torch.ones(3, device="cuda", requires_grad=True)
    mask = torch.tensor([True, False, True])
    with placeaudit.trace() as run:
        x[mask].sum().backward()
    found = [(row["direction"], row["bytes"], row["waits"]) for row in run.copies.to_pylist()]
    # Forward from pinned memory, backward (which accumulates) from pageable.
    assert found == [("h2d", 16, False), ("h2d", 16, True)]
