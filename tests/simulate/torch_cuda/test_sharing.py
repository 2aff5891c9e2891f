"""Several processes: shared device tensors, forked children, workers that load data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.multiprocessing import reductions
from torch.utils.data import DataLoader, TensorDataset

PROGRAMS = Path(__file__).parents[1] / "programs"

pytestmark = pytest.mark.usefixtures("cuda")


def test_spawned_processes_see_the_same_memory() -> None:
    done = subprocess.run(
        [sys.executable, PROGRAMS / "sharing.py", "spawn"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "device": "cuda:1",
        "values": [0, 1, 2],
        "parent sees": [1, 2, 3],
        "weights": [7, 7, 7],
        "view": [2, 3, 4],
        "shared": True,
        "result": [10, 20, 30],
        "sent on": (
            "Attempted to send CUDA tensor received from another process; this is not currently "
            "supported. Consider cloning before sending."
        ),
        "exit code": 0,
    }


def _rebuilt(tensor: torch.Tensor) -> Any:
    rebuild, arguments = reductions.reduce_tensor(tensor)
    return rebuild(*arguments)


def test_views_and_aliases_follow_a_storage_that_is_shared() -> None:
    x = torch.arange(6.0, device="cuda")
    view, address = x[1:3], x.data_ptr()
    allocated = torch.cuda.memory_allocated()
    received = _rebuilt(x.view(2, 3))
    assert x.data_ptr() != address
    received += 1
    assert x.tolist() == [1, 2, 3, 4, 5, 6]
    assert view.tolist() == [2, 3]
    view.zero_()
    assert received.tolist() == [[1, 0, 0], [4, 5, 6]]
    del received
    assert torch.cuda.memory_allocated() == allocated


def test_memory_waits_for_its_receiver_and_goes_with_it() -> None:
    def open_memory() -> set[str]:
        links = (str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists())
        return {link for link in links if "cuda-ipc" in link}

    before = open_memory()
    x = torch.ones(3, device="cuda")
    rebuild, arguments = reductions.reduce_tensor(x)
    del x
    torch.cuda.ipc_collect()
    assert len(open_memory() - before) == 1
    received = rebuild(*arguments)
    torch.cuda.ipc_collect()
    assert open_memory() == before
    assert received.tolist() == [1, 1, 1]
    with pytest.raises(RuntimeError, match="invalid resource handle"):
        rebuild(*arguments[:7], b"/proc/self/fd/none", *arguments[8:])


def test_empty_tensors_and_parameters_are_shared() -> None:
    assert _rebuilt(torch.empty(0, 3, device="cuda")).shape == (0, 3)
    parameter = _rebuilt(torch.nn.Parameter(torch.ones(2, device="cuda:1"), requires_grad=False))
    assert isinstance(parameter, torch.nn.Parameter)
    assert parameter.device == torch.device("cuda", 1)


def test_clients_forked_before_any_use_train_on_host_and_device() -> None:
    done = subprocess.run(
        [sys.executable, PROGRAMS / "forked_clients.py"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    expected = found["parent"][1]
    assert found["clients"] == [[expected, 0]] * 3
    assert found["parent"] == [expected] * 2
    refusal = "Cannot re-initialize CUDA in forked subprocess"
    assert found["after use"] == [[expected, 0], [refusal, 0]]


def test_a_forked_child_is_refused_devices() -> None:
    def child(sender: Any) -> None:
        try:
            torch.ones(1, device="cuda")
        except RuntimeError as error:
            sender.send(str(error))
        else:
            sender.send("")

    torch.ones(1, device="cuda")
    context = torch.multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(sender,))
    process.start()
    assert receiver.recv() == (
        "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you "
        "must use the 'spawn' start method"
    )
    process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_load_data_into_pinned_memory(method: str) -> None:
    data = TensorDataset(torch.arange(12.0).view(6, 2))
    loader = DataLoader(
        data, 2, num_workers=2, pin_memory=True, multiprocessing_context=method,
        persistent_workers=True,
    )  # fmt: skip
    for _ in range(2):
        batches = [batch for (batch,) in loader]
        assert all(batch.is_pinned() for batch in batches)
        on_device = torch.cat([batch.cuda(non_blocking=True) for batch in batches])
        assert on_device.tolist() == data.tensors[0].tolist()
