from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from placeaudit.crossing import crossing_itemsize, host_waits

pytestmark = pytest.mark.usefixtures("cuda")


@pytest.mark.parametrize(
    ("to_device", "pinned", "non_blocking", "contiguous", "waits"),
    [
        (True, True, True, True, False),
        (True, True, False, True, True),
        (True, True, True, False, True),  # strided: a pageable temporary
        (True, False, True, True, True),
        (True, False, False, True, True),
        (False, True, True, True, False),
        (False, True, False, True, True),
        (False, True, True, False, True),
        (False, False, True, True, True),
        (False, False, False, True, True),
    ],
)
def test_which_copies_make_the_host_wait(
    to_device: bool, pinned: bool, non_blocking: bool, contiguous: bool, waits: bool
) -> None:
    assert (
        host_waits(
            to_host=not to_device,
            to_device=to_device,
            pinned=pinned,
            non_blocking=non_blocking,
            host_contiguous=contiguous,
        )
        is waits
    )


def test_copies_between_devices_never_wait() -> None:
    for non_blocking in (True, False):
        assert not host_waits(
            to_host=False,
            to_device=False,
            pinned=False,
            non_blocking=non_blocking,
            host_contiguous=True,
        )


@pytest.mark.parametrize(
    ("to_device", "non_blocking", "size"), [(True, False, 4), (True, True, 1), (False, False, 1),
                                            (False, True, 4)],
)  # fmt: skip
def test_a_blocking_conversion_is_on_the_host(
    to_device: bool, non_blocking: bool, size: int
) -> None:
    found = crossing_itemsize(to_device=to_device, non_blocking=non_blocking, source=1, target=4)
    assert found == size


def test_upload_and_download(record: Any) -> None:
    host = torch.arange(12, dtype=torch.float32).view(3, 4)

    def program() -> None:
        device = host.to("cuda")  # upload
        device.cpu()  # download

    done = record(program)
    up, down = done.copies
    assert (up["src_device"], up["dst_device"]) == ("cpu", "cuda:0")
    assert (down["src_device"], down["dst_device"]) == ("cuda:0", "cpu")
    for row in (up, down):
        assert row["bytes"] == 48
        assert row["shape"] == "3x4"
        assert (row["src_dtype"], row["dst_dtype"]) == ("float32", "float32")
        assert (row["pinned"], row["non_blocking"], row["waits"]) == (False, False, True)
        assert row["operation"] == "copy_"
        assert row["backward"] == 0
        assert row["host_ns"] > 0
    assert up["dst_storage"] == down["src_storage"]
    assert up["dst_version"] == down["src_version"]
    assert up["content_hash"] == down["content_hash"] != 0
    assert (up["hash_kind"], down["hash_kind"]) == (1, 1)
    assert done.line(up).endswith("# upload")
    assert done.line(down).endswith("# download")
    assert done.waits == []


def test_between_devices_and_within_one(record: Any) -> None:
    def program() -> None:
        a = torch.ones(8, device="cuda:0")
        a.to("cuda:1")
        a.clone()
        a.copy_(a + 1)
        a.half()

    (row,) = record(program).copies
    assert (row["src_device"], row["dst_device"]) == ("cuda:0", "cuda:1")
    assert not row["waits"]
    assert row["hash_kind"] == 0


def test_an_empty_tensor_crosses_nothing(record: Any) -> None:
    assert record(lambda: torch.empty(0).to("cuda").cpu()).copies == []


def test_pinned_and_non_blocking(record: Any) -> None:
    pinned = torch.ones(64).pin_memory()
    pageable = torch.ones(64)

    def program() -> None:
        pinned.to("cuda", non_blocking=True)
        pinned.to("cuda")
        pageable.to("cuda", non_blocking=True)
        pinned.view(8, 8).t().to("cuda", non_blocking=True)

    rows = record(program).copies
    assert [(r["pinned"], r["non_blocking"], r["waits"]) for r in rows[:3]] == [
        (True, True, False),
        (True, False, True),
        (False, True, True),
    ]
    # The strides are kept on the device, so a transposed tensor needs no temporary.
    assert rows[3]["waits"] is False


