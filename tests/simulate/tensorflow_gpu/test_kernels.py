from __future__ import annotations

import json

import pytest

from placeaudit.simulate.tensorflow_gpu.kernels import Kernel, KernelTable, table_name

FLOAT, INT32, STRING, INT64 = 1, 3, 7, 9


@pytest.fixture(scope="module")
def table() -> KernelTable:
    return KernelTable.shipped("2.21.0")


@pytest.mark.parametrize(
    ("operation", "types", "expected"),
    [
        ("MatMul", {"T": FLOAT}, True),
        ("MatMul", {"T": INT32}, False),  # no such kernel on a GPU
        ("StringJoin", {}, False),
        ("LookupTableFindV2", {"Tin": STRING, "Tout": INT64}, False),
        ("VarHandleOp", {"dtype": FLOAT}, True),
        ("VarHandleOp", {"dtype": INT32}, False),
        ("TensorSliceDataset", {}, False),
        ("IteratorGetNext", {}, False),  # has one, but the CPU's has the higher priority
    ],
)
def test_where_an_operation_would_run(
    table: KernelTable, operation: str, types: dict[str, int], expected: bool
) -> None:
    assert table.prefers_gpu(operation, types) is expected


def test_a_kernel_says_what_it_wants_on_the_host(table: KernelTable) -> None:
    kernel = table.gpu_kernel("Sum", {"T": FLOAT, "Tidx": INT32})
    assert kernel is not None
    assert kernel.host == {"reduction_indices"}
    shape = table.gpu_kernel("Shape", {"T": FLOAT, "out_type": INT32})
    assert shape is not None
    assert shape.host == {"output"}


def test_a_kernel_for_any_device_yields_to_the_devices_own(table: KernelTable) -> None:
    own = table.gpu_kernel("AddV2", {"T": FLOAT})
    anywhere = table.gpu_kernel("AddV2", {"T": INT32})
    assert own is not None
    assert not own.host
    assert anywhere is not None
    assert anywhere.host == {"x", "y", "z"}


def test_kernels_that_differ_in_one_type_are_joined_and_read_back() -> None:
    one = Kernel((("T", frozenset({1})),), frozenset({"axis"}), 0)
    other = Kernel((("T", frozenset({2})),), frozenset({"axis"}), 0)
    table = KernelTable({"Op": (one, other)}, {"Op": 0})
    data = json.loads(json.dumps(table.to_json()))
    assert data["gpu"]["Op"] == [[{"T": [1, 2]}, ["axis"], 0]]
    again = KernelTable.from_json(data)
    assert again.gpu_kernel("Op", {"T": 2}) is not None
    assert again.gpu_kernel("Op", {"T": 3}) is None


def test_an_unknown_version_has_no_table() -> None:
    assert table_name("2.21.3") == "tf_2_21"
    with pytest.raises(KeyError):
        KernelTable.shipped("1.15.0")
