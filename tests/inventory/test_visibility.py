from __future__ import annotations

import pytest

from placeaudit.inventory.visibility import cuda_view, settings

UUIDS = ["GPU-aaaa-1", "GPU-aabb-2", "GPU-cccc-3"]


@pytest.mark.parametrize(
    ("value", "shown", "problem"),
    [
        (None, (0, 1, 2), ""),
        ("0,1,2", (0, 1, 2), ""),
        (" 2 , 0 ", (2, 0), ""),
        ("1st", (1,), ""),
        ("GPU-cccc,GPU-aab", (2, 1), ""),
        ("", (), "it is empty"),
        ("-1", (), "'-1' names no device here"),
        ("NoDevFiles", (), "'NoDevFiles' names no device here"),
        ("1,7,0", (1,), "'7' names no device here, and what follows it is not read"),
        ("0,7", (0,), "'7' names no device here"),
        ("0,0", (), "'0' names a device twice, and then CUDA shows none"),
        ("GPU-aa", (), "'GPU-aa' names no device here"),
    ],
)
def test_as_cuda_reads_it(value: str | None, shown: tuple[int, ...], problem: str) -> None:
    view = cuda_view(value, UUIDS)
    assert (view.shown, view.problem) == (shown, problem)


def test_what_is_set_and_what_it_does() -> None:
    found = settings(
        {"PATH": "x", "NVIDIA_VISIBLE_DEVICES": "void", "CUDA_VISIBLE_DEVICES": "2,9"}, UUIDS
    )
    assert [(setting.name, setting.effect) for setting in found] == [
        ("CUDA_VISIBLE_DEVICES", "shows GPU 2 as cuda:0 ('9' names no device here)"),
        ("NVIDIA_VISIBLE_DEVICES", "this container was started without devices"),
    ]
    assert settings({"CUDA_VISIBLE_DEVICES": ""}, UUIDS)[0].effect == "hides every device"
    assert "no device here" in settings({"CUDA_VISIBLE_DEVICES": "0"}, [])[0].effect
    assert settings({}, UUIDS) == ()
