from __future__ import annotations

import pytest

from placeaudit.simulate.tensorflow_gpu.names import Names

PREFIX = "/job:localhost/replica:0/task:0/device:"


@pytest.mark.parametrize(
    ("device", "shown"),
    [
        ("", "cpu"),
        (PREFIX + "CPU:0", "cpu"),
        (PREFIX + "CPU:1", "GPU:0"),
        (PREFIX + "CPU:2", "GPU:1"),
        (PREFIX + "CPU:3", "GPU:2"),  # asked for, and not there
        (PREFIX + "GPU:1", "GPU:1"),
    ],
)
def test_a_device_is_shown_as_the_program_names_it(device: str, shown: str) -> None:
    assert Names(gpus=2).to_shown(device) == shown


def test_a_program_that_splits_its_cpu_keeps_its_parts() -> None:
    names = Names(gpus=1, first=2)
    assert names.to_shown(PREFIX + "CPU:1") == "CPU:1"
    assert names.to_shown(PREFIX + "CPU:2") == "GPU:0"
    assert names.to_real("GPU", 0) == ("CPU", 2)


def test_nothing_is_renamed_where_nothing_is_simulated() -> None:
    assert Names.real().to_shown(PREFIX + "CPU:1") == "CPU:1"
    assert Names.real().to_shown(PREFIX + "GPU:0") == "GPU:0"


def test_what_is_no_gpu_stays() -> None:
    names = Names(gpus=2)
    assert names.to_real("CPU", 0) == ("CPU", 0)
    assert names.to_real(None, None) == (None, None)
    assert names.to_real("GPU", None) == ("CPU", 1)


@pytest.mark.parametrize(
    ("device", "full"),
    [
        ("", ""),
        (PREFIX + "CPU:0", PREFIX + "CPU:0"),
        (PREFIX + "CPU:2", PREFIX + "GPU:1"),
        (PREFIX + "GPU:1", PREFIX + "GPU:1"),
    ],
)
def test_a_full_name_names_the_gpu(device: str, full: str) -> None:
    assert Names(gpus=2).to_full(device) == full
