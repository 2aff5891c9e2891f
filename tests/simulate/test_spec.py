from __future__ import annotations

import pytest

from placeaudit.errors import SimulationSpecError
from placeaudit.simulate.spec import SimulationSpec


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cuda", SimulationSpec("cuda", 1, "h100")),
        ("cuda:2", SimulationSpec("cuda", 2, "h100")),
        ("cuda:8=a100", SimulationSpec("cuda", 8, "a100")),
        ("CUDA=T4", SimulationSpec("cuda", 1, "t4")),
    ],
)
def test_reads_backend_count_and_model(text: str, expected: SimulationSpec) -> None:
    assert SimulationSpec.parse(text) == expected
    assert SimulationSpec.parse(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "write cuda"),
        ("cuda:", "write cuda"),
        ("cuda:0", "1 to 8"),
        ("cuda:9", "1 to 8"),
        ("tpu:2", "only backend"),
        ("cuda=a1000", "did you mean a100"),
        ("cuda=abacus", "known:"),
    ],
)
def test_refuses_what_it_cannot_simulate(text: str, message: str) -> None:
    with pytest.raises(SimulationSpecError, match=message) as caught:
        SimulationSpec.parse(text)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
