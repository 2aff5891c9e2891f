"""Guards on a real device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import placeaudit

pytestmark = pytest.mark.usefixtures("cuda")


@pytest.mark.parametrize(
    ("level", "call"),
    [
        ({"h2d": "disallow"}, lambda x: torch.ones(3).cuda()),
        ({"d2h": "disallow"}, lambda x: x.cpu()),
        ({"d2h": "disallow"}, lambda x: x.sum().item()),
        ({"sync": "disallow"}, lambda x: x.nonzero()),
        ({"sync": "disallow"}, lambda x: torch.cuda.synchronize()),
        ({"sync": "disallow"}, lambda x: x.to("cpu")),
    ],
)
def test_what_is_disallowed_raises(level: Any, call: Callable[[Any], object]) -> None:
    device = torch.ones(3, device="cuda")
    with placeaudit.guard(**level):
        with pytest.raises(placeaudit.TransferError):
            call(device)
        with placeaudit.allow("a test"):
            call(device)
        (device * 2).add_(1)


def test_backward_is_guarded() -> None:
    host = torch.ones(4, requires_grad=True)
    with placeaudit.guard(d2h="disallow"):
        loss = (host.to("cuda") * 2).sum()
        with pytest.raises(placeaudit.TransferError, match="in the backward of"):
            loss.backward()
    host.to("cuda").sum().backward()
    assert host.grad is not None
