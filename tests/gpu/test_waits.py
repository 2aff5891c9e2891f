"""The table "Which copies make the host wait" and the waiting operators, against the driver.

``torch.cuda.set_sync_debug_mode("error")`` makes PyTorch refuse what it knows to synchronise, and a
long kernel queued before the copy shows whether the call came back while the device was busy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import torch

from placeaudit.crossing import host_waits

#: GPU clock cycles: some hundred milliseconds, far above what a copy of 4 MiB takes.
BUSY_CYCLES = 500_000_000
SHAPE = (1024, 1024)


@pytest.fixture(autouse=True)
def _settled(cuda: None) -> Iterator[None]:
    torch.empty(1, pin_memory=True)
    torch.ones(SHAPE, device="cuda").cpu()
    yield
    torch.cuda.set_sync_debug_mode("default")


def _blocks(copy: Callable[[], object]) -> bool:
    """Whether ``copy`` returned only after the queued kernel had finished."""
    torch.cuda.synchronize()
    torch.cuda._sleep(BUSY_CYCLES)
    done = torch.cuda.Event()
    done.record()
    copy()
    was_done: bool = done.query()
    torch.cuda.synchronize()
    return was_done


@pytest.mark.parametrize("non_blocking", [False, True])
@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize("direction", ["h2d", "d2h"])
def test_plain_copies_wait_as_the_table_says(
    direction: str, pinned: bool, non_blocking: bool
) -> None:
    host = torch.ones(SHAPE, pin_memory=pinned)
    device = torch.ones(SHAPE, device="cuda")
    source, target = (host, device) if direction == "h2d" else (device, host)
    expected = host_waits(
        to_host=direction == "d2h",
        to_device=direction == "h2d",
        pinned=pinned,
        non_blocking=non_blocking,
        host_contiguous=True,
    )
    assert _blocks(lambda: target.copy_(source, non_blocking=non_blocking)) == expected


def test_a_download_by_to_is_asynchronous() -> None:
    device = torch.ones(SHAPE, device="cuda")
    assert not _blocks(lambda: device.to("cpu", non_blocking=True))


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x.item() if x.numel() == 1 else x[0, 0].item(),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: x.masked_select(x > 0),
        lambda x: x.unique(),
        lambda x: torch.equal(x, x.clone()),
        lambda x: torch.repeat_interleave(x[0].long()),
    ],
    ids=["item", "nonzero", "mask", "masked_select", "unique", "equal", "repeat_interleave"],
)
def test_waiting_operators_wait(operation: Callable[[torch.Tensor], object]) -> None:
    x = torch.ones(64, 64, device="cuda")
    assert _blocks(lambda: operation(x))


def test_filling_by_mask_does_not_wait() -> None:
    x = torch.ones(64, 64, device="cuda")
    mask = x > 0

    def fill() -> None:
        x[mask] = 1.0

    assert not _blocks(fill)


def test_a_waiting_copy_leaves_other_threads_running() -> None:
    """Recording must not hold the interpreter's lock while the device finishes."""
    import threading

    import placeaudit

    device = torch.ones(SHAPE, device="cuda")
    ticks: list[float] = []
    stop = threading.Event()

    def tick() -> None:
        while not stop.is_set():
            ticks.append(time.perf_counter())
            stop.wait(0.001)

    thread = threading.Thread(target=tick)
    with placeaudit.trace():
        device.cpu()
        torch.cuda.synchronize()
        thread.start()
        torch.cuda._sleep(BUSY_CYCLES)
        start = time.perf_counter()
        device.cpu()
        end = time.perf_counter()
        stop.set()
        thread.join()
    assert sum(start < moment < end for moment in ticks) > 3
