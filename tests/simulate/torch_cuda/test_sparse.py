"""Sparse tensors on the simulated device: made, computed with, trained with, written to."""

from __future__ import annotations

import pytest
import torch

pytestmark = pytest.mark.usefixtures("cuda")

DENSE = torch.tensor([[0.0, 0.0, 3.0], [4.0, 0.0, 5.0]])


def _coo() -> torch.Tensor:
    indices = torch.tensor([[0, 1, 1], [2, 0, 2]], device="cuda")
    return torch.sparse_coo_tensor(indices, torch.tensor([3.0, 4.0, 5.0], device="cuda"), (2, 3))


def test_a_sparse_tensor_is_on_the_device_with_its_parts() -> None:
    x = _coo()
    assert x.device == x._values().device == x._indices().device == torch.device("cuda", 0)
    assert x.is_sparse
    assert x.to_dense().tolist() == DENSE.tolist()
    assert "device='cuda:0'" in str(x)
    assert x.cpu().device.type == "cpu"
    assert DENSE.to_sparse().to("cuda:1")._values().device.index == 1


def test_products_and_sums_are_those_of_the_dense_tensor() -> None:
    x, other = _coo(), torch.arange(6.0, device="cuda").view(3, 2)
    assert torch.equal(torch.sparse.mm(x, other).cpu(), DENSE @ other.cpu())
    assert torch.equal((x + x).to_dense().cpu(), DENSE + DENSE)
    assert torch.equal((x * 2).to_dense().cpu(), DENSE * 2)
    assert torch.equal(torch.sparse.sum(x, 0).to_dense().cpu(), DENSE.sum(0))


@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_csc])
def test_compressed_layouts(layout: torch.layout) -> None:
    x = DENSE.cuda().to_sparse(layout=layout)
    assert x.layout == layout
    assert x.values().device == torch.device("cuda", 0)
    assert torch.equal((x @ torch.eye(3, device="cuda")).cpu(), DENSE)
    assert torch.equal((x + x).to_dense().cpu(), 2 * DENSE)
    assert torch.equal(x.cpu().to_dense(), DENSE)


def test_written_in_place() -> None:
    x = _coo().coalesce()
    x.mul_(2)
    assert torch.equal(x.to_dense().cpu(), 2 * DENSE)
    x.add_(_coo())
    assert torch.equal(x.to_dense().cpu(), 3 * DENSE)
    x.zero_()
    assert x._nnz() == 0


def test_sparse_gradients_train_an_embedding_as_on_the_host() -> None:
    tables = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(3)
        table = torch.nn.Embedding(10, 3, sparse=True).to(device)
        optimizer = torch.optim.SparseAdam(table.parameters())
        for _ in range(2):
            optimizer.zero_grad()
            table(torch.tensor([1, 2, 2], device=device)).square().sum().backward()
            gradient = table.weight.grad
            assert gradient is not None
            assert gradient.is_sparse
            assert gradient.device.type == device
            optimizer.step()
        tables.append(table.weight.detach().cpu())
    assert torch.equal(*tables)


def test_devices_do_not_mix() -> None:
    with pytest.raises(RuntimeError, match="same device"):
        torch.sparse.mm(_coo(), torch.ones(3, 2))
