"""Switching on and off: what is refused, what is undone, what survives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from placeaudit.errors import SimulationError
from placeaudit.simulate import SimulationSpec, simulate, torch_cuda


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )


def test_everything_visible_is_put_back() -> None:
    names = {*vars(torch._C), *vars(torch.cuda)}
    with simulate("cuda"):
        assert torch.cuda.is_available()
    assert not torch.cuda.is_available()
    assert not torch.accelerator.is_available()
    assert torch.cuda.device_count() == 0
    assert "TORCHDYNAMO_DISABLE" not in os.environ
    assert {*vars(torch._C), *vars(torch.cuda)} == names


def test_tensors_that_outlive_the_simulation_still_print() -> None:
    with simulate("cuda:2"):
        x = torch.tensor([1.0, 2.0], device="cuda:1")
    assert repr(x) == "tensor([1., 2.], device='cuda:1')"
    assert (x + 1).cpu().tolist() == [2, 3]


def test_a_later_simulation_may_have_other_devices() -> None:
    with simulate("cuda:1=t4"):
        assert torch.cuda.device_count() == torch.accelerator.device_count() == 1
        assert torch.cuda.get_device_name() == "Tesla T4"
    with simulate("cuda:4=a100"):
        assert torch.accelerator.device_count() == 4
        assert torch.ones(1, device="cuda:3").item() == 1


def test_nested_simulations_keep_the_outer_devices() -> None:
    with simulate("cuda:2") as outer, simulate("cuda:1") as inner:
        assert inner == outer
        assert torch.cuda.device_count() == 2


def test_two_installations_are_refused() -> None:
    with simulate("cuda"), pytest.raises(SimulationError, match="already"):
        torch_cuda.install(SimulationSpec())


def test_an_old_torch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    with pytest.raises(SimulationError, match=r"needs torch 2.10 or newer, this is 2\.9\.1"):
        torch_cuda.install(SimulationSpec())


def test_a_real_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(SimulationError, match="CUDA_VISIBLE_DEVICES=''"):
        torch_cuda.install(SimulationSpec())


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "arm64"), ("Linux", "aarch64")])
def test_an_untried_platform_is_refused(system: str, machine: str) -> None:
    done = _run(
        "import platform, torch\n"
        f"platform.system = lambda: {system!r}\nplatform.machine = lambda: {machine!r}\n"
        "from placeaudit.simulate import simulate\n"
        "from placeaudit.errors import SimulationError\n"
        "try:\n    simulate('cuda').__enter__()\n"
        "except SimulationError as error:\n    print(error)\n"
        "print(torch.cuda.is_available())\n"
    )
    assert done.stdout.splitlines() == [
        f"simulated CUDA was tried on Linux x86-64 only, this is {system} {machine}",
        "False",
    ]


def test_a_failed_selftest_undoes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(count: int) -> None:
        raise RuntimeError("engine trouble")

    monkeypatch.setattr(torch_cuda, "run_selftest", fail)
    with pytest.raises(SimulationError, match="does not work here: engine trouble"):
        torch_cuda.install(SimulationSpec())
    assert torch_cuda.active() is None
    assert not torch.cuda.is_available()


def test_a_backward_that_ran_before_is_repaired() -> None:
    done = _run(
        "import torch\n"
        "torch.ones(1, requires_grad=True).sum().backward()\n"
        "from placeaudit.simulate import simulate\n"
        "with simulate('cuda:2'):\n"
        "    for device in ('cuda:0', 'cuda:1', 'cpu'):\n"
        "        w = torch.ones(1, device=device, requires_grad=True)\n"
        "        (w * 3).sum().backward()\n"
        "        print(w.grad.device, w.grad.item())\n"
    )
    assert done.stdout.split("\n")[:3] == ["cuda:0 3.0", "cuda:1 3.0", "cpu 3.0"], done.stderr


def test_a_loader_pins_and_its_workers_may_fork_or_spawn() -> None:
    done = _run(
        "import torch\n"
        "from torch.utils.data import DataLoader, TensorDataset\n"
        "from placeaudit.simulate import simulate\n"
        "if __name__ == '__main__':\n"
        "    with simulate('cuda'):\n"
        "        data = TensorDataset(torch.arange(8.0))\n"
        "        for start in ('fork', 'forkserver'):\n"
        "            loader = DataLoader(data, 4, num_workers=2, pin_memory=True,\n"
        "                                multiprocessing_context=start)\n"
        "            for (x,) in loader:\n"
        "                print(x.is_pinned(), x.to('cuda', non_blocking=True).sum().item())\n"
    )
    assert done.stdout.splitlines() == ["True 6.0", "True 22.0"] * 2, done.stderr


def test_a_forked_child_does_not_wait_for_threads_it_does_not_have() -> None:
    done = _run(
        "import os, torch\n"
        "from placeaudit.simulate import simulate\n"
        "with simulate('cuda'):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        print(os.environ['TORCH_AUTOGRAD_SHUTDOWN_WAIT_LIMIT'])\n"
        "        raise SystemExit(7)\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    assert done.stdout.split() == ["0", "7"], done.stderr


def test_the_random_stream_is_not_touched() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with simulate("cuda"):
        found = torch.rand(2)
    assert torch.equal(found, expected)


def test_seeds_of_before_do_not_rewind_the_random_stream() -> None:
    torch.manual_seed(1)
    torch.rand(2)
    expected = torch.rand(2)
    torch.manual_seed(1)
    torch.rand(2)
    with simulate("cuda"):
        torch.ones(1, device="cuda")
        found = torch.rand(2)
    assert torch.equal(found, expected)


def test_a_device_is_initialised_at_its_first_use() -> None:
    done = _run(
        "import torch\n"
        "from placeaudit.simulate import simulate\n"
        "from placeaudit.simulate.torch_cuda.native import ask_initialization\n"
        "def first(use):\n"
        "    torch.cuda._initialized = False\n"
        "    ask_initialization()\n"
        "    use()\n"
        "    return torch.cuda.is_initialized()\n"
        "with simulate('cuda:2'):\n"
        "    print(torch.cuda.is_initialized(), torch.accelerator.current_accelerator())\n"
        "    torch.manual_seed(3)\n"
        "    print(torch.cuda.is_initialized(), torch.cuda.device_count())\n"
        "    before = torch.rand(2)\n"
        "    x = torch.ones(3, device='cuda')\n"
        "    print(torch.cuda.is_initialized(), torch.equal(torch.rand(2), before))\n"
        "    print(first(lambda: torch.ones(1).cuda()), first(lambda: torch.cuda.set_device(1)))\n"
        "    print(first(lambda: torch.accelerator.set_device_index(0)))\n"
        "    print(first(torch.cuda.empty_cache), first(torch.cuda.synchronize))\n"
    )
    assert done.stdout.splitlines() == [
        "False cuda",
        "False 2",
        "True False",
        "True True",
        "True",
        "False True",
    ], done.stderr


def test_install_survives_inference_mode() -> None:
    with torch.inference_mode(), simulate("cuda"):
        assert torch.ones(2, device="cuda").sum().item() == 2


_SPAWNING_PROGRAM = """
import torch
import placeaudit

