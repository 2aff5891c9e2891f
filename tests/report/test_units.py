from __future__ import annotations

import pytest

from placeaudit.model import Estimate
from placeaudit.report import units


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (96, "96 B"), (1536, "1.5 KiB"), (25_165_824, "24 MiB"), (1 << 50, "1024 TiB")],
)
def test_size(number: int, text: str) -> None:
    assert units.size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (3e-9, "3 ns"),
        (4.2e-4, "420 µs"),
        (0.0123, "12.3 ms"),
        (59.94, "59.9 s"),
        (200.0, "3 min 20 s"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("per_step", "text"),
    [(None, ""), (0.0, ""), (1.0, "1 a step"), (2.5, "2.5 a step"), (0.1, "once in 10 steps")],
)
def test_rate(per_step: float | None, text: str) -> None:
    assert units.rate(per_step) == text


@pytest.mark.parametrize(
    ("ratio", "bound", "basis", "text"),
    [
        (0.04, True, "measured", "a fix saves at most 4 % (1.2 ms a step, measured)"),
        (None, True, "modelled on h100", "a fix saves at most 1.2 ms a step (modelled on h100)"),
        (
            None,
            False,
            "modelled on h100",
            "costs 1.2 ms a step (modelled on an idle h100; more behind queued work)",
        ),
    ],
)
def test_estimated(ratio: float | None, bound: bool, basis: str, text: str) -> None:
    estimate = Estimate(0.0012, ratio, 0.0, 0.0012, bound, basis)
    assert " ".join(units.estimated(estimate)) == text


@pytest.mark.parametrize(
    ("numbers", "text"),
    [((), ""), ((0,), "rank 0"), ((0, 1, 2, 5), "ranks 0–2, 5"), ((7, 1), "ranks 1, 7")],
)
def test_ranks(numbers: tuple[int, ...], text: str) -> None:
    assert units.ranks(numbers) == text


def test_plural() -> None:
    assert units.plural(1, "copy", "copies") == "1 copy"
    assert units.plural(1200, "copy", "copies") == "1,200 copies"
    assert units.plural(2, "step") == "2 steps"
