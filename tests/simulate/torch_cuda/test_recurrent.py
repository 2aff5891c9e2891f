"""Recurrent layers: number for number what the CPU gives, and what autograd promises."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

pytestmark = pytest.mark.usefixtures("cuda")

#: Layers, bidirectional, dropout, batch first, bias.
GEOMETRIES = [
    (1, False, 0.0, False, True),
    (2, True, 0.5, True, True),
    (2, False, 0.5, False, False),
]


def _train(device: str, kind: str, geometry: Any, *, packed: bool, size: int) -> list[torch.Tensor]:
    """Outputs, states and every gradient."""
    layers, bidirectional, dropout, batch_first, bias = geometry
    torch.manual_seed(0)
    layer = getattr(nn, kind)(
        5,
        6,
        layers,
        bidirectional=bidirectional,
        dropout=dropout,
        batch_first=batch_first,
        bias=bias,
        **({"proj_size": size} if size else {}),
    ).to(device)
    data = torch.randn(4, 7, 5).to(device).requires_grad_()
    given: Any = data
    if packed:
        lengths = [7, 5, 3, 2] if batch_first else [4, 4, 3, 2, 2, 1, 1]
        given = pack_padded_sequence(data, torch.tensor(lengths), batch_first=batch_first)
    output, state = layer(given)
    if packed:
        output = output.data
    states = state if isinstance(state, tuple) else (state,)
    weights = torch.arange(float(output.numel())).reshape(output.shape).to(device)
    (output * weights).sum().backward()
    gradients = [parameter.grad for parameter in layer.parameters()]
    return [item.detach().cpu() for item in (output, *states, data.grad, *gradients)]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(
    ("kind", "packed", "size"),
    [
        *((kind, packed, 0) for kind in ("LSTM", "GRU", "RNN") for packed in (False, True)),
        ("LSTM", False, 3),
    ],
)
def test_outputs_and_gradients_are_those_of_the_host(
    kind: str, packed: bool, size: int, geometry: Any
) -> None:
    host = _train("cpu", kind, geometry, packed=packed, size=size)
    device = _train("cuda", kind, geometry, packed=packed, size=size)
    for expected, found in itertools.zip_longest(host, device):
        assert torch.equal(expected, found)


def _layer() -> tuple[Any, torch.Tensor]:
    return nn.LSTM(3, 4).cuda(), torch.ones(2, 2, 3, device="cuda")


def test_results_are_on_the_device_without_a_graph_too() -> None:
    layer, data = _layer()
    with torch.no_grad():
        output, (hidden, cell) = layer(data)
    assert {output.device.type, hidden.device.type, cell.device.type} == {"cuda"}
    assert not output.requires_grad
    with torch.inference_mode():
        assert torch.equal(layer(data)[0], output)


def test_a_freed_graph_is_refused_and_a_kept_one_serves_again() -> None:
    layer, data = _layer()
    loss = layer(data)[0].sum()
    loss.backward(retain_graph=True)
    first = layer.weight_ih_l0.grad.clone()
    loss.backward()
    assert torch.equal(layer.weight_ih_l0.grad, 2 * first)
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        loss.backward()


def test_weights_written_to_before_backward_are_noticed() -> None:
    layer, data = _layer()
    loss = layer(data)[0].sum()
    with torch.no_grad():
        layer.weight_hh_l0.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_part_of_the_gradients_may_be_asked_for() -> None:
    layer, data = _layer()
    layer.weight_ih_l0.requires_grad_(False)
    output, (hidden, _) = layer(data)
    hidden.sum().backward()
    assert layer.weight_ih_l0.grad is None
    assert layer.weight_hh_l0.grad.is_cuda
    assert output.requires_grad


def test_autocast_computes_in_half() -> None:
    layer, data = _layer()
    with torch.autocast("cuda", dtype=torch.float16):
        output, _ = layer(data)
    assert output.dtype == torch.float16
    output.sum().backward()
    assert layer.weight_ih_l0.grad.dtype == torch.float32


def test_a_state_on_the_host_is_refused_in_its_own_words() -> None:
    layer, data = _layer()
    state = torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)
    with pytest.raises(RuntimeError, match="Input and hidden tensors are not at the same device"):
        layer(data, state)


def test_a_layer_that_lives_on_another_device_stays_there() -> None:
    layer: Any = nn.GRU(3, 4).to("cuda:1")
    output, hidden = layer(torch.ones(2, 2, 3, device="cuda:1"))
    output.sum().backward()
    assert {str(output.device), str(hidden.device), str(layer.weight_hh_l0.grad.device)} == {
        "cuda:1"
    }
