"""``nn.DataParallel`` on two simulated devices, and the copies it is made of."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.cuda import comm

pytestmark = [pytest.mark.usefixtures("cuda"), pytest.mark.filterwarnings("error")]


def test_data_parallel_trains_as_one_device_does() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    model = copy.deepcopy(plain).cuda()
    x = torch.randn(6, 4)
    expected = plain(x)
    expected.pow(2).sum().backward()
    result = nn.DataParallel(model)(x.cuda())
    result.pow(2).sum().backward()
    torch.testing.assert_close(result.cpu(), expected)
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert ours.grad is not None
        assert ours.grad.device == torch.device("cuda", 0)
        torch.testing.assert_close(ours.grad.cpu(), theirs.grad)


def test_what_is_scattered_is_gathered_again() -> None:
    x = torch.arange(12.0, device="cuda").view(6, 2)
    parts = comm.scatter(x, [0, 1], chunk_sizes=[1, 5])
    assert [(part.device.index, len(part)) for part in parts] == [(0, 1), (1, 5)]
    assert torch.equal(comm.gather(parts, destination=0), x)
    assert comm.gather(parts, destination="cpu").device.type == "cpu"
    with pytest.raises(RuntimeError, match="Gather expects all inputs to be CUDA"):
        comm.gather([torch.ones(1)])


def test_tensors_of_any_types_are_broadcast_in_order() -> None:
    x = torch.arange(4.0, device="cuda")
    tensors = [x, x.long(), x[:1], x]
    here, there = comm.broadcast_coalesced(tensors, [0, 1])
    assert all(part is tensor for part, tensor in zip(here, tensors, strict=True))
    assert [part.device.index for part in there] == [1] * 4
    assert [part.tolist() for part in there] == [tensor.tolist() for tensor in tensors]


def test_reductions_end_on_the_first_device() -> None:
    x = torch.ones(3, device="cuda")
    assert comm.reduce_add([x, x.to("cuda:1")], 0).tolist() == [2, 2, 2]
    assert comm.reduce_add_coalesced([[x], [x.to("cuda:1")]], 0)[0].tolist() == [2, 2, 2]
