"""Streams and events: ``torch.cuda``'s classes, ``torch.Stream``, ``torch.Event``, accelerator."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
import torch

pytestmark = pytest.mark.usefixtures("cuda")

#: Named before any simulation: what a program's ``from torch.cuda import Stream`` holds then.
Before = torch.cuda.Stream


def test_the_classes_are_those_of_a_cuda_build() -> None:
    stream, event = torch.cuda.Stream(), torch.cuda.Event()
    assert isinstance(stream, torch.Stream)
    assert isinstance(event, torch.Event)
    assert type(stream).__module__ == "torch.cuda.streams"
    assert stream.device == torch.device("cuda", 0)
    assert stream.query()
    assert repr(stream).startswith("<torch.cuda.Stream device=cuda:0 cuda_stream=0x")


def test_streams_are_told_apart() -> None:
    one, other = torch.cuda.Stream(), torch.cuda.Stream(device=1)
    assert one == one  # noqa: PLR0124  # is what is tested
    assert one != other
    assert len({one, other, torch.cuda.default_stream(0), torch.cuda.default_stream(1)}) == 4
    assert torch.cuda.ExternalStream(one.cuda_stream) == one


def test_priorities_are_kept_as_far_as_pytorch_has_them() -> None:
    assert torch.cuda.Stream().priority_range() == (0, -3)
    asked = [torch.cuda.Stream(priority=priority).priority for priority in (5, 0, -1, -9)]
    assert asked == [0, 0, -1, -3]


def test_a_class_imported_before_makes_streams_of_now() -> None:
    assert type(Before()) is torch.cuda.Stream


def test_generic_streams_are_the_same_streams() -> None:
    stream = torch.Stream(device="cuda:1")
    with stream:
        assert torch.cuda.current_stream().cuda_stream == stream.stream_id
        assert torch.cuda.current_device() == 1
        assert torch.ones(1, device="cuda").device.index == 1
    assert torch.cuda.current_device() == 0
    torch.accelerator.set_stream(stream)
    assert torch.cuda.current_stream(1).stream_id == stream.stream_id
    torch.accelerator.set_device_index(0)
    torch.accelerator.set_stream(torch.cuda.default_stream(1))
    torch.accelerator.set_device_index(0)


def test_a_thread_has_streams_of_its_own() -> None:
    found: list[int] = []
    with torch.cuda.stream(torch.cuda.Stream()) as _:
        thread = threading.Thread(
            target=lambda: found.append(torch.cuda.current_stream().stream_id)
        )
        thread.start()
        thread.join()
        assert torch.cuda.current_stream().stream_id != 0
    assert found == [0]


def test_streams_wait_for_each_other_and_for_events() -> None:
    one, other, generic = torch.cuda.Stream(), torch.cuda.Stream(), torch.Stream(device="cuda")
    one.wait_stream(other)
    generic.wait_stream(one)
    event = one.record_event()
    other.wait_event(event)
    event.wait(generic)
    event.synchronize()
    other.synchronize()
    assert event.query()


def test_tensors_take_any_stream() -> None:
    x = torch.ones(2, device="cuda")
    x.record_stream(torch.cuda.Stream())
    x.record_stream(torch.Stream(device="cuda"))
    with pytest.raises(RuntimeError):
        x.record_stream("cuda:0")  # type: ignore[arg-type]


def test_events_know_their_device_once_recorded() -> None:
    event = torch.cuda.Event()
    assert repr(event.device) == "None"
    assert repr(event) == "<torch.cuda.Event uninitialized>"
    event.record(torch.cuda.Stream("cuda:1"))
    assert repr(event.device) == "device(type='cuda', index=1)"
    assert event.cuda_event != 0
    assert event.cuda_event == event.event_id


def test_times_add_up() -> None:
    first, second, third = (torch.cuda.Event(enable_timing=True) for _ in range(3))
    for event in (first, second, third):
        event.record()
    parts = first.elapsed_time(second) + second.elapsed_time(third)
    assert parts == pytest.approx(first.elapsed_time(third))
    assert first.elapsed_time(third) > 0 > third.elapsed_time(first)


def test_generic_events_time_too() -> None:
    start, end = (torch.Event("cuda", enable_timing=True) for _ in range(2))
    start.record()
    end.record(torch.Stream(device="cuda"))
    assert start.elapsed_time(end) > 0


def test_a_backward_runs_on_the_streams_of_its_forward() -> None:
    x = torch.ones(3, device="cuda:1", requires_grad=True)
    with torch.cuda.stream(torch.cuda.Stream(1)):
        y = (x * 2).sum()
    y.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2, 2, 2]


_PROGRAM = """
import torch
from placeaudit.simulate import simulate
before = torch.cuda.Stream
with simulate("cuda"):
    kept = torch.cuda.Stream()
print(torch.cuda.Stream is before, kept.query(), kept)
"""


def test_streams_that_outlive_the_simulation_still_print() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.startswith("True True <torch.cuda.Stream device=cuda:0"), done.stderr