@pytest.mark.parametrize(("non_blocking", "size"), [(False, 256), (True, 64)])
def test_a_converting_copy_counts_once_with_the_bytes_that_cross(
    record: Any, non_blocking: bool, size: int
) -> None:
    source = torch.ones(64, dtype=torch.uint8).pin_memory()
    target = torch.empty(64, device="cuda")
    (row,) = record(lambda: target.copy_(source, non_blocking=non_blocking)).copies
    assert row["bytes"] == size
    assert (row["src_dtype"], row["dst_dtype"]) == ("uint8", "float32")


def test_a_strided_copy_counts_once(record: Any) -> None:
    wide = torch.arange(64, dtype=torch.float32).view(8, 8)
    device = wide.cuda()

    def program() -> None:
        device[:, :4].copy_(wide[:, ::2])
        torch.empty(8, 4).copy_(device[:, ::2])

    up, down = record(program).copies
    assert up["bytes"] == down["bytes"] == 128
    assert up["waits"]
    assert device[:, :4].cpu().equal(wide[:, ::2])


def test_a_broadcast_upload_counts_what_crosses(record: Any) -> None:
    target = torch.empty(4, 8, device="cuda")
    (row,) = record(lambda: target.copy_(torch.ones(8))).copies
    assert row["bytes"] == 128
    assert row["shape"] == "4x8"


def test_copies_nested_in_other_operations(record: Any) -> None:
    device = torch.zeros(4, 4, device="cuda")

    def program() -> None:
        torch.tensor([1.0, 2.0], device="cuda")
        device[0] = torch.ones(4)
        device[torch.tensor([0, 2])]

    rows = record(program).copies
    assert [(r["src_device"], r["dst_device"], r["bytes"]) for r in rows] == [
        ("cpu", "cuda:0", 8),
        ("cpu", "cuda:0", 16),
        ("cpu", "cuda:0", 16),
    ]


def test_an_unfinished_download_is_hashed_after_a_wait(record: Any) -> None:
    device = torch.arange(16, dtype=torch.float32).cuda()
    kept = []

    def program() -> None:
        blocking = device.cpu()
        kept.append(device.to("cpu", non_blocking=True))
        torch.cuda.synchronize()
        kept.append(device.to("cpu", non_blocking=True))
        kept.append(blocking)

    rows = sorted(record(program).copies, key=lambda r: r["time_ns"])
    blocking, waited, unwaited = rows
    assert (waited["pinned"], waited["waits"]) == (True, False)
    assert waited["hash_kind"] == 1
    assert waited["content_hash"] == blocking["content_hash"]
    assert (unwaited["hash_kind"], unwaited["content_hash"]) == (0, 0)


def test_an_unfinished_download_that_is_dropped_has_no_hash(record: Any) -> None:
    device = torch.ones(16, device="cuda")

    def program() -> None:
        device.to("cpu", non_blocking=True)
        torch.cuda.synchronize()

    (row,) = record(program).copies
    assert row["hash_kind"] == 0


def test_inference_tensors(record: Any) -> None:
    def program() -> None:
        with torch.inference_mode():
            torch.ones(4).to("cuda").cpu()

    up, down = record(program).copies
    assert up["src_version"] == up["dst_version"] == down["src_version"] == -1
    assert up["content_hash"] == down["content_hash"] != 0


def test_a_failing_copy_raises_its_own_error_and_is_not_recorded(record: Any) -> None:
    errors = []

    def program() -> None:
        try:
            torch.ones(3, device="cuda").copy_(torch.ones(4))
        except RuntimeError as error:
            errors.append(str(error))
        torch.ones(2).cuda()

    (row,) = record(program).copies
    assert row["shape"] == "2"
    assert "size" in errors[0]


