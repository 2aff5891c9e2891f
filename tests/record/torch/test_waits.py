from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

import placeaudit
from placeaudit.errors import TransferError

pytestmark = pytest.mark.usefixtures("cuda")


@pytest.mark.parametrize(
    ("cause", "call"),
    [
        ("nonzero", lambda x: x.nonzero()),
        ("nonzero", lambda x: x[x > 1]),
        ("masked_select", lambda x: x.masked_select(x > 1)),
        ("_unique2", torch.unique),
        ("unique_dim", lambda x: torch.unique(x.view(2, 2), dim=0)),
        ("unique_consecutive", torch.unique_consecutive),
        ("repeat_interleave", lambda x: torch.repeat_interleave(x.long())),
        ("equal", lambda x: torch.equal(x, x.clone())),
    ],
)
def test_operations_that_wait(record: Any, cause: str, call: Callable[[Any], object]) -> None:
    device = torch.tensor([0.0, 1.0, 2.0, 3.0]).cuda()
    done = record(lambda: call(device))
    (wait,) = done.waits
    assert (wait["cause"], wait["device"]) == (cause, "cuda:0")
    assert done.copies == []
    user = next(frame for frame in wait["frames"] if not frame["package"])
    assert user["file"] == __file__
    assert {f["package"] for f in wait["frames"]} <= {"", "torch", "pytest", "_pytest", "pluggy",
                                                       "<stdlib>", "xdist", "execnet"}  # fmt: skip


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.add_(1),
        lambda x: x.__setitem__(x > 1, 5.0),
        lambda x: torch.where(x > 1, x, -x),
        lambda x: torch.repeat_interleave(x.long().clamp(1, 1), output_size=4),
        lambda x: torch.equal(x, x[:2]),
        lambda x: x[:0].nonzero(),
        lambda x: torch.nonzero_static(x, size=2) if x.device.type == "cpu" else x.sum(),
    ],
)
def test_operations_that_do_not(record: Any, call: Callable[[Any], object]) -> None:
    device = torch.tensor([0.0, 1.0, 2.0, 3.0]).cuda()
    done = record(lambda: call(device))
    assert done.waits == []


@pytest.mark.parametrize(
    "call",
    [lambda x: x.item(), float, bool, lambda x: f"{x.item():.1f}", lambda x: 1 if x > 0 else 0],
)
def test_scalar_reads_are_copies_that_wait(record: Any, call: Callable[[Any], object]) -> None:
    device = torch.tensor(2.0).cuda()
    done = record(lambda: call(device))
    (row,) = done.copies
    assert row["operation"] == "_local_scalar_dense"
    assert (row["src_device"], row["dst_device"]) == ("cuda:0", "cpu")
    assert row["waits"]
    assert row["bytes"] in {1, 4}
    assert (row["dst_storage"], row["dst_version"], row["hash_kind"]) == (-1, -1, 0)
    assert done.waits == []


def test_explicit_synchronisation(record: Any) -> None:
    def program() -> None:
        torch.cuda.synchronize()
        torch.cuda.current_stream().synchronize()
        event = torch.cuda.Event()
        event.record()
        event.synchronize()
        torch.cuda.empty_cache()

    done = record(program)
    assert [w["cause"] for w in done.waits] == [
        "synchronize", "Stream.synchronize", "Event.synchronize", "empty_cache",
    ]  # fmt: skip
    assert {w["device"] for w in done.waits} == {"cuda:0"}
    assert done.line(done.waits[0]) == "torch.cuda.synchronize()"


def test_names_imported_before_recording_are_seen(record: Any) -> None:
    from torch.accelerator import synchronize as wait
    from torch.cuda import empty_cache, synchronize

    def program() -> None:
        synchronize(1)
        empty_cache()
        wait()

    done = record(program)
    assert [(w["cause"], w["device"]) for w in done.waits] == [
        ("synchronize", "cuda:1"), ("empty_cache", "cuda:0"), ("synchronize", "cuda:0"),
    ]  # fmt: skip
    assert [done.line(w) for w in done.waits] == ["synchronize(1)", "empty_cache()", "wait()"]
    with pytest.raises(TransferError), placeaudit.guard(sync="disallow"):
        synchronize()


def test_the_device_that_was_waited_for(record: Any) -> None:
    def program() -> None:
        torch.cuda.synchronize(1)
        torch.cuda.synchronize("cuda:1")
        torch.cuda.synchronize(device=torch.device("cuda", 1))
        torch.cuda.current_stream(1).synchronize()
        with torch.cuda.device(1):
            torch.cuda.synchronize()

    assert [w["device"] for w in record(program).waits] == ["cuda:1"] * 5


def test_a_failing_wait_raises_its_own_error(record: Any) -> None:
    device = torch.ones(4, device="cuda")

    def program() -> None:
        with pytest.raises(RuntimeError):
            device.masked_select(torch.ones(3, device="cuda").bool())
        device.nonzero()

    causes = [w["cause"] for w in record(program).waits]
    assert causes == ["nonzero"]
