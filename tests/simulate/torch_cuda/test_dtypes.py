"""Dtypes that the CPU has and a CUDA device lacks fail as there; the other way round they work."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  # as everybody writes it

pytestmark = pytest.mark.usefixtures("cuda")


def _whole(*shape: int, dtype: torch.dtype = torch.int64) -> torch.Tensor:
    return torch.ones(shape, dtype=dtype, device="cuda")


CASES: dict[str, tuple[Callable[[], object], str]] = {
    "mm": (lambda: _whole(2, 2) @ _whole(2, 2), "\"addmm_cuda\" not implemented for 'Long'"),
    "mm of bytes": (
        lambda: _whole(2, 2, dtype=torch.uint8) @ _whole(2, 2, dtype=torch.uint8),
        "\"addmm_cuda\" not implemented for 'Byte'",
    ),
    "mm of bools": (
        lambda: _whole(2, 2, dtype=torch.bool) @ _whole(2, 2, dtype=torch.bool),
        "\"addmm_cuda\" not implemented for 'Bool'",
    ),
    "linear": (
        lambda: F.linear(_whole(2, 2), _whole(2, 2), _whole(2)),
        "\"addmm_cuda\" not implemented for 'Long'",
    ),
    "bmm": (
        lambda: torch.bmm(_whole(1, 2, 2), _whole(1, 2, 2)),
        "\"baddbmm_cuda\" not implemented for 'Long'",
    ),
    "mv": (lambda: _whole(2, 2) @ _whole(2), "\"addmv_impl_cuda\" not implemented for 'Long'"),
    "dot": (lambda: _whole(2) @ _whole(2), "\"dot\" not implemented for 'Long'"),
    "conv2d": (
        lambda: F.conv2d(_whole(1, 1, 3, 3), _whole(1, 1, 2, 2)),
        "\"slow_conv2d_cuda\" not implemented for 'Long'",
    ),
    "interpolate": (
        lambda: F.interpolate(_whole(1, 3, 4, 4, dtype=torch.uint8), size=(2, 2), mode="bilinear"),
        "\"upsample_bilinear2d_out_frame\" not implemented for 'Byte'",
    ),
    "max_pool2d": (
        lambda: F.max_pool2d(_whole(1, 1, 4, 4), 2),
        "\"max_pool2d_with_indices_out_cuda_frame\" not implemented for 'Long'",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_device_lacks_fails_in_its_words(name: str) -> None:
    call, text = CASES[name]
    with pytest.raises(NotImplementedError) as caught:
        call()
    assert str(caught.value) == text


def test_shapes_are_checked_before_dtypes() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        _whole(2, 3) @ _whole(2, 3)
    assert (_whole(0, 2) @ _whole(2, 2)).shape == (0, 2)


def test_half_precision_that_the_cpu_lacks_is_computed_in_single() -> None:
    x = torch.arange(64.0).view(1, 1, 4, 4, 4)
    half = x.cuda().half().requires_grad_()
    pooled = F.avg_pool3d(half, 2)
    assert pooled.dtype == torch.float16
    assert torch.equal(pooled.detach().cpu().float(), F.avg_pool3d(x, 2))
    pooled.sum().backward()
    assert half.grad is not None
    assert half.grad.dtype == torch.float16
    assert half.grad.flatten()[0].item() == 0.125


def test_complex_half_is_computed_in_single() -> None:
    x = torch.tensor([0.5 + 0.25j, 1j])
    narrow = x.to(torch.complex32).cuda()
    expected = x.sin().to(torch.complex32)
    assert torch.equal(torch.view_as_real(narrow.sin()).cpu(), torch.view_as_real(expected))
    narrow.sin_()
    assert torch.equal(torch.view_as_real(narrow).cpu(), torch.view_as_real(expected))


def test_operators_that_devices_do_not_have_are_named() -> None:
    with pytest.raises(NotImplementedError, match=r"'aten::histogram.bin_ct' .* 'CUDA' backend"):
        torch.histogram(torch.ones(3, device="cuda"), 3)
    with pytest.raises(NotImplementedError, match="quantize_per_tensor: quantised"):
        torch.quantize_per_tensor(torch.ones(3, device="cuda"), 0.1, 0, torch.qint8)
