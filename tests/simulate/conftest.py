"""Two simulated devices for every test that asks for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from placeaudit.simulate import SimulationSpec, simulate


@pytest.fixture
def cuda() -> Iterator[SimulationSpec]:
    """Two simulated h100 devices for the length of one test."""
    with simulate("cuda:2") as spec:
        yield spec
