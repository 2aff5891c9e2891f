from __future__ import annotations

import io
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

pytestmark = pytest.mark.usefixtures("cuda")

LOADING, FORWARD, OPTIMIZER, EVALUATION, CHECKPOINT = 2, 3, 5, 6, 7


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        linear: torch.Tensor = self.linear(x)
        return linear + torch.ones(4).to(x.device)


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList([Block(), Block()])
        self.register_buffer("scale", torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return x * x.sum().item()


def test_module_paths_and_phases(record: Any) -> None:
    net = Net().cuda()

    def program() -> None:
        x = torch.ones(2, 4).cuda()
        net(x)
        net.eval()
        with torch.no_grad():
            net(x)

    rows = record(program).copies
    assert [(r["module"], r["phase"]) for r in rows] == [
        (None, 0),
        ("blocks.0", FORWARD),
        ("blocks.1", FORWARD),
        ("Net", FORWARD),
        ("blocks.0", EVALUATION),
        ("blocks.1", EVALUATION),
        ("Net", EVALUATION),
    ]


def test_the_census_is_taken_once_and_after_a_change(record: Any) -> None:
    net = Net().cuda()
    x = torch.ones(2, 4, device="cuda")

    def program() -> None:
        for _ in range(3):
            net(x)
        net.blocks[0].to("cuda:1")
        net.blocks[0].to("cuda:0")
        net.scale.data = net.scale.data.cpu()
        net(x)

    done = record(program)
    rows = [(p["kind"], p["owner"], p["name"], p["device"]) for p in done.placements]
    assert rows == [
        ("input", "Net", "0", "cuda:0"),
        ("output", "Net", "0", "cuda:0"),
        ("parameter", "Net", "blocks.0.linear.weight", "cuda:0"),
        ("parameter", "Net", "blocks.0.linear.bias", "cuda:0"),
        ("parameter", "Net", "blocks.1.linear.weight", "cuda:0"),
        ("parameter", "Net", "blocks.1.linear.bias", "cuda:0"),
        ("buffer", "Net", "scale", "cuda:0"),
        ("buffer", "Net", "scale", "cpu"),
    ]
    assert done.placements[2]["bytes"] == 64
    assert done.placements[2]["shape"] == "4x4"


def test_an_exception_in_forward_leaves_no_module_behind(record: Any) -> None:
    class Broken(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise KeyError("theirs")

    def program() -> None:
        with pytest.raises(KeyError, match="theirs"):
            torch.nn.Sequential(Broken())(torch.ones(1, device="cuda"))
        torch.ones(1).cuda()

    (row,) = record(program).copies
    assert (row["module"], row["phase"]) == (None, 0)


def test_a_step_that_calls_the_step_of_its_base_class_is_one_step(record: Any) -> None:
    net = Block().cuda()

    class Slow(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            return super().step(closure)

    torch.optim.SGD(net.parameters(), lr=0.1)  # from here on PyTorch hooks its step too
    optimizer = Slow(net.parameters(), lr=0.1)

    def program() -> None:
        for _ in range(3):
            net(torch.ones(1, 4, device="cuda")).sum().backward()
            optimizer.step()

    spans = [s["name"] for s in record(program).spans if s["kind"] == "optimizer"]
    assert spans == ["Slow"] * 3


def test_optimizer_spans_phases_and_census(record: Any) -> None:
    net = Block().cuda()

    class Reading(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            self.param_groups[0]["params"][0].sum().item()
            return super().step(closure)

    optimizer = torch.optim.Adam(net.parameters())
    reading = Reading(net.parameters(), lr=0.1)

    def program() -> None:
        for _ in range(2):
            net(torch.ones(1, 4, device="cuda")).sum().backward()
            optimizer.step()
            reading.step()

    done = record(program)
    spans = [(s["kind"], s["name"]) for s in done.spans]
    assert spans == [
        ("module", "Block"), ("backward", "backward"), ("optimizer", "Adam"),
        ("optimizer", "Reading"),
    ] * 2  # fmt: skip
    owners = {s["owner"] for s in done.spans if s["kind"] == "optimizer"}
    assert len(owners) == 2
    assert [r["phase"] for r in done.copies if r["operation"] != "copy_"] == [OPTIMIZER] * 2
    state = [p for p in done.placements if p["kind"] == "optimizer-state"]
    assert {(p["name"], p["device"], p["expected_device"]) for p in state} == {
        (f"0.{i}.{key}", device, "cuda:0")
        for i in range(2)
        for key, device in (("step", "cpu"), ("exp_avg", "cuda:0"), ("exp_avg_sq", "cuda:0"))
    }
    gradients = [p for p in done.placements if p["kind"] == "gradient"]
    assert {(p["owner"], p["name"]) for p in gradients} == {
        (owner, f"0.{i}") for owner in ("Adam", "Reading") for i in range(2)
    }


def test_moves_checkpoints_loading_and_steps(record: Any) -> None:
    from placeaudit.record.session import mark_step

    net = Net()
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(4, 4)), 2)

    def program() -> None:
        net.to("cuda")
        for (batch,) in data:
            batch.to("cuda")
            mark_step()
        file = io.BytesIO()
        torch.save(net.state_dict(), file)
        file.seek(0)
        torch.load(file)

    done = record(program)
    assert [(s["kind"], s["name"]) for s in done.spans] == [
        ("model-move", "Net"),
        ("loading", "SingleProcessDataLoaderIter"),
        ("step", "step"),
        ("loading", "SingleProcessDataLoaderIter"),
        ("step", "step"),
        ("checkpoint", "save"),
        ("checkpoint", "load"),
    ]
    assert {r["phase"] for r in done.copies} == {0, CHECKPOINT}
    marks = [s for s in done.spans if s["kind"] == "step"]
    assert all(s["start_ns"] <= s["end_ns"] for s in marks)


def test_phase_loading_inside_a_dataset(record: Any) -> None:
    class OnDevice(torch.utils.data.Dataset[torch.Tensor]):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> torch.Tensor:
            return torch.ones(2).cuda()

    rows = record(lambda: list(torch.utils.data.DataLoader(OnDevice()))).copies
    assert {r["phase"] for r in rows} == {LOADING}


def test_unhashable_modules_are_no_trouble(record: Any) -> None:
    class Odd(torch.nn.Linear):
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise AssertionError

    module = Odd(2, 2).cuda()

    def program() -> None:
        module(torch.ones(1, 2).cuda())
        torch.ones(1).cuda()

    done = record(program)
    assert done.notes == []
    assert done.copies[-1]["phase"] == 0
