"""Nested tensors, which ``nn.TransformerEncoder`` makes in evaluation with a padding mask."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

pytestmark = [
    pytest.mark.usefixtures("cuda"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors"),
]


def _encoded(device: str) -> torch.Tensor:
    torch.manual_seed(3)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2).to(device).eval()
    words = torch.randn(2, 5, 8).to(device)
    padding = torch.zeros(2, 5, dtype=torch.bool, device=device)
    padding[0, 3:] = True
    with torch.no_grad():
        encoded: torch.Tensor = encoder(words, src_key_padding_mask=padding)
    return encoded


def test_an_encoder_with_padding_gives_what_it_gives_on_the_host() -> None:
    on_device = _encoded("cuda")
    assert on_device.is_cuda
    torch.testing.assert_close(on_device.cpu(), _encoded("cpu"))


CASES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "padded": lambda x: x.to_padded_tensor(0.0),
    "arithmetic": lambda x: (x * 2 + x).to_padded_tensor(-1.0),
    "linear": lambda x: nn.functional.linear(x, x.values().view(3, -1)[:, :3]).to_padded_tensor(0),
    "normalised": lambda x: nn.LayerNorm(3).to(x.device)(x).to_padded_tensor(0.0),
    "product": lambda x: (x @ x.transpose(1, 2)).to_padded_tensor(0.0),
    "softmax": lambda x: torch.softmax(x, -1).to_padded_tensor(0.0),
    "part": lambda x: x.unbind()[1],
    "copy": lambda x: x.cpu().to("cuda:1").to_padded_tensor(0.0),
}


@pytest.mark.parametrize("name", CASES)
def test_operators_agree_with_the_host(name: str) -> None:
    parts = [torch.randn(2, 3), torch.randn(4, 3)]
    results = []
    for device in ("cpu", "cuda"):
        nested = torch.nested.nested_tensor(parts, device=device)
        if name == "copy" and device == "cpu":
            results.append(nested.to_padded_tensor(0.0))
        else:
            results.append(CASES[name](nested))
    assert results[1].is_cuda
    torch.testing.assert_close(results[1].cpu(), results[0])


def test_gradients_reach_the_parts() -> None:
    parts = [torch.ones(n, 3, device="cuda", requires_grad=True) for n in (2, 4)]
    torch.nested.as_nested_tensor(parts).to_padded_tensor(0.0).sum().backward()
    assert [part.grad.tolist() if part.grad is not None else None for part in parts] == [
        [[1.0] * 3] * 2,
        [[1.0] * 3] * 4,
    ]
