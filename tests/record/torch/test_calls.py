"""What is recorded for placement rules: pinning, loading, contexts, who took the census."""

from __future__ import annotations

import io
import threading
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

pytestmark = pytest.mark.usefixtures("cuda")


def saved(value: object) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return file


def test_pinning_is_recorded_once_with_what_it_made(record: Any) -> None:
    def program() -> None:
        pinned = torch.ones(64, 4).pin_memory()
        pinned.pin_memory()  # is pinned already
        pinned.to("cuda", non_blocking=True)

    done = record(program)
    (call,) = done.calls
    (copy,) = done.copies
    assert call["kind"] == "pin_memory"
    assert (call["bytes"], call["storage"]) == (1024, copy["src_storage"])
    assert done.line(call) == "pinned = torch.ones(64, 4).pin_memory()"


def test_pinning_on_another_thread_names_that_thread(record: Any) -> None:
    def program() -> None:
        thread = threading.Thread(target=lambda: torch.ones(4).pin_memory())
        thread.start()
        thread.join()
        torch.ones(4).pin_memory()

    first, second = record(program).calls
    assert first["thread"] != second["thread"]


def test_loaded_tensors_are_born_where_they_were_loaded(record: Any) -> None:
    def program() -> None:
        loaded = torch.load(saved({"a": torch.ones(4), "b": [torch.zeros(4)], "c": 5}))
        loaded["b"][0].to("cuda")

    done = record(program)
    (birth,) = done.births
    (copy,) = done.copies
    assert birth["kind"] == "load"
    assert copy["src_birth"] == birth["birth"]
    assert done.line(birth).startswith("loaded = torch.load(")


def test_a_pickled_tensor_is_born_too(record: Any) -> None:
    import pickle

    def program() -> None:
        data = pickle.dumps(torch.ones(16))
        pickle.loads(data).to("cuda")

    done = record(program)
    assert [b["kind"] for b in done.births] == ["load"]


def test_what_is_loaded_to_a_device_is_not_born_on_the_host(record: Any) -> None:
    done = record(lambda: torch.load(saved(torch.ones(4)), map_location="cuda:1"))
    assert done.births == []


def test_the_census_says_whose_tensor_and_in_which_call(record: Any) -> None:
    def program() -> None:
        first, second = nn.Linear(2, 2).to("cuda"), nn.Linear(2, 2).to("cuda")
        x = torch.ones(1, 2, device="cuda")
        first(x)
        second(x)

    done = record(program)
    weights = [p for p in done.placements if p["name"] == "weight"]
    assert len({p["identity"] for p in weights}) == 2
    assert [done.line(p) for p in weights] == ["first(x)", "second(x)"]


def test_a_process_names_the_devices_it_allocated_on(record: Any) -> None:
    kept = []
    done = record(lambda: kept.append(torch.ones(1000, device="cuda:1")))
    assert done.process.meta["contexts"] == {"cuda:1": 4096}


def test_patches_for_pinning_and_loading_are_undone(record: Any) -> None:
    before = torch.load, torch.Tensor.pin_memory
    record(lambda: None)
    assert (torch.load, torch.Tensor.pin_memory) == before
