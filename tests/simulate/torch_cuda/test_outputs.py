"""``out=``, ``resize_`` and operands that overlap: the device tensor ends as the host's would."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

pytestmark = [
    pytest.mark.usefixtures("cuda"),
    pytest.mark.filterwarnings("ignore:An output with one or more elements"),
]

Make = Callable[[str], torch.Tensor]
OUTS: dict[str, Make] = {
    "empty": lambda device: torch.empty(0, device=device),
    "larger": lambda device: torch.full((2, 4, 4), 7.0, device=device),
    "smaller": lambda device: torch.full((2,), 7.0, device=device),
    "part of a longer one": lambda device: torch.full((40,), 7.0, device=device)[2:4],
    "nothing of a longer one": lambda device: torch.full((40,), 7.0, device=device)[2:2],
    "transposed": lambda device: torch.full((4, 4), 7.0, device=device).T,
    "every second": lambda device: torch.full((4, 8), 7.0, device=device)[:, ::2],
}


def _layout(tensor: torch.Tensor) -> tuple[object, ...]:
    whole = torch.empty(0, device=tensor.device).set_(tensor.untyped_storage())
    return tensor.size(), tensor.stride(), tensor.storage_offset(), whole.numel()


@pytest.mark.parametrize("name", OUTS)
def test_one_result(name: str) -> None:
    x = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    outs = []
    for device in ("cpu", "cuda"):
        out = OUTS[name](device)
        assert torch.linalg.cholesky((x @ x.T).to(device), out=out) is out
        outs.append(out)
    assert torch.equal(outs[0], outs[1].cpu())
    assert _layout(outs[0]) == _layout(outs[1])


@pytest.mark.parametrize("name", OUTS)
def test_several_results(name: str) -> None:
    x = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    outs = []
    for device in ("cpu", "cuda"):
        pair = OUTS[name](device), OUTS[name](device)
        torch.linalg.qr(x.to(device), out=pair)
        outs.append(pair)
    for host, ours in zip(*outs, strict=True):
        assert torch.equal(host, ours.cpu())
        assert _layout(host) == _layout(ours)


def test_the_rest_of_the_storage_is_left_alone() -> None:
    base = torch.zeros(10, device="cuda")
    torch.add(torch.ones(3, device="cuda"), 1, out=base[4:7])
    assert base.tolist() == [0, 0, 0, 0, 2, 2, 2, 0, 0, 0]


def test_resize_keeps_elements_in_storage_order_and_the_storage_where_it_is_large_enough() -> None:
    x = torch.arange(6.0, device="cuda")
    x.resize_(2, 2)
    assert x.tolist() == [[0, 1], [2, 3]]
    x.resize_(3, 3)
    assert x.flatten()[:6].tolist() == [0, 1, 2, 3, 4, 5]
    x.resize_(1, 2, 2, 2, memory_format=torch.channels_last)
    assert x.stride() == (8, 1, 4, 2)


def test_operands_that_overlap_are_refused_as_on_the_host() -> None:
    def take_into_itself(x: torch.Tensor) -> None:
        torch.take(x, torch.tensor([0, 1], device=x.device), out=x[:2])

    def add_a_shifted_part(x: torch.Tensor) -> None:
        x[1:].add_(x[:-1])

    for call in (take_into_itself, add_a_shifted_part):
        with pytest.raises(RuntimeError, match="unsupported operation") as on_host:
            call(torch.arange(4.0))
        with pytest.raises(RuntimeError) as on_device:
            call(torch.arange(4.0, device="cuda"))
        assert str(on_device.value) == str(on_host.value)
    x = torch.arange(4.0, device="cuda")
    x.add_(x)
    assert x.tolist() == [0, 2, 4, 6]