def child(results):
    results.put(torch.ones(3, device="cuda:1").sum().item())

if __name__ == "__main__":
    with placeaudit.simulate("cuda:2"):
        spawn = torch.multiprocessing.get_context("spawn")
        results = spawn.SimpleQueue()
        process = spawn.Process(target=child, args=(results,))
        process.start()
        process.join()
        print(process.exitcode, results.get())
"""


def test_spawned_children_simulate_too(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(_SPAWNING_PROGRAM)
    ended = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=False, timeout=120
    )
    assert (ended.stdout, ended.stderr) == ("0 3.0\n", "")


#: With threads that wait for the lock until they are let: what a busy machine does at times.
_SHORT_PROGRAM = """
import sys
import torch
from placeaudit.simulate import simulate
sys.setswitchinterval(1000)
simulation = simulate("cuda:2")
simulation.__enter__()
"""
_BACKWARD = 'torch.ones(3, requires_grad=True, device="{}").sum().backward()'


@pytest.mark.parametrize("last", ["", _BACKWARD.format("cpu"), _BACKWARD.format("cuda:1")])
def test_a_short_program_ends_in_order(last: str) -> None:
    for _ in range(3):
        ended = _run(_SHORT_PROGRAM + last)
        assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_a_first_backward_pass_leaves_no_trace(device: str) -> None:
    """Autograd's threads of all devices begin with it."""
    ended = _run(f"""
import torch
from placeaudit.simulate import simulate

def backward():
    x = torch.ones(300, device="{device}", requires_grad=True)
    (x * 2).sum().backward()

def allocated():
    return [torch.cuda.memory_stats(i)["allocation.all.allocated"] for i in range(2)]

with simulate("cuda:2"):
    if "{device}" == "cpu":
        backward()
        print(torch.cuda.is_initialized())
    else:
        torch.cuda.init()
        before = allocated()
        backward()
        first = allocated()
        backward()
        second = allocated()
        print([b - a for a, b in zip(before, first)] == [b - a for a, b in zip(first, second)])
""")
    assert (ended.stdout, ended.stderr) == (f"{device != 'cpu'}\n", "")
