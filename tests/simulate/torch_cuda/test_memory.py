"""Memory figures follow the tensors alive; storages are made, resized and moved."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
import torch

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _device(cuda: object) -> None:
    del cuda
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.reset_accumulated_memory_stats()


def _stats(prefix: str) -> dict[str, int]:
    stats = torch.cuda.memory_stats()
    return {key.removeprefix(prefix): stats[key] for key in stats if key.startswith(prefix)}


def test_every_key_of_a_cuda_build_is_there() -> None:
    figures = ("current", "peak", "allocated", "freed")
    metrics = (
        "allocation", "segment", "active", "inactive_split", "allocated_bytes", "reserved_bytes",
        "active_bytes", "inactive_split_bytes", "requested_bytes",
    )  # fmt: skip
    keys = {
        f"{metric}.{pool}.{figure}"
        for metric in metrics
        for pool in ("all", "large_pool", "small_pool")
        for figure in figures
    }
    keys |= {f"oversize_{kind}.{f}" for kind in ("allocations", "segments") for f in figures}
    keys |= {
        "num_alloc_retries", "num_ooms", "num_sync_all_streams", "num_device_alloc",
        "num_device_free", "num_oom_rejections", "max_split_size",
    }  # fmt: skip
    assert keys == set(torch.cuda.memory_stats())


def test_small_and_large_blocks_have_pools_of_their_own() -> None:
    small = torch.empty(MIB, dtype=torch.uint8, device="cuda")
    large = torch.empty(MIB + 1, dtype=torch.uint8, device="cuda")
    current = _stats("allocated_bytes.")
    assert current["small_pool.current"] == MIB
    assert current["large_pool.current"] == MIB + 512
    assert current["all.current"] == 2 * MIB + 512 == torch.cuda.memory_allocated()
    assert _stats("requested_bytes.")["all.current"] == 2 * MIB + 1
    assert _stats("allocation.")["all.current"] == 2
    assert torch.cuda.memory_reserved() == 4 * MIB
    del small, large
    after = _stats("allocated_bytes.")
    assert after["all.current"] == 0
    assert after["all.peak"] == 2 * MIB + 512 == torch.cuda.max_memory_allocated()
    assert after["all.allocated"] == after["all.freed"] == 2 * MIB + 512
    assert _stats("allocation.")["all.allocated"] == 2


def test_what_is_freed_stays_reserved_until_it_is_given_back() -> None:
    torch.empty(30 * MIB, dtype=torch.uint8, device="cuda")
    assert torch.cuda.memory_allocated() == 0
    assert torch.cuda.memory_reserved() == 30 * MIB
    free, total = torch.cuda.mem_get_info()
    assert total - free == 30 * MIB
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() == 0
    assert torch.cuda.mem_get_info()[0] == total
    assert torch.cuda.max_memory_reserved() == 30 * MIB


def test_peaks_and_totals_start_again() -> None:
    kept = torch.empty(4 * MIB, dtype=torch.uint8, device="cuda")
    torch.empty(4 * MIB, dtype=torch.uint8, device="cuda")
    torch.cuda.reset_peak_memory_stats()
    assert torch.cuda.max_memory_allocated() == kept.nbytes
    torch.cuda.reset_accumulated_memory_stats()
    assert _stats("allocated_bytes.")["all.allocated"] == 0
    del kept
    assert _stats("allocated_bytes.")["all.freed"] == 4 * MIB


def test_a_snapshot_shows_the_tensors_alive() -> None:
    x = torch.empty(1000, device="cuda")
    y = torch.empty(3 * MIB, dtype=torch.uint8, device="cuda:1")
    segments = {segment["address"]: segment for segment in torch.cuda.memory_snapshot()}
    assert segments.keys() == {x.data_ptr(), y.data_ptr()}
    small, large = segments[x.data_ptr()], segments[y.data_ptr()]
    assert (small["device"], small["segment_type"], small["total_size"]) == (0, "small", 2 * MIB)
    assert (large["device"], large["segment_type"], large["total_size"]) == (1, "large", 20 * MIB)
    block = small["blocks"][0]
    assert (block["size"], block["requested_size"], block["state"]) == (
        4096,
        4000,
        "active_allocated",
    )


def test_a_snapshot_can_be_dumped(tmp_path: Path) -> None:
    torch.cuda.memory._record_memory_history()
    kept = torch.ones(3, device="cuda")
    torch.cuda.memory._dump_snapshot(str(tmp_path / "snapshot.pickle"))
    torch.cuda.memory._record_memory_history(enabled=None)
    assert kept.is_cuda
    assert (tmp_path / "snapshot.pickle").stat().st_size > 0


class TestStorages:
    def test_they_are_made_on_a_device(self) -> None:
        storage = torch.UntypedStorage(3, device="cuda:1")
        assert (storage.device, storage.nbytes()) == (torch.device("cuda", 1), 3)
        assert torch.UntypedStorage([1, 2, 3], device="cuda").tolist() == [1, 2, 3]
        assert torch.UntypedStorage(4).device.type == "cpu"
        legacy: Any = torch.cuda
        assert legacy.FloatStorage([1.0, 2.0]).tolist() == [1, 2]

    def test_they_move(self) -> None:
        storage = torch.arange(3, dtype=torch.uint8).untyped_storage()
        moved: Any = storage.cuda(1)
        assert moved.device == torch.device("cuda", 1)
        assert moved.cpu().tolist() == [0, 1, 2]
        assert moved.clone().tolist() == [0, 1, 2]

    def test_tensors_follow_a_resized_storage(self) -> None:
        x = torch.arange(4.0, device="cuda")
        part, storage = x[1:], x.untyped_storage()
        assert storage.resizable()
        storage.resize_(1024)
        assert x.tolist() == [0, 1, 2, 3]
        assert torch.cuda.memory_allocated() == 1024
        storage.resize_(0)
        assert (storage.nbytes(), torch.cuda.memory_allocated()) == (0, 0)
        storage.resize_(16)
        x.fill_(2)
        assert part.tolist() == [2, 2, 2]
        del x, part, storage
        assert torch.cuda.memory_allocated() == 0

    def test_host_storages_resize_as_before(self) -> None:
        storage = torch.ones(2).untyped_storage()
        assert storage.resize_(64).nbytes() == 64