def test_a_failing_recorder_does_not_reach_the_program(
    record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from placeaudit.record.torch import copies

    def broken(*_: object) -> None:
        raise ValueError("bug of ours")

    monkeypatch.setattr(copies, "hash_host", broken)
    result = []

    def program() -> None:
        result.append(torch.ones(4).cuda())
        result.append(torch.ones(4).cuda())

    done = record(program)
    assert [r.sum().item() for r in result] == [4.0, 4.0]
    (note,) = done.notes
    assert note["rule"] == "PA903"
    assert "bug of ours" in note["text"]


def test_after_the_session_nothing_is_left(record: Any) -> None:
    before = {name: getattr(torch, name) for name in ("zeros", "save", "compile")}
    engine = torch.autograd.graph._engine_run_backward
    apply = torch.nn.Module._apply
    done = record(lambda: torch.ones(1).cuda())
    torch.ones(3).cuda()
    assert len(done.copies) == 1
    assert {name: getattr(torch, name) for name in before} == before
    assert torch.autograd.graph._engine_run_backward is engine
    assert vars(torch.autograd)["_engine_run_backward"] is engine
    assert torch.nn.Module._apply is apply
    assert not torch.nn.modules.module._global_forward_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks


def test_a_second_session_records_again(record: Any) -> None:
    assert len(record(lambda: torch.ones(1).cuda()).copies) == 1
    assert len(record(lambda: torch.ones(1).cuda()).copies) == 1


def test_storage_numbers_are_not_reused(record: Any) -> None:
    def program() -> None:
        for _ in range(50):
            torch.ones(32).cuda()

    rows = record(program).copies
    assert len({r["src_storage"] for r in rows}) == 50
    assert len({r["dst_storage"] for r in rows}) == 50


def test_a_write_through_torch_raises_the_version(record: Any) -> None:
    device = torch.zeros(4, device="cuda")

    def program() -> None:
        device.cpu()
        device.add_(1)
        device.cpu()

    first, second = record(program).copies
    assert first["src_storage"] == second["src_storage"]
    assert second["src_version"] == first["src_version"] + 1


def test_births_of_uploaded_factory_tensors(record: Any) -> None:
    def program() -> None:
        noise = torch.zeros(4)  # born
        torch.ones(5)
        noise.cuda()
        (noise + 1).cuda()
        noise.cuda()

    done = record(program)
    (birth,) = done.births
    assert done.line(birth).endswith("# born")
    assert [r["src_birth"] for r in done.copies] == [0, -1, 0]
    assert birth["storage"] == done.copies[0]["src_storage"]


def test_scripted_factories_still_compile(record: Any) -> None:
    torch.jit._builtins._get_builtin_table()

    def program() -> None:
        source = torch.jit.CompilationUnit("def f():\n    return torch.zeros(3)\n")
        assert source.f().shape == (3,)

        def scripted() -> torch.Tensor:
            return torch.zeros(2)

        assert torch.jit.script(scripted)().shape == (2,)

    record(program)


def test_factories_can_be_pickled(record: Any) -> None:
    def program() -> None:
        assert pickle.loads(pickle.dumps(torch.zeros)) is torch.zeros
        assert copy.deepcopy(torch.randn) is torch.randn

    record(program)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("error::torch.jit.TracerWarning")
def test_tracing_sees_nothing_of_us(record: Any) -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        return x.cuda() + torch.ones(2, device="cuda")

    example = torch.ones(2)
    plain = str(torch.jit.trace(function, example).graph)
    traced: list[str] = []
    done = record(lambda: traced.append(str(torch.jit.trace(function, example).graph)))

    def nodes(graph: str) -> list[str]:
        return [line.partition(" #")[0] for line in graph.splitlines()]

    assert nodes(traced[0]) == nodes(plain)
    assert done.notes == []


def test_default_device_still_applies_to_factories(record: Any) -> None:
    def program() -> None:
        with torch.device("cuda"):
            assert torch.zeros(3).device.type == "cuda"

    assert record(program).births == []
