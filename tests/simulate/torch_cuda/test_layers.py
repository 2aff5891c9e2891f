"""Layers with a CUDA route of their own, against the same layer on the host."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

pytestmark = pytest.mark.usefixtures("cuda")


def _compare(module: nn.Module, *shape: int) -> None:
    """Forward and backward on the device give what the host gives."""
    torch.manual_seed(0)
    x = torch.randn(*shape)
    on_device = copy.deepcopy(module).to("cuda")
    host_out, device_out = module(x), on_device(x.to("cuda"))
    if isinstance(host_out, tuple):
        host_out, device_out = host_out[0], device_out[0]
    host_out.square().sum().backward()
    device_out.square().sum().backward()
    torch.testing.assert_close(device_out.cpu(), host_out, rtol=1e-5, atol=1e-6)
    for (name, host), device in zip(module.named_parameters(), on_device.parameters(), strict=True):
        assert device.grad is not None, name
        assert device.grad.device.type == "cuda"
        torch.testing.assert_close(device.grad.cpu(), host.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv2d(3, 4, 3, padding=1, groups=1), (2, 3, 8, 8)),
        (nn.ConvTranspose2d(3, 4, 3, stride=2), (2, 3, 5, 5)),
        (nn.Sequential(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4)), (2, 3, 8)),
        (nn.LSTM(5, 6, num_layers=2, batch_first=True), (2, 4, 5)),
        (nn.LSTM(5, 6, bias=False, bidirectional=True), (4, 2, 5)),
        (nn.GRU(5, 6, num_layers=2), (4, 2, 5)),
        (nn.GRU(5, 6, bias=False), (4, 2, 5)),
        (nn.RNN(5, 6), (4, 2, 5)),
        (nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), (2, 5, 8)),
        (nn.Sequential(nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3)), (4, 8)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_same_values_and_gradients(module: nn.Module, shape: tuple[int, ...]) -> None:
    _compare(module, *shape)


@pytest.mark.parametrize(
    "mask",
    [
        lambda: None,
        lambda: torch.ones(4, 4).tril().bool(),
        lambda: torch.zeros(4, 4).masked_fill(torch.ones(4, 4).triu(1).bool(), float("-inf")),
    ],
    ids=["none", "boolean", "additive"],
)
def test_attention_matches_the_host(mask: Callable[[], torch.Tensor | None]) -> None:
    torch.manual_seed(0)
    host = [torch.randn(2, 3, 4, 8, requires_grad=True) for _ in range(3)]
    device = [x.detach().to("cuda").requires_grad_() for x in host]
    given = mask()
    on_device = None if given is None else given.to("cuda")
    attend = functional.scaled_dot_product_attention
    expected = attend(host[0], host[1], host[2], attn_mask=given)
    found = attend(device[0], device[1], device[2], attn_mask=on_device)
    expected.sum().backward()
    found.sum().backward()
    torch.testing.assert_close(found.cpu(), expected)
    for x, y in zip(host, device, strict=True):
        assert y.grad is not None
        torch.testing.assert_close(y.grad.cpu(), x.grad)


def test_attention_dropout_takes_the_unfused_route() -> None:
    x = torch.randn(1, 1, 4, 8, device="cuda")
    out = functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5)
    assert out.shape == x.shape


def test_a_learned_mask_gets_its_gradient() -> None:
    x = torch.randn(1, 1, 4, 8, device="cuda")
    mask = torch.zeros(4, 4, device="cuda", requires_grad=True)
    functional.scaled_dot_product_attention(x, x, x, attn_mask=mask).sum().backward()
    assert mask.grad is not None
    assert mask.grad.shape == (4, 4)


def test_ctc_loss_runs() -> None:
    scores = torch.randn(10, 2, 5, device="cuda").log_softmax(2).requires_grad_()
    targets = torch.tensor([[1, 2], [2, 3]], device="cuda")
    lengths = torch.tensor([10, 10]), torch.tensor([2, 2])
    functional.ctc_loss(scores, targets, *lengths).backward()
    assert scores.grad is not None


def test_products_are_kept_in_a_wider_dtype() -> None:
    a = torch.full((2, 2), 1.5, dtype=torch.bfloat16, device="cuda")
    product = torch.mm(a, a, out_dtype=torch.float32)
    assert (product.dtype, product.is_cuda) == (torch.float32, True)
    assert product.tolist() == [[4.5, 4.5], [4.5, 4.5]]
    out = torch.empty(0, device="cuda")
    torch.addmm(product, a, a, out_dtype=torch.float32, out=out)
    assert out.tolist() == [[9, 9], [9, 9]]


def test_windows_with_a_loop_of_their_own_agree() -> None:
    window = torch.kaiser_window(7, device="cuda")
    assert window.is_cuda
    assert torch.equal(window.cpu(), torch.kaiser_window(7))


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_a_boolean_mask_hides_with_and_without_dropout(dropout: float) -> None:
    torch.manual_seed(0)
    heads = torch.randn(3, 2, 2, 4, 8)
    mask = torch.tensor([True, True, False, True]).expand(2, 1, 4, 4)
    results = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(1)
        query, key, value = heads.to(device).requires_grad_().unbind()
        attended = functional.scaled_dot_product_attention(
            query, key, value, mask.to(device), dropout_p=dropout
        )
        gradient = torch.autograd.grad(attended.square().sum(), value)[0]
        assert not gradient[:, :, 2].any()
        results.append((attended.detach().cpu(), gradient.cpu()))
    for expected, found in zip(*results, strict=True):
        assert torch.equal(expected, found)


class TestChosenAttention:
    """``sdpa_kernel`` with one of a device's kernels, of which the CPU has one of its own."""

    @pytest.mark.parametrize("backend", ["EFFICIENT_ATTENTION", "MATH"])
    def test_single_precision(self, backend: str) -> None:
        torch.manual_seed(1)
        x = torch.randn(1, 2, 8, 16)
        expected = functional.scaled_dot_product_attention(x, x, x)
        with sdpa_kernel(getattr(SDPBackend, backend)):
            ours = functional.scaled_dot_product_attention(x.cuda(), x.cuda(), x.cuda())
        torch.testing.assert_close(ours.cpu(), expected)

    @pytest.mark.parametrize("backend", ["FLASH_ATTENTION", "CUDNN_ATTENTION"])
    def test_devices_have_these_in_half_precision_only(self, backend: str) -> None:
        x = torch.ones(1, 2, 8, 16, device="cuda")
        with sdpa_kernel(getattr(SDPBackend, backend)):
            half = x.half()
            assert (
                functional.scaled_dot_product_attention(half, half, half).flatten()[0].item() == 1
            )
            with pytest.raises(RuntimeError, match=r"No available kernel\. Aborting execution\."):
                functional.scaled_dot_product_attention(x, x, x)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        *((name, "capturable") for name in ("Adam", "AdamW", "NAdam", "RAdam", "Adamax", "ASGD")),
        *((name, "fused") for name in ("Adam", "AdamW", "SGD", "Adagrad")),
        *((name, "foreach") for name in ("Adam", "SGD", "RMSprop", "Rprop")),
    ],
)
def test_optimizers_step_as_the_plain_ones_on_the_host(name: str, option: str) -> None:
    parameters = []
    for device, options in (("cpu", {}), ("cuda", {option: True})):
        torch.manual_seed(1)
        parameter = nn.Parameter(torch.randn(3, 3).to(device))
        try:
            optimizer = getattr(torch.optim, name)([parameter], lr=0.1, **options)
        except RuntimeError as error:
            if "supported devices" not in str(error):
                raise
            pytest.skip(f"this torch has no fused {name} for CUDA")
        for _ in range(2):
            optimizer.zero_grad()
            parameter.square().sum().backward()
            optimizer.step()
        parameters.append(parameter.detach().cpu())
    torch.testing.assert_close(*parameters)
