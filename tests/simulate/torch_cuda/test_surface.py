"""``torch.cuda`` as a program sees it: devices, memory, streams, generators, saving and loading."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.usefixtures("cuda")


#: What only makes sense on the simulated device (tests/gpu runs the rest on a real one).
SIMULATION_ONLY = frozenset(
    {
        "test_devices_are_counted_and_named",
        "test_a_full_device_says_so",
        "test_one_seed_gives_the_numbers_of_a_host_run",
        "test_events_measure_host_time",
        "test_memory_is_counted_until_the_storage_dies",
        "test_memory_history_can_be_asked_for",
    }
)


def test_devices_are_counted_and_named() -> None:
    assert torch.cuda.is_available()
    assert torch.cuda.device_count() == torch.accelerator.device_count() == 2
    assert torch.cuda.get_device_name(1) == "NVIDIA H100 80GB HBM3"
    properties = torch.cuda.get_device_properties(0)
    assert (properties.major, properties.minor) == torch.cuda.get_device_capability() == (9, 0)
    assert properties.total_memory == 81089 << 20
    assert torch.accelerator.current_accelerator() == torch.device("cuda")
    assert torch.cuda.is_bf16_supported()


def test_memory_is_counted_until_the_storage_dies() -> None:
    before = torch.cuda.memory_allocated(1)
    torch.cuda.reset_peak_memory_stats(1)
    x = torch.zeros(1000, device="cuda:1")
    view = x[10:]
    assert torch.cuda.memory_allocated(1) - before == 4096  # rounded to 512 bytes
    del x
    assert torch.cuda.memory_allocated(1) - before == 4096
    del view
    assert torch.cuda.memory_allocated(1) == before
    assert torch.cuda.max_memory_allocated(1) - before == 4096
    free, total = torch.cuda.mem_get_info(1)
    assert 0 < free <= total == 81089 << 20


def test_a_full_device_says_so() -> None:
    with pytest.raises(torch.OutOfMemoryError, match=r"CUDA out of memory\. Tried to allocate"):
        torch.empty(90 << 30, dtype=torch.uint8, device="cuda")


def test_streams_are_current_inside_their_block() -> None:
    stream = torch.cuda.Stream()
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    with torch.cuda.stream(stream):
        assert torch.cuda.current_stream() == stream
        stream.wait_stream(torch.cuda.default_stream())
    assert torch.cuda.current_stream() != stream
    stream.synchronize()
    assert stream.query()


def test_tensors_take_the_streams_that_use_them() -> None:
    tensor = torch.ones(3, device="cuda")
    tensor.record_stream(torch.cuda.Stream())
    torch.nn.Parameter(tensor).record_stream(torch.cuda.current_stream())
    with pytest.raises((RuntimeError, TypeError)):
        tensor.record_stream("cuda:0")  # type: ignore[arg-type]


def test_events_measure_host_time() -> None:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    end.record()
    torch.cuda.synchronize()
    assert start.elapsed_time(end) > 0
    with pytest.raises(ValueError, match="recorded"):
        start.elapsed_time(torch.cuda.Event(enable_timing=True))


def test_one_seed_gives_the_numbers_of_a_host_run() -> None:
    torch.manual_seed(3)
    expected = torch.randn(4)
    torch.manual_seed(3)
    assert torch.equal(torch.randn(4, device="cuda").cpu(), expected)
    generator = torch.Generator(device="cuda").manual_seed(5)
    first = torch.rand(3, device="cuda", generator=generator)
    generator.manual_seed(5)
    assert torch.equal(torch.rand(3, device="cuda", generator=generator), first)
    state = torch.cuda.get_rng_state()
    drawn = torch.rand(3, device="cuda")
    torch.cuda.set_rng_state(state)
    assert torch.equal(torch.rand(3, device="cuda"), drawn)


@pytest.mark.parametrize(
    ("map_location", "expected"),
    [
        (None, "cuda:1"),
        ("cpu", "cpu"),
        ("cuda:0", "cuda:0"),
        ({"cuda:1": "cuda:0"}, "cuda:0"),
        (lambda storage, _location: storage.cuda(1), "cuda:1"),
        (lambda storage, _location: storage, "cpu"),
        (torch.device("cuda", 0), "cuda:0"),
    ],
    ids=["none", "cpu", "name", "dict", "to-device", "as-is", "device"],
)
def test_saved_tensors_load_where_asked(map_location: Any, expected: str, tmp_path: Path) -> None:
    x = torch.arange(5.0, device="cuda:1")
    torch.save({"x": x, "part": x[1:3]}, tmp_path / "x.pt")
    loaded = torch.load(tmp_path / "x.pt", map_location=map_location)
    assert str(loaded["x"].device) == expected
    assert loaded["x"].tolist() == [0, 1, 2, 3, 4]
    assert loaded["part"].data_ptr() == loaded["x"].data_ptr() + 4


def test_modules_and_tensors_copy_deeply() -> None:
    module = torch.nn.Linear(2, 2).cuda()
    twin = copy.deepcopy(module)
    assert twin.weight.device == module.weight.device
    assert twin.weight.data_ptr() != module.weight.data_ptr()


def test_autocast_and_scaler_work() -> None:
    weight = torch.randn(4, 4, device="cuda", requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    scaler = torch.amp.GradScaler("cuda", init_scale=2.0)
    with torch.autocast("cuda", dtype=torch.float16):
        product = weight @ weight
        assert product.dtype == torch.float16
        loss = product.float().sum()
    before = weight.detach().clone()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    assert not torch.equal(weight, before)


@pytest.mark.parametrize("options", [{"foreach": True}, {"fused": True}, {"foreach": False}])
@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
def test_optimizers_agree_with_the_host(kind: Any, options: dict[str, bool]) -> None:
    torch.manual_seed(0)
    start = torch.randn(5)
    found = []
    for device in ("cpu", "cuda"):
        parameter = torch.nn.Parameter(start.clone().to(device))
        optimizer = kind([parameter], lr=0.1, **options)
        for _ in range(3):
            optimizer.zero_grad()
            (parameter * parameter).sum().backward()
            optimizer.step()
        found.append(parameter.detach().cpu())
    torch.testing.assert_close(found[1], found[0])


def test_legacy_types_construct() -> None:
    cuda: Any = torch.cuda  # the types are made in C++
    x = cuda.FloatTensor([1, 2])
    assert (x.device.type, x.dtype) == ("cuda", torch.float32)
    assert torch.ones(2).type(cuda.HalfTensor).type() == "torch.cuda.HalfTensor"
    assert cuda.LongTensor(2, 3).shape == (2, 3)
    assert isinstance(x, cuda.FloatTensor)
    assert not isinstance(x.cpu(), cuda.FloatTensor)


@pytest.mark.filterwarnings("ignore:torch.set_default_tensor_type")
def test_a_default_type_on_the_device_leaves_kernels_alone() -> None:
    torch.set_default_tensor_type("torch.cuda.FloatTensor")
    try:
        x = torch.rand(3) + 1
        assert x.is_cuda
        assert repr(x).startswith("tensor([1.")
        assert torch.add(x, 1, out=torch.empty(0)).shape == (3,)
        assert torch.fmod(x, 0.5).is_cuda
    finally:
        torch.set_default_tensor_type(torch.FloatTensor)


def test_a_default_device_leaves_kernels_alone() -> None:
    with torch.device("cuda"):
        x = torch.arange(3.0)
        assert x.is_cuda
        x[x > 0] = 5
        x.resize_(4)[3] = 1
        assert torch.maximum(x, torch.tensor(2.0, device="cpu")).tolist() == [2, 5, 5, 2]
        assert torch.add(x, 1, out=torch.empty(0)).is_cuda


@pytest.mark.parametrize("activities", [("CPU", "CUDA"), ("CUDA",)])
def test_profiling_the_device_is_silent(
    activities: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    kinds = torch.profiler.ProfilerActivity
    x = torch.ones(3, device="cuda")
    with torch.profiler.profile(activities=[getattr(kinds, name) for name in activities]) as run:
        (x * 2).sum()
    with torch.autograd.profiler.profile(use_device="cuda"):
        (x * 2).sum()
    run.key_averages().table()
    assert kinds.CUDA in torch.profiler.supported_activities()
    assert "Failed to record" not in capfd.readouterr().err


def test_the_accelerator_reports_the_same_memory() -> None:
    x = torch.ones(1000, device="cuda")
    assert torch.accelerator.memory_allocated(0) == torch.cuda.memory_allocated(0) >= x.nbytes
    assert torch.accelerator.max_memory_allocated(0) >= x.nbytes
    torch.accelerator.reset_peak_memory_stats()
    torch.accelerator.empty_cache()
    assert torch.accelerator.memory_reserved(0) == torch.cuda.memory_reserved(0)


def test_a_share_of_the_device_is_all_there_is() -> None:
    torch.cuda.set_per_process_memory_fraction(0.25, 1)
    try:
        assert torch.cuda.get_per_process_memory_fraction(1) == pytest.approx(0.25)
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(30 << 30, dtype=torch.uint8, device="cuda:1")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, 1)


def test_memory_history_can_be_asked_for() -> None:
    torch.cuda.memory._record_memory_history()
    assert "segments" in torch.cuda.memory._snapshot()
    torch.cuda.memory._record_memory_history(enabled=None)
    assert torch.backends.cudnn.is_available()


def _use_device(results: Any) -> None:
    try:
        torch.zeros(1, device="cuda")
    except RuntimeError as error:
        results.put(str(error))


def test_a_forked_child_is_refused_in_the_known_words() -> None:
    torch.zeros(1, device="cuda")
    fork = torch.multiprocessing.get_context("fork")
    results = fork.SimpleQueue()
    child = fork.Process(target=_use_device, args=(results,))
    child.start()
    child.join()
    assert "Cannot re-initialize CUDA in forked subprocess" in results.get()
    assert child.exitcode == 0
