"""What one call of an operator costs on small tensors: on the host, simulated, traced."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

import placeaudit

__all__ = ["measure_operators", "operator_table"]

Call = Callable[[], object]

#: Calls in one measurement.
_CALLS = 500
TITLES = ("operator", "host, µs", "simulated, µs", "simulated / host", "traced simulated, µs")


def _calls(device: str) -> dict[str, Call]:
    """Calls on 8 by 8 tensors of ``device``."""
    a, b = torch.ones(8, 8, device=device), torch.ones(8, 8, device=device)
    scalar, host = torch.ones((), device=device), torch.ones(8, 8)
    tensors, others = [a.clone() for _ in range(20)], [b.clone() for _ in range(20)]
    return {
        "view": lambda: a.view(64),
        "empty": lambda: torch.empty(8, 8, device=device),
        "add": lambda: a + b,
        "add_": lambda: a.add_(b),
        "mul by a number": lambda: a * 2.0,
        "sum": a.sum,
        "mm": lambda: a @ b,
        "_foreach_add_ of 20": lambda: torch._foreach_add_(tensors, others),
        "item": scalar.item,
        "H2D": lambda: host.to(device, copy=True),
        "D2H": lambda: a.to("cpu", copy=True),
    }


def _microseconds(call: Call) -> float:
    start = time.perf_counter()
    for _ in range(_CALLS):
        call()
    return (time.perf_counter() - start) / _CALLS * 1e6


@dataclass
class Costs:
    """Microseconds of one operator over all rounds."""

    host: list[float] = field(default_factory=list)
    simulated: list[float] = field(default_factory=list)
    traced: list[float] = field(default_factory=list)


def measure_operators(rounds: int, folder: Path) -> dict[str, Costs]:
    """Every operator on the host, simulated and traced, one right after the other."""
    host, device = _calls("cpu"), _calls("cuda")
    costs = {name: Costs() for name in host}
    for number in range(rounds):
        for name, cost in costs.items():
            _microseconds(host[name])  # does not count: caches are warm from here on
            cost.host.append(_microseconds(host[name]))
            cost.simulated.append(_microseconds(device[name]))
        with placeaudit.trace(folder / f"operators{number}"):
            for name, cost in costs.items():
                cost.traced.append(_microseconds(device[name]))
    return costs


def operator_table(costs: dict[str, Costs]) -> list[str]:
    """Medians, as lines of Markdown."""
    lines = [f"| {' | '.join(TITLES)} |", "|---" * len(TITLES) + "|"]
    for name, cost in costs.items():
        pairs = zip(cost.simulated, cost.host, strict=True)
        ratio = statistics.median(simulated / host for simulated, host in pairs)
        host, simulated, traced = map(statistics.median, (cost.host, cost.simulated, cost.traced))
        lines.append(f"| {name} | {host:.2f} | {simulated:.2f} | {ratio:.1f} | {traced:.2f} |")
    return lines
