"""PyTorch's extra-copy pattern: its own cases and counts, what it misses, what it gets wrong.

The first thirteen cases are those that PyTorch tests ``ExtraCUDACopyPattern`` of
``torch.profiler`` with.  Each case is a trace of its own; PA103 must stand at the case's line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("torch")

import torch

import placeaudit
from placeaudit.model import Severity

Case = Callable[[], object]
SIZE = (100, 100)

PYTORCH: tuple[tuple[int, Case], ...] = (
    (0, lambda: torch.ones(SIZE, device="cuda")),
    (1, lambda: torch.ones(SIZE).to("cuda")),
    (1, lambda: torch.zeros(SIZE).to("cuda")),
    (1, lambda: torch.empty(SIZE).fill_(5).to("cuda")),
    (1, lambda: torch.ones(SIZE).cuda()),
    (1, lambda: torch.zeros(SIZE).cuda()),
    (1, lambda: torch.empty(SIZE).fill_(5).cuda()),
    (1, lambda: torch.rand(SIZE).cuda()),
    (1, lambda: torch.randn(SIZE).cuda()),
    (1, lambda: torch.full(SIZE, 10).cuda()),
    (0, lambda: torch.rand(SIZE).to(dtype=torch.float16)),
    (0, lambda: torch.rand(SIZE).half()),
    (0, lambda: torch.rand(SIZE, device="cuda").half()),
)

MISSED: tuple[Case, ...] = (
    lambda: torch.arange(100).to("cuda"),
    lambda: torch.linspace(0, 1, 100).cuda(),
    lambda: torch.randint(0, 10, (100,)).cuda(),
    lambda: torch.randperm(100).to("cuda"),
    lambda: torch.tensor([1.0, 2.0, 3.0]).cuda(),
    lambda: torch.tensor([1.0, 2.0, 3.0], device="cuda"),
    lambda: torch.eye(100).cuda(),
    lambda: (torch.rand(100, 100) * 2 - 1).to("cuda"),
    lambda: (torch.rand(100, 100) < 0.5).to("cuda"),
    lambda: torch.zeros(100, 100).unsqueeze(0).cuda(),
    lambda: torch.ones(10, 10).tril().to("cuda"),
    lambda: torch.triu(torch.ones(10, 10)).to("cuda"),
    lambda: torch.stack([torch.zeros(10), torch.ones(10)]).cuda(),
    lambda: torch.nn.functional.one_hot(torch.arange(10), 10).cuda(),
    lambda: torch.zeros(100).to("cuda", torch.float16),
    lambda: torch.zeros(100).to(device="cuda", non_blocking=True),
    lambda: torch.zeros(100, pin_memory=True).to("cuda", non_blocking=True),
)

DATA = torch.arange(10_000.0).reshape(SIZE)


def _unrelated() -> object:
    made = torch.zeros(SIZE)
    return made, DATA.to("cuda")


def _unrelated_and_dropped() -> object:
    torch.zeros(SIZE)
    return DATA.to("cuda")


def _written_on_the_host_later() -> object:
    made = torch.zeros(SIZE)
    up = made.to("cuda")
    made.add_(1)
    return up


def _read_on_the_host() -> object:
    made = torch.rand(SIZE)
    return made.to("cuda"), made.sum()


def _kept_on_the_host() -> object:
    made = torch.rand(SIZE)
    return made, made.cuda()


def _stays_on_the_host() -> object:
    return torch.zeros(SIZE).to("cpu", copy=True)


def _filled_from_data() -> object:
    made = torch.zeros(SIZE)
    made[0] = DATA[0]
    return made.cuda()


def _filled_by_out() -> object:
    made = torch.empty(SIZE)
    torch.add(DATA, 1, out=made)
    return made.cuda()


def _filled_through_numpy() -> object:
    made = torch.empty(SIZE)
    made.numpy()[:] = 3
    return made.cuda()


def _added_to_data() -> object:
    return (DATA + torch.randn(DATA.shape)).cuda()


def _joined_with_data() -> object:
    return torch.cat([torch.zeros(1, 100), DATA]).cuda()


FALSE_ALARMS: tuple[Case, ...] = (
    _unrelated,
    _unrelated_and_dropped,
    _written_on_the_host_later,
    _read_on_the_host,
    _kept_on_the_host,
    _stays_on_the_host,
    _filled_from_data,
    _filled_by_out,
    _filled_through_numpy,
    _added_to_data,
    _joined_with_data,
)


@pytest.fixture(scope="module", autouse=True)
def _cuda() -> Iterator[None]:
    with placeaudit.simulate("cuda"):
        yield


def lines(case: Case) -> list[int]:
    """Where PA103 stands after the case ran in a trace of its own."""
    with placeaudit.trace() as run:
        case()
    found = [finding for finding in run.findings if finding.rule == "PA103"]
    assert all(finding.severity is Severity.WARNING for finding in found)
    return [finding.line for finding in found]


@pytest.mark.parametrize(("count", "case"), PYTORCH)
def test_the_cases_of_pytorch(count: int, case: Case) -> None:
    assert lines(case) == [case.__code__.co_firstlineno] * count


@pytest.mark.parametrize("case", MISSED)
def test_what_its_pattern_misses(case: Case) -> None:
    assert lines(case) == [case.__code__.co_firstlineno]


@pytest.mark.parametrize("case", FALSE_ALARMS)
def test_none_of_its_false_alarms(case: Case) -> None:
    assert lines(case) == []
