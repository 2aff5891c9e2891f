"""Without a device nothing is asserted, and that is said."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

import placeaudit


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a device here")
def test_a_block_that_could_not_be_observed_warns() -> None:
    with (
        pytest.warns(UserWarning, match="could not observe this block: there is no accelerator"),
        placeaudit.assert_no_stray_copies(),
    ):
        torch.ones(1)
