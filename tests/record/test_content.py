from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from placeaudit.model import HashKind
from placeaudit.record import content as module
from placeaudit.record.content import (
    FULL_BYTES,
    Held,
    HeldDownloads,
    StorageTable,
    hash_host,
)


def full(tensor: torch.Tensor) -> int:
    found, kind = hash_host(tensor)
    assert kind == HashKind.FULL
    return found


def test_equal_content_has_an_equal_hash_wherever_it_lies() -> None:
    for count in (1, 10, 1024, 5000, 200_000):
        a = torch.arange(count, dtype=torch.float32)
        assert full(a) == full(a.clone()) == full(a.view(-1, 1))
        b = a.clone()
        b[-1] += 1
        assert full(a) != full(b)


def test_a_slice_is_its_own_content() -> None:
    a = torch.arange(100)
    assert full(a[10:20]) == full(torch.arange(10, 20))


def test_a_transposed_tensor_differs_from_its_memory() -> None:
    a = torch.arange(6.0).view(2, 3)
    assert full(a.t()) != full(a)
    assert full(a.t()) == full(a.clone().t())


def test_a_strided_tensor_is_hashed_by_its_values() -> None:
    a = torch.arange(100)
    assert full(a[::2]) == full(a[::2].contiguous())
    assert full(torch.ones(1).expand(7)) == full(torch.ones(7))


def test_a_big_strided_tensor_is_not_hashed() -> None:
    a = torch.zeros(2 * FULL_BYTES, dtype=torch.uint8).view(-1, 2)[:, :1].expand(-1, 2)
    assert hash_host(a) == (0, HashKind.NONE)


def test_a_big_tensor_is_sampled() -> None:
    a = torch.zeros(FULL_BYTES + 4096, dtype=torch.uint8)
    first, kind = hash_host(a)
    assert kind == HashKind.SAMPLED
    for position in (0, -1, FULL_BYTES + 4095):
        b = a.clone()
        b[position] = 1
        assert hash_host(b)[0] != first
    assert hash_host(a.clone())[0] == first
    assert hash_host(torch.zeros(FULL_BYTES + 4097, dtype=torch.uint8))[0] != first


def test_the_whole_content_counts_up_to_the_limit() -> None:
    a = torch.zeros(FULL_BYTES, dtype=torch.uint8)
    first = full(a)
    a[FULL_BYTES // 3] = 1
    assert full(a) != first


def test_nothing_is_hashed_of_nothing() -> None:
    assert hash_host(torch.empty(0)) == (0, HashKind.NONE)


def test_lazily_conjugated_memory_is_not_hashed() -> None:
    assert hash_host(torch.ones(2, dtype=torch.complex64).conj()) == (0, HashKind.NONE)


def test_views_share_a_number_and_reused_addresses_do_not() -> None:
    table = StorageTable()
    a = torch.ones(4)
    assert table.number(a) == table.number(a.view(2, 2)) == table.number(a[1:])
    numbers = [table.number(torch.ones(4)) for _ in range(5000)]
    assert len(set(numbers)) == 5000
    assert table.number(a) == 0
    assert len(table) <= module._SWEEP_FROM + 1
    table.clear()
    assert len(table) == 0


def test_known_storages_give_their_memory_back() -> None:
    table = StorageTable()
    a = torch.ones(4)
    address, number = table.hold(a), table.number(a)
    assert table.alive(address, number) is not None
    assert table.alive(address, number + 1) is None
    del a
    assert table.alive(address, number) is None


def test_the_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STORAGES", 3000)
    table = StorageTable()
    living = [torch.ones(1) for _ in range(5000)]
    for tensor in living:
        table.number(tensor)
    assert len(table) <= 3000


def test_tensors_without_storage() -> None:
    table = StorageTable()
    sparse = torch.eye(3).to_sparse()
    assert table.number(sparse) == -1


def held_row(table: StorageTable, tensor: torch.Tensor, thread: int, device: int) -> Held:
    return Held(
        ["row", 0, 0], thread, device, table.hold(tensor), table.number(tensor),
        tensor.data_ptr(), tensor.nbytes, since_ns=0,
    )  # fmt: skip


def test_held_rows_wait_for_their_own_thread_and_device() -> None:
    table = StorageTable()
    out: list[tuple[object, ...]] = []
    held = HeldDownloads(table, out, 1)
    a = torch.arange(4)
    for thread, device in ((1, 0), (2, 0), (1, 1)):
        held.hold(held_row(table, a, thread, device))
    held.finished(1, 0)
    assert out == [("row", *hash_host(a))]
    assert len(held) == 2
    held.finished(1, -1)
    assert len(out) == 2
    held.release()
    assert out[2] == ("row", 0, 0)


def test_held_rows_are_bounded_in_number_and_time() -> None:
    table = StorageTable()
    out: list[tuple[object, ...]] = []
    held = HeldDownloads(table, out, 1)
    a = torch.arange(4)
    for _ in range(held.LIMIT + 3):
        held.hold(held_row(table, a, 1, 0))
    assert out == [("row", 0, 0)] * 3
    held.expire(held.LIMIT_NS)
    assert len(held) == held.LIMIT
    held.expire(held.LIMIT_NS + 1)
    assert len(held) == 0
